"""The tables of entries, rules, conflicts and what was skipped."""

import functools
from typing import Any, NamedTuple

import msgspec

from undercroft.database import Transaction
from undercroft.database.interface import Row
from undercroft.families.sync.model import Rule
from undercroft.families.sync.names import LONGEST_PATH
from undercroft.families.sync.sharing import Sharing

_ENTRY = "name, driver, options, up, reason, made_at, forgotten_to"
_rules = msgspec.json.Decoder(tuple[Rule, ...])


class Entry(NamedTuple):
    name: str
    driver: str
    options: dict[str, Any]
    up: bool
    """Whether it should run."""
    reason: str | None
    """Why it stopped by itself."""
    made_at: int = 0
    forgotten_to: str | None = None
    """It is being removed: what is known of its files up to this path is forgotten."""

    @property
    def is_leaving(self) -> bool:
        return self.forgotten_to is not None

    @property
    def place(self) -> tuple[str, dict[str, Any]]:
        return self.driver, self.options

    @property
    def mark(self) -> str:
        """What tells its root from all others; also from that of one of its name before it."""
        return f"{self.name} {self.made_at}"


class Rules(NamedTuple):
    stored: tuple[Rule, ...]
    applied: tuple[Rule, ...]


def entries(tx: Transaction) -> list[Entry]:
    rows = tx.all(f"SELECT {_ENTRY} FROM sync_entries ORDER BY made_at, name")
    return [_entry(*row) for row in rows]


def find_entry(tx: Transaction, name: str) -> Entry | None:
    row = tx.one(f"SELECT {_ENTRY} FROM sync_entries WHERE name = :name", name=name)
    return None if row is None else _entry(*row)


def add_entry(tx: Transaction, name: str, driver: str, options: dict[str, Any], now: int) -> bool:
    """False where there is one of that name."""
    text = msgspec.json.encode(options).decode()
    return tx.run(
        "INSERT INTO sync_entries (name, driver, options, up, made_at) VALUES (:name, :driver, :options, 1, :now)"
        " ON CONFLICT DO NOTHING",
        name=name,
        driver=driver,
        options=text,
        now=now,
    ) > 0  # fmt: skip


def change_entry(tx: Transaction, name: str, options: dict[str, Any]) -> None:
    text = msgspec.json.encode(options).decode()
    tx.run("UPDATE sync_entries SET options = :options, reason = NULL WHERE name = :name", name=name, options=text)


def remove_entry(tx: Transaction, name: str) -> None:
    tx.run("DELETE FROM sync_entries WHERE name = :name", name=name)


def set_up(tx: Transaction, name: str, up: bool, reason: str | None) -> None:
    tx.run(
        "UPDATE sync_entries SET up = :up, reason = :reason WHERE name = :name AND forgotten_to IS NULL",
        name=name,
        up=int(up),
        reason=reason,
    )  # fmt: skip


def begin_removal(tx: Transaction, name: str, reason: str) -> None:
    """One that was begun already is gone on with."""
    begun = "up = 0, reason = :reason, forgotten_to = coalesce(forgotten_to, '')"
    tx.run(f"UPDATE sync_entries SET {begun} WHERE name = :name", name=name, reason=reason)


def leaving(tx: Transaction) -> list[str]:
    """Entries that are being removed."""
    return [name for (name,) in tx.all("SELECT name FROM sync_entries WHERE forgotten_to IS NOT NULL ORDER BY name")]


def note_forgotten(tx: Transaction, name: str, path: str) -> None:
    tx.run("UPDATE sync_entries SET forgotten_to = :path WHERE name = :name", name=name, path=path)


def take_turn(tx: Transaction) -> int:
    """One change of the index after the other: it is read, decided upon and written, and on PostgreSQL others would
    read the same meanwhile. The term that it falls into."""
    return _number(tx.one("SELECT term FROM sync_rules WHERE id = 1 {locked}"))


def term(tx: Transaction) -> int:
    """Which engine's it is, counted."""
    return _number(tx.one("SELECT term FROM sync_rules WHERE id = 1"))


def begin_term(tx: Transaction) -> int:
    """Whatever engine had the one before writes no more."""
    tx.run("UPDATE sync_rules SET term = term + 1 WHERE id = 1")
    return term(tx)


def rules(tx: Transaction) -> Rules:
    row = tx.one("SELECT stored, applied FROM sync_rules WHERE id = 1")
    return Rules((), ()) if row is None else Rules(_rules.decode(row[0]), _rules.decode(row[1]))


def sharing(tx: Transaction) -> Sharing:
    """Who holds what by the applied rules."""
    row = tx.one("SELECT applied FROM sync_rules WHERE id = 1")
    return Sharing(()) if row is None else _sharing(row[0])


