"""Entries and files as people see them at a glance. What is counted one by one stops somewhere, and so do all lists: a
page costs the same however much is stored."""

import itertools
from typing import NamedTuple

from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Database, Transaction
from undercroft.families.sync import kept, listing, store, store_entries, store_versions, tallies
from undercroft.families.sync.engine import Engine
from undercroft.families.sync.listing import Listed
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.store_versions import KeptVersion

MOST_COUNTED = 10_000
# Of what is held, skipped or failed; the API lists more.
FIRST = 5
MOST_TRANSFERS = 50
MOST_CONFLICTS = 10


class Named(NamedTuple):
    path: str
    reason: str
    fid: str | None
    """None where it is no file of sync's."""


class Some(NamedTuple):
    """The first of them, and how many there are; MOST_COUNTED at the most."""

    first: list[Named]
    counted: int


class Found(NamedTuple):
    """What the database knows of an entry."""

    files: int
    """That it holds or should hold."""
    behind: int
    """MOST_COUNTED at the most."""
    held: Some
    skipped: Some


class Sight(NamedTuple):
    """An entry."""

    name: str
    driver: str
    status: str
    reason: str | None
    is_away: bool
    scanned_at: int | None
    """When it last had looked at everything (ms); None before, and where another node runs it."""
    failed: Some
    found: Found
    drops_early: str
    """Why kept versions go before their time; "" where they don't."""


class Transfer(NamedTuple):
    """Of a large file; in bytes."""

    entry: str
    path: str
    fid: str
    done: int
    size: int


class Conflict(NamedTuple):
    at: int
    path: str
    fid: str
    kept_as: str
    kept_fid: str
    entry: str
    """Of which a change met another."""


class Copy(NamedTuple):
    """Of one file, in an entry that should hold it."""

    entry: str
    status: str
    """The entry's."""
    is_uptodate: bool
    is_held: bool
    """It was deleted there, which waits for somebody's word."""
    reason: str | None
    """Why it is not, as far as that is known."""
    transfer: Transfer | None


class Closely(NamedTuple):
    """One file: what lists show of it, None where it was deleted; and a page of what is kept of it, the last first."""

    fid: str
    path: str
    listed: Listed | None
    copies: list[Copy]
    versions: list[KeptVersion]


async def standing(engine: Engine, entry: Entry) -> tuple[str, str | None]:
    """Its status; and why it has stopped by itself, or does nothing at this moment."""
    return await engine.status(entry.name), entry.reason or engine.away(entry) or None


async def see_entries(database: Database, engine: Engine) -> list[Sight]:
    seen = []
    for entry in await database.read(store_entries.entries):
        try:
            seen.append(await _see(database, engine, entry))
        except Refusal as refusal:
            if refusal.kind is not Kind.NOT_FOUND:  # it was removed meanwhile
                raise
    return seen


def count_files(tx: Transaction) -> tuple[int, int]:
    """All of them, and those of which a copy is behind."""
    return tallies.count(tx, None, None), tallies.count(tx, None, True)


def transfers(engine: Engine) -> list[Transfer]:
    every = (
        Transfer(link.name, path, fid_of(path), *how)
        for link in engine.links()
        for path, how in list(link.transfers.items())
    )
    return list(itertools.islice(every, MOST_TRANSFERS))


def conflicts(tx: Transaction) -> list[Conflict]:
    """The last ones first."""
    return [
        Conflict(at, path, fid_of(path), kept_as, fid_of(kept_as), entry)
        for at, path, kept_as, entry in store_entries.conflicts(tx, MOST_CONFLICTS)
    ]


async def see_closely(database: Database, engine: Engine, fid: str, offset: int, limit: int) -> Closely:
    """Raises Refusal(NOT_FOUND) where nothing is known of it and nothing kept."""
    path, listed, versions = await database.read(_find_closely, fid, offset, limit)
    entries = {entry.name: entry for entry in await database.read(store_entries.entries)}
    owners = listed.file.owners if listed else ()
    copies = [await _copy(engine, entries[name], listed) for name in owners if listed and name in entries]
    return Closely(fid, path, listed, copies, versions)


# Parts


async def _see(database: Database, engine: Engine, entry: Entry) -> Sight:
    status, reason = await standing(engine, entry)
    found = await database.read(_find, entry.name)
    link = engine.link(entry.name)
    failed = link.giving.failed if link else {}
    return Sight(
        entry.name,
        entry.driver,
        status,
        reason,
        bool(engine.away(entry)),
        link.scanned_at if link else None,
        Some([Named(path, why, fid_of(path)) for path, why in itertools.islice(failed.items(), FIRST)], len(failed)),
        found,
        link.drops_early if link else "",
    )


def _find(tx: Transaction, entry: str) -> Found:
    held = [Named(path, "", fid_of(path)) for path in store.held_of(tx, entry, FIRST)]
    skipped = [Named(path, reason, None) for path, reason in store_entries.skipped(tx, entry, FIRST)]
    return Found(
        tallies.count(tx, entry, None),
        _count(tx, "sync_copies WHERE entry = :entry AND behind = 1", entry),
        Some(held, _count(tx, "sync_copies WHERE entry = :entry AND held = 1", entry)),
        Some(skipped, _count(tx, "sync_skipped WHERE entry = :entry", entry)),
    )


def _count(tx: Transaction, rows: str, entry: str) -> int:
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {rows} LIMIT :most) counted"
    row = tx.one(sql, entry=entry, most=MOST_COUNTED)
    return int(row[0]) if row else 0


def _find_closely(tx: Transaction, fid: str, offset: int, limit: int) -> tuple[str, Listed | None, list[KeptVersion]]:
    return kept.require_path(tx, fid), listing.find(tx, fid), store_versions.of_file(tx, fid, offset, limit)


async def _copy(engine: Engine, entry: Entry, listed: Listed) -> Copy:
    path, link = listed.file.path, engine.link(entry.name)
    status, reason = await standing(engine, entry)
    under_way = link.transfers.get(path) if link else None
    return Copy(
        entry.name,
        status,
        entry.name in listed.uptodate,
        entry.name in listed.held,
        (link.giving.failed.get(path) if link else None) or reason,
        under_way and Transfer(entry.name, path, listed.fid, *under_way),
    )
