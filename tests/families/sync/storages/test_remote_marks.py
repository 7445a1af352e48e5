"""Whose root a place elsewhere is, is said by its mark, by whatever names it is reached."""

import io
import time

import pytest

from tests.families.sync.storages.kinds import Kind, write
from undercroft.families.sync.storages import Other, Owner, Storage
from undercroft.families.sync.storages.drive import Drive
from undercroft.families.sync.storages.errors import Vanished
from undercroft.families.sync.storages.others_roots import MARK
from undercroft.families.sync.storages.remote import RemoteStorage

OTHERS = {"a 1": Other("a", ""), "b 2": Other("b", "")}
WITHOUT_A_NAME = b"Undercroft keeps files in sync here. Without this file it stops.\n"


def begin(kind: Kind, mark: str, expected: int = 0, *known: tuple[str, str]) -> Storage:
    """As the entry of this mark; those of OTHERS are known."""
    others = {other: about for other, about in OTHERS.items() if other != mark}
    storage = kind.open(Owner(mark, others, list(known)))
    storage.check(expected)
    return storage


def mark_of(kind: Kind) -> bytes:
    with drive_of(kind).open(MARK) as reading:
        return b"".join(reading.blocks())


def say(kind: Kind, content: bytes) -> None:
    """As somebody who looks after the server."""
    drive = drive_of(kind)
    there = drive.stat(MARK)
    assert there is not None
    drive.delete(MARK, there.revision)
    drive.put(MARK, io.BytesIO(content), len(content), time.time_ns() - 10**10, "")


def drive_of(kind: Kind) -> Drive:
    storage = kind.open()
    assert isinstance(storage, RemoteStorage)
    return storage._drive


def test_a_place_is_marked_and_known_by_that(remote: Kind) -> None:
    begin(remote, "a 1")
    assert mark_of(remote) == WITHOUT_A_NAME + b"entry a 1\n"
    begin(remote, "a 1", 10)
    assert mark_of(remote) == WITHOUT_A_NAME + b"entry a 1\n"


def test_anothers_root_is_not_taken(remote: Kind) -> None:
    """Also where that one has no file yet, and where this one has had some."""
    begin(remote, "a 1")
    for expected in (0, 10):
        with pytest.raises(Vanished, match=r"is the root of the entry a, or a copy.*empty file .undercroft/root"):
            begin(remote, "b 2", expected)
    assert mark_of(remote) == WITHOUT_A_NAME + b"entry a 1\n"
    begin(remote, "a 1", 10)


def test_an_empty_mark_says_that_it_is_the_right_one(remote: Kind) -> None:
    begin(remote, "a 1")
    say(remote, b"")
    begin(remote, "b 2", 10)
    with pytest.raises(Vanished, match="the entry b"):
        begin(remote, "a 1", 10)


@pytest.mark.parametrize("content", [WITHOUT_A_NAME, b"\xff\x00", b"x" * 100_000], ids=["old", "no text", "large"])
def test_a_mark_that_names_nobody_is_who_comes_first(remote: Kind, content: bytes) -> None:
    begin(remote, "a 1")
    say(remote, content)
    begin(remote, "a 1", 10)
    with pytest.raises(Vanished, match="the entry a"):
        begin(remote, "b 2", 10)


def test_a_mark_of_an_entry_that_is_no_more(remote: Kind) -> None:
    """A new entry has it; one that held files has it where one of those is there as it was."""
    begin(remote, "gone 7")
    storage = begin(remote, "a 1")
    revision = write(storage, "known", b"1").revision
    say(remote, WITHOUT_A_NAME + b"entry gone 7\n")
    with pytest.raises(Vanished, match="nothing in it is as it was known"):
        begin(remote, "a 1", 1, ("known", "another"), ("missing", "x"))
    begin(remote, "a 1", 1, ("missing", "x"), ("known", revision))
    assert mark_of(remote) == WITHOUT_A_NAME + b"entry a 1\n"


def test_of_two_that_begin_at_one_moment_one_is_the_owner(remote: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other comes between the look for a mark and writing one."""
    late = remote.open(Owner("b 2", {"a 1": Other("a", "")}, []))
    assert isinstance(late, RemoteStorage)
    put, began = late._drive.put, False

    def put_after_the_other(name: str, *arguments: object) -> object:
        nonlocal began
        if name == MARK and not began:
            began = True
            begin(remote, "a 1")
        return put(name, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(late._drive, "put", put_after_the_other)
    with pytest.raises(Vanished, match="the entry a"):
        late.check(0)
    assert mark_of(remote) == WITHOUT_A_NAME + b"entry a 1\n"
