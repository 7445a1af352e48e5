"""What an entry's worker knows of its files: as much as tells whether one has changed."""

from undercroft.families.sync.reconcile import Seen


class Index:
    def __init__(self) -> None:
        self._files: dict[str, tuple[str, str, int]] = {}
        self.busy: set[str] = set()
        """An operation is changing these at this moment."""

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def take(self, rows: list[tuple[str, str, str, int]]) -> None:
        for path, *about in rows:
            self._files[path] = tuple(about)  # type: ignore[assignment]

    def revision(self, path: str) -> str | None:
        known = self._files.get(path)
        return None if known is None else known[0]

    def hash(self, path: str) -> str:
        known = self._files.get(path)
        return "" if known is None else known[1]

    def note(self, seen: Seen) -> None:
        if seen.content is None:
            self._files.pop(seen.path, None)
        else:
            self._files[seen.path] = (seen.revision, seen.content.hash, seen.content.size)

    def below(self, folder: str) -> list[str]:
        """The files in a folder, at any depth."""
        prefix = folder + "/"
        return [path for path in self._files if path.startswith(prefix)]

    def missing(self, found: set[str]) -> list[str]:
        return [path for path in self._files if path not in found]
