"""Looking at a storage elsewhere: what is there, and what it holds."""

import errno
from collections.abc import Iterator
from typing import Any

from blake3 import blake3

from undercroft.families.sync.names import LONGEST_PATH, is_ignored, raw
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.storages.drive import Drive, Stat
from undercroft.families.sync.storages.judging import doubts, fitting, judged
from undercroft.families.sync.storages.others_roots import REASON, OthersRoots, is_own, left_alone
from undercroft.families.sync.storages.remote_names import blocks_of, named, text_of
from undercroft.families.sync.storages.remote_source import RemoteSource
from undercroft.families.sync.storages.storage import Found, OnFolder, Pace, Source, freely

# Of content that is made there: drives know no permission bits.
MODE = 0o644
MOST_FILES = 10_000_000


class RemoteLooking:
    """For one thread."""

    def __init__(self, drive: Drive, label: str, options: dict[str, Any], others: OthersRoots) -> None:
        """`label`: how the place is called in errors; `options`: with defaults; `others`: what is known of roots below
        it."""
        self.skipped: dict[str, str] = {}
        self._drive = drive
        self._label = label
        self._ignore = tuple(options["ignore"])
        self._others = others

    def walk(self, below: bytes, on_folder: OnFolder) -> Iterator[Found]:
        """All of it: `below` is the root, and no folder is told of."""
        others: set[str] = set()
        for number, about in enumerate(self._drive.walk()):
            if number >= MOST_FILES:
                raise OSError(errno.EPROTO, f"{self._label} lists more than {MOST_FILES:,} files: is it the right one?")
            path, reason = judged(about, self._drive.names_are_bytes)
            if reason == REASON:
                others.add(path)
                self._others.note(path)
            if is_ignored(raw(path), self._ignore):
                continue
            if reason:
                self.skipped[path[: LONGEST_PATH + 1]] = reason
            else:
                yield Found(path, about.revision)
        self._others.note_all(others)

    def is_ignored(self, path: bytes) -> bool:
        return is_ignored(path, self._ignore)

    def is_left_alone(self, path: str) -> bool:
        return is_own(path) or bool(self._others.above(path))

    def is_folder(self, path: str) -> bool:
        return False

    def look(self, path: str) -> str | None:
        """The revision of the file that is there; None where there is no file. Raises LeftAlone."""
        self._require_own(path)
        about = self._stat(path)
        return None if about is None else about.revision

    def read(self, path: str, pace: Pace = freely) -> Seen | None:
        """Hash it. None where it changes meanwhile. Raises OSError where it can't be read, and what `pace` raises."""
        self._require_own(path)
        digest, size = blake3(), 0
        with named(), self._drive.open(text_of(path)) as reading:
            for block in blocks_of(reading):
                digest.update(block)
                size += len(block)
                pace(size)
        about = self._stat(path)
        if about is None or about.revision != reading.stat.revision or about.size != size:
            return None
        return Seen(path, Content(digest.hexdigest(), size, fitting(about.mtime), MODE), about.revision)

    def open_source(self, path: str) -> Source:
        """What goes wrong is raised by reading from it."""
        return RemoteSource(self._drive, text_of(path))

    # Parts

    def _require_own(self, path: str) -> None:
        if self.is_left_alone(path):
            raise left_alone(path)

    def _stat(self, path: str) -> Stat | None:
        """Raises OSError, also for what can't be kept in mind."""
        with named():
            about = self._drive.stat(text_of(path))
        if about is not None and (reason := doubts(about)):
            raise OSError(errno.EPROTO, reason)
        return about
