"""Where what is on its way to a storage elsewhere is gathered: a folder of this machine, next to the database.

So little stays there as can be: a file leaves it when it has been sent or refused. Only a large one whose connection
was cut stays, to be gone on with, and of those no more than so many bytes.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from undercroft.families.sync.storages.errors import is_cut
from undercroft.families.sync.storages.local_content import LARGE

MOST_LEFT = 4 * 2**30
"""Bytes of what is to be gone on with; the last one stays, however large it is."""
ROOM_LEFT = 2**30
"""Bytes of the disk that nothing is gathered into, for the database is there as well; of a small disk its share."""
_SHARE_LEFT = 20


class Spool:
    """Of one entry. Its lanes share the folder: each file is one lane's at a time, and large ones are all the same
    lane's."""

    def __init__(self, folder: Path | None) -> None:
        """None: for a storage that is only read."""
        self._folder = folder

    @contextlib.contextmanager
    def gathering(self, token: bytes, size: int) -> Iterator[BinaryIO]:
        """To write to, or to go on with. Raises OSError, also where the disk has to keep what room it has."""
        self._make()
        self._make_room(token, size)
        descriptor = os.open(self._path(token), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with self._kept_where_cut(token), os.fdopen(descriptor, "r+b", buffering=0) as file:
            yield file
            _touch(file)  # the latest is not the oldest, although all of it may have been there

    @contextlib.contextmanager
    def sending(self, token: bytes) -> Iterator[BinaryIO]:
        """To read what was gathered, which then goes."""
        with self._kept_where_cut(token), self._path(token).open("rb") as file:
            _touch(file)  # sending takes its time as well: what is old is gone on with by nobody
            yield file
        self.forget(token)

    def forget(self, token: bytes) -> None:
        self._path(token).unlink(missing_ok=True)

    def forget_old(self, older_than: float) -> None:
        """Whatever is older, in seconds."""
        for file, about in self._files():
            if about.st_mtime < time.time() - older_than:
                file.unlink(missing_ok=True)

    # Parts

    @contextlib.contextmanager
    def _kept_where_cut(self, token: bytes) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            with contextlib.suppress(OSError):  # the first error is the one that counts
                if is_cut(error) and self._path(token).stat().st_size >= LARGE:
                    self._bound()
                else:
                    self.forget(token)
            raise

    def _bound(self) -> None:
        left = 0
        for number, (_, size, file) in enumerate(sorted(self._large(), reverse=True)):
            left += size
            if number and left > MOST_LEFT:
                file.unlink(missing_ok=True)

    def _make_room(self, token: bytes, size: int) -> None:
        """What is there of it has its room already; what else is to be gone on with gives way, the oldest first."""
        mine = self._path(token)
        there = mine.stat().st_size if mine.exists() else 0
        others = [file for _, _, file in sorted(self._large()) if file != mine]
        while not self._has_room(size - there):
            if not others:
                raise OSError(
                    "the disk of the server's data folder has too little room left to gather it before it is sent"
                )
            others.pop(0).unlink(missing_ok=True)

    def _has_room(self, size: int) -> bool:
        disk = shutil.disk_usage(self._path(b""))
        return disk.free - size >= min(ROOM_LEFT, disk.total // _SHARE_LEFT)

    def _large(self) -> list[tuple[float, int, Path]]:
        """(when it was gathered, size, where). Small ones are under way in other lanes."""
        return [(about.st_mtime, about.st_size, file) for file, about in self._files() if about.st_size >= LARGE]

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        if self._folder is not None and self._folder.is_dir():
            for file in self._folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    yield file, file.stat()

    def _make(self) -> None:
        self._path(b"").mkdir(parents=True, exist_ok=True, mode=0o700)

    def _path(self, token: bytes) -> Path:
        assert self._folder is not None, "this storage was opened to be read"
        return self._folder / token.decode()


def _touch(file: BinaryIO) -> None:
    """With a time of its own: the kernel gives the same to all within a tick."""
    now = time.time_ns()
    os.utime(file.fileno(), ns=(now, now))
