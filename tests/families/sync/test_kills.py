"""kill -9 of a real server and of its entries' processes in the middle of a transfer: what comes back is whole."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.families.sync.example import Example, worker_pid
from tests.services.croft import Croft
from tests.services.waiting import wait_until

SIZE = 12_000_000
SLOWLY = {"bandwidth": SIZE // 20}
"""20 seconds: whatever is done in the middle is done in time."""
AT_ONCE: dict[str, int] = {}


@pytest.fixture
def example(start_croft: Callable[..., Croft], tmp_path: Path) -> Iterator[Example]:
    yield from _example(start_croft(), tmp_path)


@pytest.fixture
def example_on_both(start_croft: Callable[..., Croft], database_url: str, tmp_path: Path) -> Iterator[Example]:
    yield from _example(start_croft(database=database_url), tmp_path)


def _example(croft: Croft, folder: Path) -> Iterator[Example]:
    example = Example(croft, folder / "example")
    _arrives(example, SLOWLY)
    example.share()
    yield example
    croft.stop()


@pytest.mark.parametrize("killed", ["server", "server, source and receiver"])
def test_the_server_in_the_middle_of_a_transfer(example: Example, killed: str) -> None:
    """First with the source as it was, then with another. (On PostgreSQL another node takes over: `test_nodes`.)"""
    one, two, three = (os.urandom(SIZE) for _ in range(3))
    example.write("A", "large", one)
    _wait_until_under_way(example)
    example.croft.kill()
    _kill_workers(example, killed)
    assert not (example.folder / "B/large").exists(), "nothing under its name before it is whole"
    example.croft.start()
    _wait_until_under_way(example)
    _arrives(example, AT_ONCE)
    example.wait_for("large", ["A", "B"], SIZE)
    assert (example.folder / "B/large").read_bytes() == one
    _arrives(example, SLOWLY)
    example.write("A", "large", two)
    _wait_until_under_way(example)
    example.croft.kill()
    _kill_workers(example, killed)
    assert (example.folder / "B/large").read_bytes() == one
    example.write("A", "large", three)
    example.croft.start()
    _arrives(example, AT_ONCE)
    wait_until(lambda: (example.folder / "B/large").read_bytes() == three, "the newest", 30)
    example.wait_for("large", ["A", "B"], SIZE)
    assert example.get("/conflicts") == {"conflicts": []}


@pytest.mark.parametrize("entry", ["A", "B"])
def test_an_entry_in_the_middle_of_a_transfer(example_on_both: Example, entry: str) -> None:
    """Source or receiver: it is back by itself, and the file is whole."""
    example, content = example_on_both, os.urandom(SIZE)
    example.write("A", "large", content)
    _wait_until_under_way(example)
    pid = worker_pid(example.croft, entry)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _has_another(example, entry, pid), "it to be back by itself")
    _arrives(example, AT_ONCE)
    example.wait_for("large", ["A", "B"], SIZE)
    assert (example.folder / "B/large").read_bytes() == content
    assert [path.name for path in (example.folder / "B").iterdir()] in (
        ["large", ".undercroft"],
        [".undercroft", "large"],
    )


def _arrives(example: Example, options: dict[str, int]) -> None:
    """At B, from now on."""
    changed = {"options": {"root": str(example.folder / "B"), **options}}
    assert example.call("PUT", "/entries/B", json=changed).status_code == 200


def _has_another(example: Example, entry: str, pid: int) -> bool:
    try:
        return worker_pid(example.croft, entry) != pid
    except LookupError:
        return False


def _wait_until_under_way(example: Example) -> None:
    wait_until(lambda: any(one["done"] for one in example.get("/transfers")["transfers"]), "a part of it to be there")


def _kill_workers(example: Example, killed: str) -> None:
    for entry in ("A", "B") if "source" in killed else ():
        os.kill(worker_pid(example.croft, entry), signal.SIGKILL)
