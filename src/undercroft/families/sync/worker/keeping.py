"""What lies in the versions area: the server is told of what it does not know, and what nobody will have back goes."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from undercroft.base.clock import DAY
from undercroft.families.sync.operations import LeftKept
from undercroft.families.sync.places import moment_at
from undercroft.families.sync.storages.errors import Changed, Vanished
from undercroft.families.sync.storages.storage import InVersions, Pace, Storage, freely
from undercroft.families.sync.wire import Left
from undercroft.families.sync.worker.observing import Tell

BATCH = 500
# So many that are too old go at one connection; elsewhere each of them is a request or two.
MOST_SWEPT, MOST_SWEPT_FAR = 10_000, 100
# So many bytes of what is told are read, the newest first: the rest is told without its hash. Elsewhere nothing is.
MOST_READ = 256 * 2**20


class Known(NamedTuple):
    """What the server said: it may not know all places after this one, but knows these."""

    after: str
    places: set[str]


def tell_kept(storage: Storage, known: Known, keeping: float, tell: Tell, pace: Pace = freely) -> None:
    """In the thread that looks, before anything else is told. `keeping`: days that kept versions stay; a day after that
    the server has asked for what it knows to be dropped, and the rest goes here.

    Raises OSError, and what `pace` raises: what was told by then is not told again.
    """
    oldest = int(time.time() * 1_000 - (keeping + 1) * DAY)
    unknown: list[InVersions] = []
    old: list[str] = []
    for one in storage.versions():
        pace(0)
        moment = moment_at(one.place)
        if moment is not None and moment < oldest:
            old.append(one.place)
        elif moment is not None and one.place > known.after and one.place not in known.places:
            unknown.append(one)
    _tell_in_pages(_left(storage, unknown, pace), known, tell)
    for place in old[: MOST_SWEPT if storage.polled is None else MOST_SWEPT_FAR]:
        pace(0)
        with contextlib.suppress(Changed, OSError):
            storage.drop(place)


def drop(storage: Storage, places: list[str], require_heard: Callable[[], None]) -> list[str]:
    """Those that are gone then. `require_heard` raises an OSError where nobody waits for the answer."""
    gone = []
    for place in places:
        with contextlib.suppress(Changed, OSError, Vanished):
            require_heard()
            storage.drop(place)
            gone.append(place)
    return gone


def _tell_in_pages(left: Iterator[LeftKept], known: Known, tell: Tell) -> None:
    while page := list(itertools.islice(left, BATCH)):
        tell(Left(page))
        known.places.update(one.place for one in page)


def _left(storage: Storage, unknown: list[InVersions], pace: Pace) -> Iterator[LeftKept]:
    """The newest first: what was just on its way to its name when its process was killed is told from what was replaced
    by its hash. Reading all there is would keep an entry from beginning for as long as that takes."""
    room = MOST_READ if storage.polled is None else 0
    for one in sorted(unknown, reverse=True):
        digest = ""
        if one.size <= room:
            room -= one.size
            try:
                digest = storage.hash_of_version(one.place, pace)
            except FileNotFoundError:
                continue
            except OSError:
                pass
        yield LeftKept(one.place, digest, one.size, one.mtime)
