"""What can be done with files, entries and rules: one transaction's worth of meaning each."""

from collections.abc import Container, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from undercroft.base.clock import SECOND
from undercroft.base.refusals import conflict, invalid, not_found
from undercroft.database import Transaction
from undercroft.families.sync import kept, reconcile, steps, store, store_entries, store_versions
from undercroft.families.sync.drivers import place
from undercroft.families.sync.model import Rule, check_entry, check_rules, with_secrets
from undercroft.families.sync.operations import Delete, Kept, Operation, Put, Settled
from undercroft.families.sync.reconcile import Change, Seen
from undercroft.families.sync.recording import HOUSE, Deed, record
from undercroft.families.sync.sharing import Sharing
from undercroft.families.sync.store_entries import Entry, Rules

PAGE = 1_000
BEING_REMOVED = "it is being removed"


class Noticed(NamedTuple):
    """What came of a report."""

    busy: set[str]
    """Entries that have something to do now."""
    paths: list[str]
    """Files that have changed."""


def note_seen(tx: Transaction, entry: str, reports: list[Seen], now: int, *, hold: bool = False) -> Noticed:
    """A worker saw these."""
    store_entries.take_turn(tx)
    sharing = store_entries.sharing(tx)
    stamp = _stamp(now)
    latest = {report.path: report for report in reports}
    known = store.load(tx, list(latest))
    changes: dict[str, Change] = {}
    for path, report in latest.items():
        file, copies = known[path]
        owners = sharing.holders(path)
        change = reconcile.seen(file, copies, entry, report, owners, now, stamp, hold=hold)
        if change.file is not None or file is not None:
            changes[path] = change
        if change.conflict is not None:
            store_entries.note_conflict(tx, now, path, change.conflict.kept_as, entry)
    return _write(tx, known, changes)


def note_restored(tx: Transaction, entry: str, place: str, seen: Seen | None, now: int) -> Noticed:
    """A worker has tried to give a kept version a name; `seen`: what lies there, None where that failed."""
    store_entries.take_turn(tx)
    store_versions.answer(tx, entry, place)
    if seen is None:
        return Noticed(set(), [])
    known = store.load(tx, [seen.path])
    file, copies = known[seen.path]
    owners = store_entries.sharing(tx).holders(seen.path)
    return _write(tx, known, {seen.path: reconcile.restored(file, copies, entry, seen, owners, now)})


def settle(tx: Transaction, entry: str, done: list[Settled], replaced: list[Kept], now: int) -> Noticed:
    """A worker has carried these out."""
    store_entries.take_turn(tx)
    latest = {one.seen.path: one for one in done}
    known = store.load(tx, list(latest))
    changes = {
        path: reconcile.settle(known[path].file, known[path].copies, entry, one.seen, one.version)
        for path, one in latest.items()
    }
    kept.note(tx, entry, replaced, now)
    return _write(tx, known, changes)


def to_do(tx: Transaction, entry: str, paths: list[str], leave: Container[str] = ()) -> list[Operation]:
    """What the entry has to do about these; and about the other names of moved files, but for those in `leave`."""
    known = store.load(tx, paths)
    found = _steps(known, entry)
    others = {path for path in _other_names(tx, entry, known, found) if path not in known and path not in leave}
    if others:
        known |= store.load(tx, sorted(others))
        found = _steps(known, entry)
    contents = {p: k.copies[entry].content for p, k in known.items() if entry in k.copies}
    return steps.with_moves(found, {p: content for p, content in contents.items() if content is not None})


def _steps(known: Mapping[str, store.Known], entry: str) -> list[Operation]:
    found = (steps.operation(file, copies, entry) for file, copies in known.values() if file is not None)
    return [step for step in found if step is not None]


def _other_names(tx: Transaction, entry: str, known: Mapping[str, store.Known], found: list[Operation]) -> list[str]:
    """Where what is to come lies by now, and where what is to go is to come: a large folder that was renamed is not
    in one page with what it was."""
    comes = {step.content.hash for step in found if isinstance(step, Put) and not step.base}
    held = (known[step.path].copies[entry].content for step in found if isinstance(step, Delete))
    goes = {content.hash for content in held if content is not None}
    leaving = store.leaving(tx, entry, comes - goes, PAGE) if comes - goes else []
    return leaving + (store.arriving(tx, entry, goes - comes, PAGE) if goes - comes else [])


def make_way(tx: Transaction, pairs: list[tuple[str, str]], now: int) -> Noticed:
    """One of each of these is to be a file where the other needs a folder. The file is kept beside, as in any conflict.

    Nothing is done while an entry seems to hold both: it has changed the one into the other, and is not done telling.
    """
    store_entries.take_turn(tx)
    known = store.load(tx, sorted({path for pair in pairs for path in pair}))
    changes: dict[str, Change] = {}
    for path, by in pairs:
        where, below = sorted((path, by), key=len)
        file = known[where].file
        if file is None or not _is_in_the_way(known[where], known[below]) or changes.keys() & {where, below}:
            continue
        changes[where] = change = reconcile.make_way(file, known[where].copies, now, _stamp(now))
        assert change.conflict is not None
        store_entries.note_conflict(tx, now, where, change.conflict.kept_as, file.origin)
    return _write(tx, known, changes)


