"""Entries and rules that the settings declare: carried out at the start when they are others than the last time.

What was changed over the API since then stays until the settings themselves are changed. (contract §5, §7)
"""

from typing import Any, NamedTuple

import msgspec
import structlog
from blake3 import blake3

from undercroft.base.refusals import Refusal, conflict
from undercroft.database import Database, Transaction
from undercroft.families.sync import store_entries
from undercroft.families.sync.engine import Engine
from undercroft.families.sync.model import Rule, check_rules

log = structlog.get_logger()

SETTINGS = "settings"
"""Whom the record names."""


class Declared(NamedTuple):
    """As JSON texts; "" where the settings say nothing about it."""

    entries: str = ""
    rules: str = ""


class EntryText(msgspec.Struct, forbid_unknown_fields=True):
    driver: str
    options: dict[str, Any] = {}


class _Before(NamedTuple):
    entries: str = ""
    rules: str = ""
    names: tuple[str, ...] = ()


def read_entries(value: object) -> str:
    """`{"NAME": {"driver": …, "options": {…}}}`, as a table or a text. Raises ValueError for what is no such table.

    What can't be of an entry is said when the entry is made: one that is wrong keeps nothing else from running.
    """
    table = _converted(value, dict[str, EntryText])
    return msgspec.json.encode(table, order="sorted").decode()


def read_rules(value: object) -> str:
    """`[{"match": {…}, "sync": […]}]`, as a list or a text, checked but for whether there are such entries."""
    rules = _converted(value, tuple[Rule, ...])
    try:
        check_rules(rules, {name for rule in rules for name in rule.sync})
    except Refusal as refusal:
        raise ValueError(refusal.message) from None
    return msgspec.json.encode(rules).decode()


async def declare(engine: Engine, database: Database, declared: Declared) -> None:
    """What can't be is logged, is tried again at the next start, and keeps nothing else from being done."""
    before = await database.read(_before)
    entries = msgspec.json.decode(declared.entries or "{}", type=dict[str, EntryText])
    now = _Before(_hash(declared.entries), _hash(declared.rules), tuple(entries))
    if now.entries != before.entries:
        done = [await _carry_out(engine, database, name, entry) for name, entry in entries.items()]
        now = now if all(done) else now._replace(entries=before.entries)
    if declared.rules and now.rules != before.rules and not await _give_rules(engine, declared.rules):
        now = now._replace(rules=before.rules)
    stays = [name for name in before.names if name not in entries and not await _remove(engine, name)]
    await database.write(_note, now._replace(names=(*now.names, *stays)))


async def _carry_out(engine: Engine, database: Database, name: str, entry: EntryText) -> bool:
    try:
        there = await database.read(store_entries.find_entry, name)
        if there is None or there.is_leaving:
            await engine.add(name, entry.driver, entry.options, SETTINGS)
        elif there.driver != entry.driver:
            raise conflict("exists", f"entry {name} exists with the driver {there.driver}; remove it first")
        elif there.options != entry.options:
            await engine.change(name, entry.options, SETTINGS)
    except Refusal as refusal:
        log.error("entry_not_declared", entry=name, reason=refusal.message)
        return False
    return True


async def _give_rules(engine: Engine, rules: str) -> bool:
    try:
        await engine.put_rules(msgspec.json.decode(rules, type=tuple[Rule, ...]), SETTINGS)
        await engine.apply_rules(SETTINGS, within=0)
    except Refusal as refusal:
        log.error("rules_not_declared", reason=refusal.message)
        return False
    return True


async def _remove(engine: Engine, name: str) -> bool:
    """One that the settings name no more. Its files stay where they are."""
    try:
        await engine.remove(name, SETTINGS, within=0)
    except Refusal as refusal:
        log.warning("entry_stays", entry=name, reason=refusal.message)
        return refusal.code == "unknown_entry"
    return True


def _converted(value: object, kind: Any) -> Any:
    try:
        if isinstance(value, str):
            return msgspec.json.decode(value, type=kind)
        return msgspec.convert(value, kind)
    except (ValueError, RecursionError) as error:  # a ValidationError too: it names types, not what was written
        raise ValueError(f"it can't be read: {error}") from None


def _hash(text: str) -> str:
    return blake3(text.encode()).hexdigest(16) if text else ""


def _before(tx: Transaction) -> _Before:
    row = tx.one("SELECT entries, rules, names FROM sync_declared WHERE id = 1")
    return _Before() if row is None else _Before(row[0], row[1], tuple(msgspec.json.decode(row[2])))


def _note(tx: Transaction, done: _Before) -> None:
    tx.run(
        "INSERT INTO sync_declared (id, entries, rules, names) VALUES (1, :entries, :rules, :names)"
        " ON CONFLICT (id) DO UPDATE SET entries = excluded.entries, rules = excluded.rules, names = excluded.names",
        entries=done.entries,
        rules=done.rules,
        names=msgspec.json.encode(done.names).decode(),
    )
