"""Kept versions: what was replaced or deleted lies in its entry's versions area until its time is over.

What a worker has kept in the moment in which it was killed is found again: at the next connection it tells of all
places that the server does not know, and a place says whose it is.
"""

from collections.abc import Collection
from typing import NamedTuple

from blake3 import blake3

from undercroft.base.clock import DAY
from undercroft.base.refusals import not_found
from undercroft.database import Transaction
from undercroft.families.sync import room, store, store_entries, store_versions
from undercroft.families.sync.drivers import COMMON, LOCAL, option
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.operations import Kept, LeftKept, Room
from undercroft.families.sync.places import fid_at, first_place, id_at, moment_at
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.store_versions import KeptVersion, Place

PAGE = 1_000
# What was made earlier than the newest that was told may be told later: by as much as a clock may be set back.
STRAGGLING = DAY
RECOVERED = "recovered-"
START = (0, "")
FEW = 10


class Limits(NamedTuple):
    """What there is room for."""

    usual: int = 0
    """Bytes that entries keep which say nothing else; 0: by the room (`room.most`)."""
    room: Room | None = None
    is_settling: bool = False
    """It was made just now, and may not be seen yet."""


class After(NamedTuple):
    """How far has been asked: what can't be dropped holds up nothing that comes after it."""

    old: tuple[int, str] | None = START
    """None: all of what is too old."""
    early: Place = store_versions.FIRST


class Going(NamedTuple):
    """Kept versions that are to be dropped."""

    places: list[str]
    after: After
    left: int | None = None
    """So many bytes more may be kept, less than 0 of too many; None where that is not known."""
    why: str = ""
    """Some have to go before their time; "" where none have to."""
    early: int = 0
    """How many of these do."""


def note(tx: Transaction, entry: str, kept: list[Kept], now: int) -> None:
    store_versions.add(tx, entry, [_version(entry, one, now, fid_of(one.path)) for one in kept])


def note_left(tx: Transaction, entry: str, left: list[LeftKept]) -> list[KeptVersion]:
    """Write down what a worker kept and had no time to tell; those of it whose names nobody knows any more.

    Before anything else of that connection is: what was replaced is still known under its name then. What equals the
    file as it should be was on its way to its name, and is no older version.
    """
    fids = {one.place: fid_at(one.place) for one in left}
    paths = store_versions.paths_of(tx, set(fids.values()) - {""})
    known = store.load(tx, list(paths.values()))
    versions = []
    for one in left:
        fid, moment = fids[one.place], moment_at(one.place)
        path = paths.get(fid) or RECOVERED + id_at(one.place)
        if moment is not None and not (path in known and _was_arriving(known[path], entry, one.hash)):
            versions.append(_version(entry, Kept(path, *one), moment, fid or fid_of(path)))
    store_versions.add(tx, entry, versions)
    return [version for version in versions if version.fid not in paths]


def known_places(tx: Transaction, entry: str, after: str) -> list[str]:
    """A page of those past this one."""
    return store_versions.places_after(tx, entry, after, PAGE)


def told_after(tx: Transaction, entry: Entry, now: int) -> str:
    """The place after which a worker may have kept more than it has told. A storage elsewhere keeps what is replaced
    before its successor is on its way, which may take days: there, after "". What a clock that ran ahead has made says
    nothing of what came since."""
    if entry.driver != LOCAL:
        return ""
    moment = moment_at(store_versions.newest_place(tx, entry.name, first_place(now)))
    return "" if moment is None else first_place(moment - STRAGGLING)


def expired(tx: Transaction, entry: Entry, now: int, after: tuple[int, str], most: int) -> list[KeptVersion]:
    """A page of those whose time is over, past one (`replaced_at`, `id`)."""
    return store_versions.replaced_before(tx, entry.name, max(0, now - keeping_of(entry)), after, most)


