"""What a Dropbox folder holds, kept up to date by a cursor: each look asks only for what has changed.

Dropbox takes names that differ in case only for one, and tells of a file by its path in lower case. How a name is
written is sure only of its last part, so that a path is put together of its folders' own names.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from undercroft.families.sync.names import LONGEST_PATH
from undercroft.families.sync.storages.drive import Stat
from undercroft.families.sync.storages.judging import moment_of
from undercroft.families.sync.storages.others_roots import MARK, REASON, is_own

LONGEST = 4 * LONGEST_PATH
"""Characters of a path: of what is longer, and Dropbox has none, each folder would be kept in mind."""


class Tree:
    """Paths here are relative to the root, in lower case, without a slash before them."""

    def __init__(self, root: str, begun: float) -> None:
        """`begun`: when it is listed from the start, in Unix seconds."""
        self._root = root.lower()
        self._files: dict[str, Stat] = {}
        """With the last part of its name only."""
        self._folders: dict[str, str] = {}
        self._others: dict[str, None] = {}
        """Marks of others' roots."""
        self.cursor = ""
        self.begun = begun

    def learn(self, entries: Iterable[dict[str, Any]]) -> None:
        """In their order, as Dropbox describes it for `list_folder`."""
        for entry in entries:
            path = self._relative(entry.get("path_lower"))
            if not path:
                continue
            if entry[".tag"] == "folder":
                self._files.pop(path, None)
                self._folders[path] = entry["name"]
                continue
            self._forget(path)
            if is_own(path):
                if entry[".tag"] == "file" and path.endswith(f"/{MARK}"):
                    self._others[path] = None
                continue
            if entry[".tag"] == "file" and entry.get("is_downloadable", True) and "symlink_info" not in entry:
                self._files[path] = stat_of(entry["name"], entry)

    def stats(self) -> Iterator[Stat]:
        cased: dict[str, str] = {"": ""}
        others = tuple(path.removesuffix(MARK) for path in self._others)
        for folder in others:
            if not folder.startswith(tuple(other for other in others if other != folder)):
                yield Stat(self._cased(folder.rstrip("/"), cased).rstrip("/"), 0, "", 0, REASON)
        for path, stat in list(self._files.items()):
            if not path.startswith(others):
                yield stat._replace(name=self._cased(path.rpartition("/")[0], cased) + stat.name)

    def folder(self, path: str) -> str | None:
        """How the last part of this folder's path is written, as far as we know."""
        return self._folders.get(path)

    def met(self, path: str, name: str) -> None:
        """A folder was asked for."""
        self._folders[path] = name

    def _forget(self, path: str) -> None:
        self._files.pop(path, None)
        self._others.pop(path, None)
        if self._folders.pop(path, None) is None:
            return
        below = f"{path}/"
        kept: dict[str, Any]
        for kept in (self._files, self._folders, self._others):
            for one in [one for one in kept if one.startswith(below)]:
                del kept[one]

    def _cased(self, folder: str, cased: dict[str, str]) -> str:
        """With a slash at its end."""
        new = []
        while folder not in cased:  # upward, and back
            new.append(folder)
            folder = folder.rpartition("/")[0]
        for below in reversed(new):
            cased[below] = f"{cased[folder]}{self._folders.get(below, below.rpartition('/')[2])}/"
            folder = below
        return cased[folder]

    def _relative(self, path: object) -> str:
        """ "" for the root itself, for what is not mounted below it, and for what can be no path."""
        if not isinstance(path, str) or not path.startswith(f"{self._root}/") or len(path) > LONGEST:
            return ""
        return path[len(self._root) + 1 :]


def stat_of(name: str, entry: dict[str, Any]) -> Stat:
    return Stat(name, entry["size"], entry["rev"], moment_of(entry["client_modified"]))
