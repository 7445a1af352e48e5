"""What the children write: one file each, that is put away when it has grown large."""

import errno
import hashlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import structlog

from undercroft.base.clock import SECOND

log = structlog.get_logger()

LARGEST_LOG = 10 * 2**20
LOGS_KEPT = 3
# How long one that can't be rotated is left alone (ms): what stands in its way seldom goes within seconds.
TRIED_AGAIN = 60 * SECOND


class Logs:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._failed: dict[str, int] = {}  # when it was last tried, ms, of those that can't be rotated

    def of(self, name: str) -> Path:
        """A file name for any process name."""
        plain = quote(name, safe=" ")
        if len(plain) > 150:
            plain = plain[:100] + hashlib.sha256(name.encode()).hexdigest()[:32]
        return self._folder / f"{plain}.log"

    def rotate(self, names: list[str], now: int) -> None:
        """Those that have grown large. One that can't be is told of once, and tried again until it goes well.

        It copies: for a thread, and for one at a time.
        """
        for name in names:
            failed = self._failed.get(name)
            if failed is not None and 0 <= now - failed < TRIED_AGAIN:
                continue
            try:
                put_away(self.of(name))
            except OSError as error:
                if name not in self._failed:
                    log.warning("log_not_rotated", process=name, reason=str(error))
                self._failed[name] = now
            else:
                self._failed.pop(name, None)


def put_away(path: Path) -> None:
    """Keep the last LOGS_KEPT of a log that has grown large. The child goes on writing to the same file, appending.

    Raises OSError: then nothing has changed but that those kept may have moved on in part, and the next call goes on
    from there. What the child writes between the last look at its log and the truncation is lost, as it must be where
    a file is put away under a writer who knows nothing of it: moments, in which nothing else is done. Killed between
    the copy and the truncation, the same lines are kept twice.
    """
    _move_on(path)  # a copy that an earlier call has made, and came no further
    if not path.exists() or path.stat().st_size < LARGEST_LOG:
        return
    if shutil.disk_usage(path.parent).free < path.stat().st_size:
        # Not for the copy to find out: it would take what the database needs meanwhile.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    with path.open("r+b") as source:
        try:
            _copy(source, _kept(path, "part"), _kept(path, 0))
            os.ftruncate(source.fileno(), 0)
        except OSError:
            _kept(path, "part").unlink(missing_ok=True)
            _kept(path, 0).unlink(missing_ok=True)
            raise
    _move_on(path)


def _copy(source: BinaryIO, part: Path, whole: Path) -> None:
    """It has its name when all of it is on the disk."""
    with part.open("wb") as target:
        shutil.copyfileobj(source, target)
        target.flush()
        os.fsync(target.fileno())
        part.rename(whole)
        shutil.copyfileobj(source, target)  # what was written meanwhile


def _move_on(path: Path) -> None:
    """The copy becomes the first of those kept; those before the first number that is free move on, the last goes."""
    places = [_kept(path, number) for number in range(LOGS_KEPT + 1)]
    free = next((number for number, place in enumerate(places) if not place.exists()), LOGS_KEPT)
    for number in range(free, 0, -1):
        places[number - 1].rename(places[number])


def _kept(path: Path, which: int | str) -> Path:
    """0: a copy that has still to become 1. `part`: one that is being made."""
    return path.with_name(f"{path.name}.{which}")