def _is_in_the_way(one: store.Known, other: store.Known) -> bool:
    if any(known.file is None or known.file.content is None for known in (one, other)):
        return False
    holding, others = ({c.entry for c in known.copies.values() if c.content is not None} for known in (one, other))
    return holding.isdisjoint(others)


def confirm_deletions(tx: Transaction, entry: str, really: bool, now: int) -> Noticed:
    """Those that were held, PAGE at a time: the deletion is meant, or the entry gets its files back."""
    store_entries.take_turn(tx)
    _require_entry(tx, entry)
    paths = store.held_of(tx, entry, PAGE)
    known = store.load(tx, paths)
    changes = {}
    for path, (file, copies) in known.items():
        if file is not None:
            given = reconcile.confirm(file, copies, entry, now) if really else reconcile.refuse(file, copies, entry)
            changes[path] = given
    return _write(tx, known, changes)


def put_rules(tx: Transaction, rules: tuple[Rule, ...]) -> None:
    store_entries.take_turn(tx)
    check_rules(rules, staying(tx))
    store_entries.put_rules(tx, Rules(rules, store_entries.rules(tx).applied))


def apply_rules(tx: Transaction) -> None:
    """From now on what appears is given out by the stored rules; what is there is `walks.give_out`'s.

    All of it, also where they are the same or are being given out: who changed a file meanwhile became its owner.
    """
    store_entries.take_turn(tx)
    rules = store_entries.rules(tx)
    store_entries.put_rules(tx, Rules(rules.stored, rules.stored))
    store_entries.note_given(tx, "")


def preview_page(
    tx: Transaction, sharing: Sharing, after: str
) -> tuple[list[tuple[str, set[str], set[str]]], str | None]:
    """What these rules would change: (path, new owners, ex-owners) of files past this path; where to go on.

    As `reconcile.reassign`; who holds a copy makes no difference to that.
    """
    files = store.owned_after(tx, after, PAGE)
    found = []
    for path, owners, origin, is_here in files:
        then = sharing.holders(path) or (origin,)
        if is_here and owners != then and (gains := set(then) - set(owners)) | (loses := set(owners) - set(then)):
            found.append((path, gains, loses))
    return found, files[-1][0] if len(files) == PAGE else None


def add_entry(tx: Transaction, name: str, driver: str, options: dict[str, Any], now: int) -> None:
    check_entry(name, driver, options)
    if not store_entries.add_entry(tx, name, driver, options, now):
        _require_staying(tx, name)
        raise conflict("exists", f"entry {name} exists already")


def change_entry(tx: Transaction, name: str, options: dict[str, Any]) -> Entry:
    entry = _require_staying(tx, name)
    check_entry(name, entry.driver, options)
    options = with_secrets(entry.driver, options, entry.options)
    if place(entry.driver, options) != place(entry.driver, entry.options) and store.count_present(tx, name):
        raise invalid("entry", f"entry {name} holds files: remove it and add another for another place")
    store_entries.change_entry(tx, name, options)
    return entry


def begin_removal(tx: Transaction, name: str) -> None:
    """It is to stop; the rest is `walks.forget`'s."""
    _require_removable(tx, name)
    store_entries.begin_removal(tx, name, BEING_REMOVED)


def turn(tx: Transaction, name: str, up: bool) -> None:
    """Whether it should run."""
    _require_staying(tx, name)
    store_entries.set_up(tx, name, up, None)


def stop_itself(tx: Transaction, entry: Entry, reason: str, now: int) -> bool:
    """Its storage can't be used; False where it has another by now, or is to stand still anyway."""
    found = store_entries.find_entry(tx, entry.name)
    if found is None or not found.up or found.place != entry.place:
        return False
    store_entries.set_up(tx, entry.name, False, reason)
    record(tx, Deed(HOUSE, now, "stop entry", entry.name, {"reason": reason}))
    return True


def staying(tx: Transaction) -> set[str]:
    """Entries that rules may name."""
    return {entry.name for entry in store_entries.entries(tx) if not entry.is_leaving}


def _require_removable(tx: Transaction, name: str) -> None:
    store_entries.take_turn(tx)
    _require_entry(tx, name)
    rules = store_entries.rules(tx)
    if any(name in rule.sync for rule in (*rules.stored, *rules.applied)):
        raise conflict("in_use", f"entry {name} is named by a rule; take it out and reload the rules first")


def require_entry(tx: Transaction, name: str) -> Entry:
    return _require_entry(tx, name)


def _require_entry(tx: Transaction, name: str) -> Entry:
    entry = store_entries.find_entry(tx, name)
    if entry is None:
        raise not_found("unknown_entry", f"entry {name} not found")
    return entry


def _require_staying(tx: Transaction, name: str) -> Entry:
    entry = _require_entry(tx, name)
    if entry.is_leaving:
        raise conflict("leaving", f"entry {name} is being removed")
    return entry


def _stamp(now: int) -> str:
    return datetime.fromtimestamp(now / SECOND, UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]


def _write(tx: Transaction, known: dict[str, store.Known], changes: dict[str, Change]) -> Noticed:
    return Noticed(store.save(tx, known, changes), list(changes))
