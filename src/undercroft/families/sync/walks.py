"""What is done for every file, however many there are: rules are given out, a removed entry is forgotten.

An action does a page and writes down how far it is, so that what was cut short is gone on with.
"""

from typing import NamedTuple

from undercroft.database import Transaction
from undercroft.families.sync import reconcile, store, store_entries, store_versions, tallies
from undercroft.families.sync.actions import Noticed
from undercroft.families.sync.reconcile import Change

# As many as in a report of a worker's: nobody else waits longer for his turn to write.
PAGE = 500


class Page(NamedTuple):
    noticed: Noticed
    more: bool


_LAST = Page(Noticed(set(), []), False)


def give_out(tx: Transaction) -> Page:
    """Files by the rules that count."""
    store_entries.take_turn(tx)
    after = store_entries.given_to(tx)
    if after is None:
        return _LAST
    sharing = store_entries.sharing(tx)
    paths = store.paths_after(tx, after, PAGE)
    more = len(paths) == PAGE
    store_entries.note_given(tx, paths[-1] if more else None)
    known = store.load(tx, paths)
    changes = {}
    for path, (file, copies) in known.items():
        if file is not None:
            change = reconcile.reassign(file, copies, sharing.holders(path))
            if change != Change(file, {}):
                changes[path] = change
    return Page(Noticed(store.save(tx, known, changes), list(changes)), more)


def forget(tx: Transaction, name: str) -> Page:
    """A removed entry: what is known of its files, which stay where they are; what it keeps and skips; then itself."""
    store_entries.take_turn(tx)
    entry = store_entries.find_entry(tx, name)
    if entry is None or entry.forgotten_to is None:
        return _LAST
    if paths := store.paths_after(tx, entry.forgotten_to, PAGE):
        store_entries.note_forgotten(tx, name, paths[-1])
        return Page(_disown(tx, name, paths), True)
    if store_versions.forget_some(tx, name, PAGE) or store_entries.forget_skipped(tx, name, PAGE):
        return Page(_LAST.noticed, True)
    tallies.forget(tx, name)
    store_entries.remove_entry(tx, name)
    return _LAST


def _disown(tx: Transaction, name: str, paths: list[str]) -> Noticed:
    known = store.load(tx, paths)
    changes: dict[str, Change] = {}
    for path, (file, copies) in known.items():
        if file is not None:
            change = reconcile.disown(file, copies, name)
            if name in copies or change != Change(file, {}):
                changes[path] = change
    return Noticed(store.save(tx, known, changes, without=name), list(changes))
