"""What each entry has, had and should have → what to do. Pure.

A file has one newest version; every entry that holds or should hold it has a copy: what lies there as far as is known,
and of which version it is. This happens to them:

    seen       an entry's worker saw content appear, change or vanish that nobody had sent there
    restored   a version that an entry kept has its name there again
    settle     an operation of ours was carried out
    reassign   the rules give the file to others
    disown     an entry is removed, and what it holds with it

and `steps.py` says what an entry has to do next about a file. Whatever order things come in:

- content that an entry changed while it was not in step is a conflict: the later change keeps the name, and whoever
  holds the other keeps it beside, under the conflict's name;
- a change beats a deletion that did not know of it;
- equal content is no change, wherever it came from;
- a file's content is one that a copy holds. Where the last of them is gone, the newest that is left takes its place.
"""

from collections.abc import Mapping
from typing import NamedTuple

from undercroft.families.sync.names import conflict_name

# So many contents that a file had before are known again.
REMEMBERED = 8


class Content(NamedTuple):
    hash: str
    size: int
    mtime: int
    """Nanoseconds since 1970."""
    mode: int
    """Permission bits."""


class File(NamedTuple):
    path: str
    version: int
    """Grows with every change; milliseconds since 1970 of the change, or one more than the last."""
    content: Content | None
    """None: it was deleted."""
    owners: tuple[str, ...]
    origin: str
    """The entry where this version was made."""
    past: tuple[str, ...] = ()
    """Hashes of what it held before, the last one first: who comes with one of them is late and has changed nothing."""


class Copy(NamedTuple):
    entry: str
    version: int = 0
    """The file's version that this is, 0 for none: equal to the file's, it is up to date."""
    content: Content | None = None
    revision: str = ""
    """How the storage tells this content from any other under the name; its own affair."""
    keep_as: str = ""
    """It lost a conflict: when it is replaced, it is kept under this name."""
    held: bool = False
    """It vanished with many others: nothing is done until somebody says what was meant."""


class Seen(NamedTuple):
    """What an entry has under a path. `content` None: nothing."""

    path: str
    content: Content | None
    revision: str


class Conflict(NamedTuple):
    path: str
    kept_as: str


class Change(NamedTuple):
    """What is to be written down. `file` None: the file is forgotten, copies and all."""

    file: File | None
    copies: dict[str, Copy]
    conflict: Conflict | None = None


def seen(
    file: File | None,
    copies: Mapping[str, Copy],
    entry: str,
    what: Seen,
    owners: tuple[str, ...],
    now: int,
    stamp: str,
    *,
    hold: bool = False,
) -> Change:
    """`owners`: whom the rules give the path to; `stamp`: the moment as it stands in a conflict's name; `hold`: it is
    one of too many that vanish."""
    mine = copies.get(entry, Copy(entry))
    if file is None:
        return _new(what, entry, owners, now) if what.content is not None else Change(None, {})
    here = Copy(entry, mine.version, what.content, what.revision)
    if equal(what.content, file.content):
        return _as_held(Change(file, {entry: here._replace(version=file.version)}), copies)
    if what.content is not None:
        if equal(what.content, mine.content):
            return Change(file, {entry: mine._replace(content=what.content, revision=what.revision)})
        if _is_late(file, mine, what.content):
            return _as_held(Change(file, {entry: here._replace(version=0)}), copies)
        return _changed(file, copies, mine, what, owners, now, stamp)
    return _vanished(file, copies, mine, here, now, hold=hold)


def restored(
    file: File | None, copies: Mapping[str, Copy], entry: str, what: Seen, owners: tuple[str, ...], now: int
) -> Change:
    """Somebody has asked for this very content: it is the newest, whatever the entry was in step with."""
    if file is not None and equal(what.content, file.content):
        return _as_held(Change(file, {entry: Copy(entry, file.version, what.content, what.revision)}), copies)
    return _new(what, entry, owners, now, file)