@functools.lru_cache(maxsize=2)
def _sharing(applied: str) -> Sharing:
    """Rules seldom change, and each report asks for them."""
    return Sharing(_rules.decode(applied))


def put_rules(tx: Transaction, changed: Rules) -> None:
    tx.run(
        "INSERT INTO sync_rules (id, stored, applied) VALUES (1, :stored, :applied)"
        " ON CONFLICT (id) DO UPDATE SET stored = excluded.stored, applied = excluded.applied",
        stored=msgspec.json.encode(changed.stored).decode(),
        applied=msgspec.json.encode(changed.applied).decode(),
    )


def given_to(tx: Transaction) -> str | None:
    """Files past this path are still to be given out by the applied rules; None: all are."""
    row = tx.one("SELECT given_to FROM sync_rules WHERE id = 1")
    return None if row is None else row[0]


def note_given(tx: Transaction, path: str | None) -> None:
    tx.run("UPDATE sync_rules SET given_to = :path WHERE id = 1", path=path)


def counted(tx: Transaction) -> int:
    """Of how many shelves (`tallies`) files are counted."""
    return _number(tx.one("SELECT counted FROM sync_rules WHERE id = 1"))


def note_counted(tx: Transaction, shelves: int) -> None:
    tx.run("UPDATE sync_rules SET counted = :shelves WHERE id = 1", shelves=shelves)


def note_conflict(tx: Transaction, now: int, path: str, kept_as: str, entry: str) -> None:
    tx.run(
        "INSERT INTO sync_conflicts (at, path, kept_as, entry) VALUES (:now, :path, :kept_as, :entry)",
        now=now,
        path=path,
        kept_as=kept_as,
        entry=entry,
    )


def conflicts(tx: Transaction, limit: int) -> list[tuple[int, str, str, str]]:
    """(at, path, kept_as, entry), the last ones first."""
    return tx.all("SELECT at, path, kept_as, entry FROM sync_conflicts ORDER BY id DESC LIMIT :most", most=limit)


def forget_conflicts(tx: Transaction, before: int, limit: int) -> None:
    """The oldest of those from before this moment."""
    tx.run(
        "DELETE FROM sync_conflicts WHERE id IN"
        " (SELECT id FROM sync_conflicts WHERE at < :before ORDER BY at LIMIT :most)",
        before=before,
        most=limit,
    )


def note_skipped(tx: Transaction, entry: str, skipped: list[tuple[str, str]], anew: bool) -> None:
    """(path, why; "" for what is skipped no more). `anew`: what was noted before is forgotten."""
    reasons = {_fitting(path): reason for path, reason in skipped}
    gone = [(path,) for path, reason in reasons.items() if not reason]
    if anew:
        tx.run("DELETE FROM sync_skipped WHERE entry = :entry", entry=entry)
    elif gone:
        sql = "DELETE FROM sync_skipped WHERE entry = :entry AND path IN (SELECT path FROM {rows})"
        tx.each(sql, "path TEXT", gone, entry=entry)
    tx.each(
        "INSERT INTO sync_skipped (entry, path, reason) SELECT :entry, r.path, r.reason FROM {rows} WHERE true"
        " ON CONFLICT (entry, path) DO UPDATE SET reason = excluded.reason",
        "path TEXT, reason TEXT",
        [(path, reason) for path, reason in reasons.items() if reason],
        entry=entry,
    )


def _fitting(path: str) -> str:
    """One that is too long for a key is among what is skipped: its beginning."""
    encoded = path.encode()
    return path if len(encoded) <= LONGEST_PATH else encoded[: LONGEST_PATH - 3].decode(errors="ignore") + "…"


def skipped(tx: Transaction, entry: str, limit: int) -> list[tuple[str, str]]:
    sql = "SELECT path, reason FROM sync_skipped WHERE entry = :entry ORDER BY path LIMIT :most"
    return tx.all(sql, entry=entry, most=limit)


def count_skipped(tx: Transaction, entry: str) -> int:
    return _number(tx.one("SELECT count(*) FROM sync_skipped WHERE entry = :entry", entry=entry))


def forget_skipped(tx: Transaction, entry: str, limit: int) -> bool:
    """Of a removed entry's; whether there were any."""
    paths = [(path,) for path, _ in skipped(tx, entry, limit)]
    sql = "DELETE FROM sync_skipped WHERE entry = :entry AND path IN (SELECT path FROM {rows})"
    tx.each(sql, "path TEXT", paths, entry=entry)
    return bool(paths)


def _number(row: Row | None) -> int:
    return int(row[0]) if row else 0


def _entry(name: str, driver: str, options: str, up: int, *rest: Any) -> Entry:
    return Entry(name, driver, msgspec.json.decode(options), bool(up), *rest)
