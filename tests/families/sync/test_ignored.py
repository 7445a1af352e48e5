"""What the option `ignore` names is not looked for; what came from another entry all the same is kept like all else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.storages import kinds
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.storages import Storage, open_storage
from undercroft.families.sync.wire import Done, Message, Report
from undercroft.families.sync.worker.carrying import Carrier, Pace, unsure_of
from undercroft.families.sync.worker.index import Index
from undercroft.families.sync.worker.observing import Observer


class Entry:
    """One that ignores `*.tmp`."""

    def __init__(self, root: Path) -> None:
        (root / OWN_FOLDER).mkdir(parents=True)
        self.root, self.told, self.index = root, list[Message](), Index()
        self.observer = Observer(self.open(), self.index, None, self.told.append)
        self.observer.watch = lambda *_: None  # type: ignore[method-assign]
        self.carrier = Carrier("A", self.open, self.index, Pace(0, lambda *_: None))

    def open(self, *_: Any) -> Storage:
        return open_storage(("local_storage", {"root": str(self.root), "ignore": ["*.tmp"]}))

    def get(self, name: str, content: bytes, base: str = "") -> Done:
        """From another entry."""
        (self.root.parent / name).write_bytes(content)
        source = open_storage(("local_storage", {"root": str(self.root.parent)}))
        self.carrier._sources["B"] = source
        put = kinds.wanted(name, content, base)._replace(sources=(("B", name),))
        done = self.carrier.carry_out([put])
        self.index.busy.clear()
        return done

    def scan(self) -> None:
        self.observer.scan()
        assert self.observer.tell() == []

    def look_at(self, paths: list[str]) -> None:
        self.observer.look_at(paths)
        assert self.observer.tell() == []

    def heard(self) -> dict[str, bool]:
        """What was told since the last time: path → whether it is there."""
        seen = [one for message in self.told if isinstance(message, Report) for one in message.seen]
        self.told.clear()
        return {one.path: one.content is not None for one in seen}


@pytest.fixture
def entry(tmp_path: Path) -> Iterator[Entry]:
    made = Entry(tmp_path / "A")
    yield made
    made.carrier.close()
    made.observer._storage.close()


def test_what_is_ignored_is_not_told(entry: Entry) -> None:
    (entry.root / "own.tmp").write_bytes(b"own")
    entry.look_at(["own.tmp"])
    entry.scan()
    assert entry.heard() == {}


@pytest.mark.parametrize("noticed", ["at once", "by a scan", "by the next that comes"])
def test_what_came_from_elsewhere_is_told_when_it_is_changed_here(entry: Entry, noticed: str) -> None:
    came = entry.get("x.tmp", b"one").settled[0].seen.revision
    entry.scan()
    assert entry.heard() == {}
    (entry.root / "x.tmp").write_bytes(b"changed here")
    if noticed == "by a scan":
        entry.scan()
    elif noticed == "by the next that comes":
        entry.look_at(unsure_of(entry.get("x.tmp", b"two", came)))
    else:
        entry.look_at(["x.tmp"])
    assert entry.heard() == {"x.tmp": True}
    (entry.root / "x.tmp").unlink()
    entry.look_at(["x.tmp"])
    assert entry.heard() == {"x.tmp": False}