def to_go(tx: Transaction, entry: Entry, now: int, limits: Limits, after: After, most: int) -> Going:
    """The next page of what is to be dropped: what was to go already when its process ended; else what is too old,
    and as much of the rest as there is no room for."""
    if again := store_versions.going(tx, entry.name, most):
        return Going(again, after)
    old = [] if after.old is None else expired(tx, entry, now, after.old, most)
    past = (old[-1].replaced_at, old[-1].id) if len(old) == most else None
    freed = sum(version.counted for version in old)
    bytes = store_versions.bytes_of(tx, entry.name) - freed
    disk = limits.room and limits.room._replace(free=limits.room.free + freed)
    allowed = room.most(entry.driver, entry.options, limits.usual, bytes, disk)
    over = room.excess(bytes, allowed, None if limits.is_settling else disk)
    places = [version.place for version in old]
    early = _least_worth(tx, entry.name, now, over, after.early, most - len(old), places) if over.bytes else []
    places += [version.place for _, version in early]
    left = None if allowed is None else allowed - bytes
    return Going(places, After(past, early[-1][0] if early else store_versions.FIRST), left, over.why, len(early))


def _least_worth(
    tx: Transaction, entry: str, now: int, over: room.Excess, after: Place, most: int, gone: list[str]
) -> list[tuple[Place, KeptVersion]]:
    """As many as take so many bytes, but for these; few are looked at for few."""
    going = set(gone)
    found: list[tuple[Place, KeptVersion]] = []
    before = now + (DAY if over.all else -room.LEAST_AGE)
    bytes, page = 0, FEW
    while bytes < over.bytes and len(found) < most:
        page = min(4 * page, most - len(found))
        more = store_versions.least_worth(tx, entry, before, after, page)
        for place, version in more:
            if bytes < over.bytes and version.place not in going:
                found.append((place, version))
                bytes += version.counted
        if len(more) < page:
            break
        after = more[-1][0]
    return found


def note_dropped(tx: Transaction, entry: str, gone: Collection[str], asked: Collection[str]) -> None:
    """The rest of what was to go could not be dropped: it is listed again."""
    store_versions.forget(tx, entry, gone)
    store_versions.keep_on(tx, entry, set(asked).difference(gone))


def keeping_of(entry: Entry) -> int:
    """How long it keeps what was replaced (ms)."""
    return int(option(entry.driver, entry.options, "keep_versions") * DAY)


def require_path(tx: Transaction, fid: str) -> str:
    """Of a file that is there, or of which only versions are left. Raises Refusal(NOT_FOUND)."""
    path = store_versions.paths_of(tx, [fid]).get(fid)
    if path is None:
        raise not_found("unknown_file", f"file {fid} not found")
    return path


def require_version(tx: Transaction, fid: str, id: str) -> tuple[str, KeptVersion]:
    """The file's path, and this version of it. Raises Refusal(NOT_FOUND)."""
    path = require_path(tx, fid)
    version = None if "\x00" in id else store_versions.find(tx, fid, id)
    if version is None:
        raise not_found("version", f"version {id[:100]} not found")
    return path, version


def forget_conflicts(tx: Transaction, now: int) -> None:
    """A page of those that are older than what any entry keeps, and than what one keeps unless it is told otherwise."""
    longest = max((keeping_of(entry) for entry in store_entries.entries(tx)), default=0)
    usual = int(COMMON["keep_versions"].default * DAY)
    store_entries.forget_conflicts(tx, now - max(longest, usual), PAGE)


def name_files(tx: Transaction) -> bool:
    """Give a page of rows from before they had one their file's id; whether there may be more."""
    rows = store_versions.without_file(tx, PAGE)
    store_versions.put_files(tx, [(id, fid_of(path)) for id, path in rows])
    return len(rows) == PAGE


def _version(entry: str, kept: Kept, replaced_at: int, fid: str) -> KeptVersion:
    """Its id is made of its place: whoever writes it down again writes the same."""
    id = id_at(kept.place) + blake3(entry.encode()).hexdigest(4)
    return KeptVersion(id, kept.path, entry, *kept[1:], replaced_at, fid)


def _was_arriving(known: store.Known, entry: str, hash: str) -> bool:
    copy = known.copies.get(entry)
    is_new = known.file is not None and known.file.content is not None and known.file.content.hash == hash
    return is_new and (copy is None or copy.content is None or copy.content.hash != hash)
