"""What lies in the versions area: the server is told of what it does not know, and what nobody will have back goes."""

import contextlib
import time
from typing import NamedTuple

from undercroft.base.clock import DAY
from undercroft.families.sync.kept import LeftKept
from undercroft.families.sync.places import moment_at
from undercroft.families.sync.storages.errors import Changed
from undercroft.families.sync.storages.storage import InVersions, Pace, Storage, freely
from undercroft.families.sync.wire import Left
from undercroft.families.sync.worker.observing import Tell

BATCH = 500
# So many that are too old go at one connection; elsewhere each of them is a request or two.
MOST_SWEPT, MOST_SWEPT_FAR = 10_000, 100


class Known(NamedTuple):
    """What the server said: it may not know all places after this one, but knows these."""

    after: str
    places: set[str]


def tell_kept(storage: Storage, known: Known, keeping: float, tell: Tell, pace: Pace = freely) -> None:
    """In the thread that looks, before anything else is told. `keeping`: days that kept versions stay; a day after that
    the server has asked for what it knows to be dropped, and the rest goes here.

    Raises OSError, and what `pace` raises.
    """
    oldest = int(time.time() * 1_000 - (keeping + 1) * DAY)
    swept, most = 0, MOST_SWEPT if storage.polled is None else MOST_SWEPT_FAR
    left: list[LeftKept] = []
    for one in list(storage.versions()):
        pace(0)
        moment = moment_at(one.place)
        if moment is None:
            continue
        if moment < oldest:
            if swept < most:
                with contextlib.suppress(Changed, OSError):
                    storage.drop(one.place)
                swept += 1
        elif one.place > known.after and one.place not in known.places:
            left += _read(storage, one, pace)
        if len(left) == BATCH:
            tell(Left(left))
            left = []
    if left:
        tell(Left(left))


def _read(storage: Storage, one: InVersions, pace: Pace) -> list[LeftKept]:
    """Nothing for what is gone; nor, on a disk, for what can't be read now: it is told at the next connection."""
    with contextlib.suppress(FileNotFoundError if storage.polled is not None else OSError):
        return [LeftKept(one.place, storage.hash_of_version(one.place, pace), one.size, one.mtime)]
    return []