def settle(file: File | None, copies: Mapping[str, Copy], entry: str, what: Seen, version: int) -> Change:
    """An operation for this version was carried out; `what` lies there now."""
    if file is None:
        if what.content is None:
            return Change(None, {})
        # It was deleted everywhere else and forgotten while this was on its way.
        file = File(what.path, version + 1, None, (), entry)
    if what.content is not None:
        if file.content is None and entry not in file.owners:
            file = file._replace(owners=(*file.owners, entry))  # what came there by us is not left there
        elif version == file.version and not equal(what.content, file.content):
            version = 0  # the clock was set back, and another file has come to the number
    mine = Copy(entry, version, what.content, what.revision)
    return _as_held(Change(file, {entry: mine}), copies)


def reassign(file: File, copies: Mapping[str, Copy], owners: tuple[str, ...]) -> Change:
    """Rules have changed. What an entry holds that is no owner any more stays where it is, and is nobody's business;
    also where the others have deleted it since. When it is an owner again, what it holds is there again."""
    if file.content is not None:
        return _as_held(Change(file._replace(owners=owners or (file.origin,)), {}), copies)
    again = {name: copies[name] for name in owners if name not in file.owners and name in copies}
    holding = {name: copy for name, copy in again.items() if copy.content is not None}
    if not holding:
        return Change(file, {})
    return _as_held(_taken_from(file._replace(owners=owners), holding), copies)


def disown(file: File, copies: Mapping[str, Copy], entry: str) -> Change:
    """The entry is removed: it owns nothing, and nothing is known of what it holds."""
    left = {copy.entry: copy for copy in copies.values() if copy.entry != entry}
    owners = tuple(owner for owner in file.owners if owner != entry)
    holding = [copy.entry for copy in _newest_first(left) if copy.content is not None]
    if file.content is not None:  # whom the rules give a deleted file to deletes it: nobody is made an owner of that
        owners = owners or tuple(holding[:1])
    origin = next(iter([*holding, *owners]), file.origin) if file.origin == entry else file.origin
    return _as_held(Change(file._replace(owners=owners, origin=origin), {}), left)


def confirm(file: File, copies: Mapping[str, Copy], entry: str, now: int) -> Change:
    """The deletion that was held is meant."""
    mine = copies[entry]._replace(held=False)
    if file.content is None or mine.version != file.version or entry not in file.owners:
        return _as_held(Change(file, {entry: mine._replace(version=0)}), copies)
    return _deleted(file, copies, mine, now)


def refuse(file: File, copies: Mapping[str, Copy], entry: str) -> Change:
    """The deletion that was held is not meant: it gets its file back, from whoever still holds it."""
    return _as_held(Change(file, {entry: copies[entry]._replace(held=False, version=0, revision="")}), copies)


def make_way(file: File, copies: Mapping[str, Copy], now: int, stamp: str) -> Change:
    """A folder has its name, with files in it that others made: whoever holds the file keeps it beside."""
    name = conflict_name(file.path, file.origin, stamp)
    gone = file._replace(version=max(now, file.version + 1), content=None, past=_past(file))
    kept = {copy.entry: copy._replace(keep_as=name) for copy in copies.values() if equal(copy.content, file.content)}
    return Change(gone, kept, Conflict(file.path, name))


def up_to_date(file: File, copy: Copy | None) -> bool:
    return copy is not None and copy.version == file.version and not copy.held and copy.content is not None


def behind(file: File, copy: Copy | None, entry: str) -> bool:
    """Whether the entry has something to do about the file."""
    if entry not in file.owners or (copy is not None and copy.held):
        return False
    if file.content is None:
        return copy is not None and copy.content is not None
    return copy is None or copy.version != file.version


def _new(what: Seen, entry: str, owners: tuple[str, ...], now: int, before: File | None = None) -> Change:
    version = now if before is None else max(now, before.version + 1)
    everyone = tuple(dict.fromkeys((*owners, entry)))
    file = File(what.path, version, what.content, everyone, entry, () if before is None else _past(before))
    return Change(file, {entry: Copy(entry, version, what.content, what.revision)})


