"""Whether an open source is what is known of it."""

import io
import os

from undercroft.families.sync.storages.drive import YOUNG
from undercroft.families.sync.storages.local_content import same
from undercroft.families.sync.storages.remote_source import RemoteSource
from undercroft.families.sync.storages.storage import Source


def is_still(source: Source, revision: str, size: int) -> bool:
    """By its revision; by its size, in bytes, where none is known (""). A remote source is one answer, known from the
    first read on, which may not tell its size; a local one may be written to at any moment."""
    if isinstance(source, RemoteSource):
        stat = source.stat
        if stat is None:
            return False
        return stat.revision.removesuffix(YOUNG) == revision.removesuffix(YOUNG) if revision else stat.size == size
    assert isinstance(source, io.FileIO)
    about = os.fstat(source.fileno())
    return about.st_size == size and (not revision or same(revision, about))
