"""Content that was opened and that nobody takes: no file stays open, whatever became of the request."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.families.sync.example import API, Example
from tests.families.sync.parts import open_below
from tests.services.waiting import wait_until
from undercroft.families.sync.names import fid_of

SIZE = 3_000_000
TIMES = 30


def nothing_stays_open(example: Example) -> None:
    wait_until(lambda: not open_below(example.croft.pid, example.folder), "all to be closed")


@pytest.fixture
def shared(example: Example) -> Iterator[Example]:
    example.share()
    example.write("A", "film", b"1" * SIZE)
    example.wait_for("film", ["A", "B"], SIZE)
    yield example
    assert example.call("GET", f"/files/{fid_of('film')}/content").content == b"1" * SIZE


@pytest.mark.parametrize(
    "path", [f"{API}/files/{fid_of('film')}/content", f"/dashboard/files/{fid_of('film')}/content"]
)
def test_asked_for_its_head_only(shared: Example, path: str) -> None:
    for _ in range(TIMES):
        answer = shared.croft.http.head(path)
        assert (answer.status_code, answer.headers["content-length"]) == (200, str(SIZE))
    nothing_stays_open(shared)


@pytest.mark.parametrize("after", [0.0, 0.005, 0.02])
def test_asked_for_by_who_hangs_up(shared: Example, after: float) -> None:
    """At once, while it is opened, and in the body."""
    request = f"GET {API}/files/{fid_of('film')}/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer"
    pause = threading.Event()
    for _ in range(TIMES):
        with socket.create_connection(("127.0.0.1", shared.croft.port)) as client:
            client.sendall(f"{request} {shared.croft.token}\r\n\r\n".encode())
            pause.wait(after)
    nothing_stays_open(shared)
