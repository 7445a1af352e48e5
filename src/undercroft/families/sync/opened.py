"""A file of an entry, open to be read from a byte on: what was listed, or none. One thread's at a time: it blocks."""

from typing import NamedTuple

from undercroft.families.sync.storages import Place, SharedLines, Storage, open_storage
from undercroft.families.sync.storages.errors import SourceChanged
from undercroft.families.sync.storages.sources import is_still
from undercroft.families.sync.storages.storage import Source

BLOCK = 256 * 1_024


class Wanted(NamedTuple):
    path: str
    revision: str
    size: int


class Opened:
    def __init__(self, storage: Storage, source: Source, wanted: Wanted, most: int) -> None:
        """`most`: bytes that will be asked for. Raises SourceChanged where the source is not what is wanted."""
        self._storage = storage
        self._source = source
        self._wanted = wanted
        # Only a read shows whether a storage elsewhere can be reached, also where nothing is to be had.
        self.first = self._read(max(1, most))[:most]
        if not self.first and most:
            raise SourceChanged("it ended before its length")

    def read(self, most: int) -> bytes:
        """At least a byte of what is wanted: what is changed while it is sent is not told from that afterwards."""
        block = self._read(most)
        if not block:
            raise SourceChanged("it ended before its length")
        return block

    def _read(self, most: int) -> bytes:
        block = self._source.read(min(BLOCK, most)) or b""
        if not is_still(self._source, self._wanted.revision, self._wanted.size):
            raise SourceChanged("it is another than it was")
        return block

    def close(self) -> None:
        try:
            self._source.close()
        finally:
            self._storage.close()


def open_content(place: Place, lines: SharedLines, wanted: Wanted, start: int, end: int) -> Opened:
    """`lines`: of all who read. Raises OSError, SourceChanged, UnicodeEncodeError, Vanished."""
    storage = open_storage(place, lines=lines)
    try:
        source = storage.open_source(wanted.path)
        try:
            source.seek(start)
            return Opened(storage, source, wanted, end - start)
        except BaseException:
            source.close()
            raise
    except BaseException:
        storage.close()
        raise
