"""Disks, workers that tell of them, and the server's index: as real as a model can be, to try the rules on."""

from typing import NamedTuple

from undercroft.families.sync import reconcile, steps
from undercroft.families.sync.operations import Delete, Move, Operation, Put
from undercroft.families.sync.reconcile import Change, Content, Copy, File, Seen

ENTRIES = ("A", "B", "C")
STAMP = "20260102T030405678"


def content(text: str) -> Content:
    return Content(text, len(text), 0, 0o644)


class Heard(NamedTuple):
    """On its way to the server: what an entry's worker saw. `version`: of the operation that it carried out."""

    seen: Seen
    version: int | None


class World:
    def __init__(self) -> None:
        self.disks: dict[str, dict[str, str]] = {name: {} for name in ENTRIES}
        self.told: dict[str, list[Heard]] = {name: [] for name in ENTRIES}
        self.files: dict[str, File] = {}
        self.copies: dict[str, dict[str, Copy]] = {}
        self.under_way: dict[str, list[Operation]] = {name: [] for name in ENTRIES}
        self.kept: set[str] = set()
        self.revision = 0
        self.revisions: dict[tuple[str, str], str] = {}
        self.now = 0
        self.owners: tuple[str, ...] = ENTRIES
        """To whom the rules give every file."""
        self.entries = list(ENTRIES)
        self.wave = False
        """What vanishes now is one of too many."""

    def change(self, entry: str, path: str, text: str | None) -> None:
        """Somebody writes or deletes at an entry, and its worker notices."""
        if text is None and path not in self.disks[entry]:
            return
        if text is not None and path in self.disks[entry]:
            self.kept.add(self.disks[entry][path])  # who overwrites their own file meant it
        elif text is None:
            self.kept.add(self.disks[entry][path])
        self._write(entry, path, text)
        self.told[entry].append(Heard(self._seen(entry, path), None))

    def hear(self, entry: str) -> None:
        """The server hears the next thing that an entry has to say."""
        if not self.told[entry]:
            return
        seen, version = self.told[entry].pop(0)
        file, copies = self.files.get(seen.path), self.copies.get(seen.path, {})
        self.now += 1
        if version is None:
            stamp = f"{STAMP}-{self.now}"
            change = reconcile.seen(file, copies, entry, seen, self.owners, self.now, stamp, hold=self.wave)
        else:
            change = reconcile.settle(file, copies, entry, seen, version)
        self._take(seen.path, change)

    def begin(self, entry: str) -> None:
        """An entry is given all that it has to do; what is to come has arrived, and has not its name yet."""
        if self.under_way[entry]:
            return
        found = [steps.operation(f, self.copies.get(p, {}), entry) for p, f in self.files.items()]
        held = {path: copies[entry].content for path, copies in self.copies.items() if entry in copies}
        known = {path: found for path, found in held.items() if found is not None}
        given = steps.with_moves([step for step in found if step is not None], known)
        self.under_way[entry] = [step for step in given if not isinstance(step, Put) or self._can_be_had(step)]

    def act(self, entry: str) -> None:
        """An entry carries out what it was given, else all that it has to do, as far as its disk is what the server
        takes it for."""
        self.begin(entry)
        given, self.under_way[entry] = self.under_way[entry], []
        for step in given:
            if isinstance(step, Delete):
                self._delete(entry, step)
            elif isinstance(step, Move):
                self._move(entry, step)
            else:
                self._put(entry, step)

    def give_to(self, owners: tuple[str, ...]) -> None:
        """Rules have changed, and are applied."""
        self.owners = tuple(entry for entry in owners if entry in self.entries)
        for path, file in list(self.files.items()):
            self._take(path, reconcile.reassign(file, self.copies[path], self.owners))

    def remove(self, entry: str) -> None:
        """No rule names it any more; all that it has told of is heard. What it was to do may still be under way."""
        if entry not in self.entries or len(self.entries) == 1:
            return
        self.give_to(tuple(owner for owner in self.owners if owner != entry))
        while self.told[entry]:
            self.hear(entry)
        self.under_way[entry].clear()
        self.entries.remove(entry)
        for path, file in list(self.files.items()):
            change = reconcile.disown(file, self.copies[path], entry)
            self.copies[path].pop(entry, None)
            self._take(path, change)

    def say(self, entry: str, *, really: bool) -> None:
        """What was meant by the deletions that are held."""
        self.now += 1
        for path, file in list(self.files.items()):
            if entry in self.copies[path] and self.copies[path][entry].held:
                copies = self.copies[path]
                meant = reconcile.confirm(file, copies, entry, self.now)
                self._take(path, meant if really else reconcile.refuse(file, copies, entry))

    def come_to_rest(self) -> None:
        for _ in range(60):
            for entry in self.entries:
                while self.told[entry]:
                    self.hear(entry)
                self.say(entry, really=False)
            for entry in self.entries:
                self.act(entry)  # what it was given before
                self.act(entry)
            if not any(self.told.values()):
                return
        raise AssertionError("it never comes to rest")

    def _can_be_had(self, put: Put) -> bool:
        return any(self.disks[entry].get(path) == put.content.hash for entry, path in put.sources)

    def _put(self, entry: str, put: Put) -> None:
        if self._revision(entry, put.path) != put.base:
            return
        old = self.disks[entry].get(put.path)
        self._write(entry, put.path, put.content.hash)
        if old is not None and put.keep_as:
            self._write(entry, put.keep_as, old)
            self.told[entry].append(Heard(self._seen(entry, put.keep_as), None))
        elif old is not None:
            self.kept.add(old)
        self.told[entry].append(Heard(self._seen(entry, put.path), put.version))

    def _delete(self, entry: str, delete: Delete) -> None:
        if self._revision(entry, delete.path) == delete.base:
            self.kept.add(self.disks[entry][delete.path])
            if delete.keep_as:
                self._write(entry, delete.keep_as, self.disks[entry][delete.path])
                self.told[entry].append(Heard(self._seen(entry, delete.keep_as), None))
            self._write(entry, delete.path, None)
            self.told[entry].append(Heard(self._seen(entry, delete.path), delete.version))

    def _move(self, entry: str, move: Move) -> None:
        if self._revision(entry, move.source) != move.source_base or move.path in self.disks[entry]:
            return
        self._write(entry, move.path, self.disks[entry][move.source])
        self._write(entry, move.source, None)
        self.told[entry].append(Heard(self._seen(entry, move.source), move.source_version))
        self.told[entry].append(Heard(self._seen(entry, move.path), move.version))

    def _take(self, path: str, change: Change) -> None:
        if change.file is None:
            self.files.pop(path, None)
            self.copies.pop(path, None)
            return
        self.files[path] = change.file
        self.copies.setdefault(path, {}).update(change.copies)

    def _write(self, entry: str, path: str, text: str | None) -> None:
        self.revision += 1
        if text is None:
            self.disks[entry].pop(path, None)
            self.revisions.pop((entry, path), None)
        else:
            self.disks[entry][path] = text
            self.revisions[entry, path] = str(self.revision)

    def _revision(self, entry: str, path: str) -> str:
        return self.revisions.get((entry, path), "")

    def _seen(self, entry: str, path: str) -> Seen:
        text = self.disks[entry].get(path)
        return Seen(path, None if text is None else content(text), self._revision(entry, path))