def _changed(
    file: File, copies: Mapping[str, Copy], mine: Copy, what: Seen, owners: tuple[str, ...], now: int, stamp: str
) -> Change:
    change = _new(what, mine.entry, owners, now, file)
    if mine.version == file.version or file.content is None:
        return change
    losers = [c for c in copies.values() if c.entry != mine.entry and equal(c.content, file.content)]
    if not losers:
        return change
    name = conflict_name(file.path, file.origin, stamp)
    kept = {copy.entry: copy._replace(keep_as=name) for copy in losers}
    return Change(change.file, {**change.copies, **kept}, Conflict(file.path, name))


def _is_late(file: File, mine: Copy, content: Content) -> bool:
    """It comes with what the file was before, and has changed nothing.

    Who is no owner of a deleted file is not late: to him it was never given, so that it was not deleted there either.
    """
    is_behind = mine.version != file.version and content.hash in file.past
    return is_behind and (file.content is not None or mine.entry in file.owners)


def _vanished(file: File, copies: Mapping[str, Copy], mine: Copy, here: Copy, now: int, *, hold: bool) -> Change:
    if mine.content is None:
        return Change(file, {})
    if mine.version != file.version or mine.entry not in file.owners:
        return _as_held(Change(file, {mine.entry: here._replace(version=0)}), copies)
    if hold:
        return Change(file, {mine.entry: here._replace(held=True)})
    return _deleted(file, copies, here, now)


def _deleted(file: File, copies: Mapping[str, Copy], mine: Copy, now: int) -> Change:
    version = max(now, file.version + 1)
    gone = File(file.path, version, None, file.owners, mine.entry, _past(file))
    return _as_held(Change(gone, {mine.entry: mine._replace(version=version)}), copies)


def _past(file: File) -> tuple[str, ...]:
    return file.past if file.content is None else (file.content.hash, *file.past)[:REMEMBERED]


def _as_held(change: Change, copies: Mapping[str, Copy]) -> Change:
    """What nobody holds can't be had from anybody: where the file's content is no copy's any more, it is the newest
    that is left. A deletion that all have carried out, and a file of which nothing is left, leave nothing to remember.

    Where an ex-owner still holds a deleted file it is remembered: found at that entry's next start, it would else be
    new. A copy that is held waits for somebody's word, and the file with it.
    """
    file = change.file
    if file is None or any(up_to_date(file, copy) for copy in change.copies.values()):
        return change
    left = {**copies, **change.copies}
    holding = {copy.entry: copy for copy in left.values() if copy.content is not None}
    if file.content is None:
        return change if holding else Change(None, {})
    same = [copy for copy in holding.values() if equal(copy.content, file.content)]
    if not same and not any(copy.held for copy in left.values()):
        if not holding:
            return Change(None, {})
        change = _taken_from(file, holding, change)
    elif late := {copy.entry: copy._replace(version=file.version) for copy in same if copy.version != file.version}:
        change = change._replace(copies={**change.copies, **late})
    return change


def _taken_from(file: File, holding: Mapping[str, Copy], change: Change | None = None) -> Change:
    """Its content is the newest of these."""
    newest = _newest_first(holding)[0]
    version = file.version + 1
    taken = file._replace(version=version, content=newest.content, origin=newest.entry)
    same = [copy for copy in holding.values() if equal(copy.content, newest.content)]
    copies = {copy.entry: copy._replace(version=version) for copy in same}
    return Change(taken, {**(change.copies if change else {}), **copies})


def _newest_first(copies: Mapping[str, Copy]) -> list[Copy]:
    return sorted(copies.values(), key=lambda copy: (-copy.version, copy.entry))


def equal(one: Content | None, other: Content | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.hash == other.hash and one.size == other.size
