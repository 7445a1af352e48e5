"""Content on its way from a drive, or to it."""

import io
from collections.abc import Iterator
from typing import BinaryIO

from blake3 import blake3

from undercroft.families.sync.reconcile import Content
from undercroft.families.sync.storages.drive import Drive, Reading, Stat
from undercroft.families.sync.storages.errors import SourceChanged, SourceLost, Vanished
from undercroft.families.sync.storages.storage import Pace


class RemoteSource(io.RawIOBase):
    """A file of a drive, opened at the first read: `seek` before that says where."""

    def __init__(self, drive: Drive, name: str) -> None:
        self._drive = drive
        self._name = name
        self._start = 0
        self._reading: Reading | None = None
        self._blocks: Iterator[bytes]
        self._left = b""

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if self._reading is not None or whence != io.SEEK_SET:
            raise io.UnsupportedOperation("this source is read from where it was opened")
        self._start = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """Up to so many bytes. Raises SourceLost where it can't be read now, SourceChanged where it is no more."""
        try:
            if self._reading is None:
                self._open()
            while not self._left:
                block = next(self._blocks, None)
                if block is None:
                    return b""
                self._left = bytes(block)
        except FileNotFoundError:
            raise SourceChanged("the source is not there any more") from None
        except (OSError, UnicodeEncodeError, Vanished) as error:
            raise SourceLost(f"the source can't be read at this moment: {error}") from None
        if size < 0 or size >= len(self._left):
            block, self._left = self._left, b""
        else:
            block, self._left = self._left[:size], self._left[size:]
        return block

    @property
    def stat(self) -> Stat | None:
        """Of what is read; None before the first read."""
        return None if self._reading is None else self._reading.stat

    def close(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.__exit__(None, None, None)
        super().close()

    def _open(self) -> None:
        self._reading = self._drive.open(self._name, self._start)
        self._reading.__enter__()
        self._blocks = self._reading.blocks()


class Sending:
    """What was gathered, on its way to a drive: at its pace, and hashed once more, for it lay on a disk meanwhile."""

    def __init__(self, file: BinaryIO, content: Content, pace: Pace) -> None:
        self._file = file
        self._content = content
        self._pace = pace
        self._digest = blake3()

    def seek(self, offset: int) -> None:
        """To its beginning: 0."""
        self._file.seek(offset)
        self._digest = blake3()

    def read(self, size: int = -1) -> bytes:
        """Of 0 bytes: only to hear whether anybody wants it still.

        Raises SourceChanged in place of the last block where all of it is not what was asked for.
        """
        block = self._file.read(size)
        self._digest.update(block)
        done = self._file.tell()
        if done >= self._content.size and self._digest.hexdigest() != self._content.hash:
            raise SourceChanged("what was gathered of it has changed before it was sent")
        if block or not size:
            self._pace(done)
        return block
