"""An operation that does not end is given up: its caller gets a 503, and the connection goes on."""

import asyncio
from pathlib import Path

import pytest

from tests.nodes.parts import SteppedClock, running
from undercroft.app import server
from undercroft.app.application import Head
from undercroft.machinery.operations import Reply, Request

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_it_is_given_up_and_those_after_it_are_served(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(sqlite_url, SteppedClock(), tmp_path) as node:
        began = asyncio.Event()

        async def endless(_request: Request) -> Reply:
            began.set()
            await asyncio.Event().wait()
            raise AssertionError("it never ends")

        app = node.parts.server
        served, _ = app._router.find("GET", b"/health")
        monkeypatch.setattr(app._router, "find", lambda *_: (served._replace(operation=slow), {}))
        slow = served.operation._replace(run=endless)

        async def two_of_one_connection() -> tuple[Reply, Reply]:
            first = await app.answer(Head("GET", b"/health", {}, None), b"")
            monkeypatch.undo()
            return first, await app.answer(Head("GET", b"/health", {}, None), b"")

        asking = asyncio.ensure_future(two_of_one_connection())
        await began.wait()
        await app.give_up_endless(0)
        await asyncio.sleep(0)
        assert not asking.done()

        monkeypatch.setattr(server, "LONGEST_RUN", 0.0)
        await app.give_up_endless(0)
        first, second = await asyncio.wait_for(asking, 20)

        assert (first.status, second.status) == (503, 200)
        assert b"it may be done all the same: look before you try again" in first.body
        assert b"x-request-id" in dict(first.headers)
        assert app._under_way == {}


async def test_who_hangs_up_is_not_answered(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(sqlite_url, SteppedClock(), tmp_path) as node:
        app = node.parts.server
        served, _ = app._router.find("GET", b"/health")

        async def endless(_request: Request) -> Reply:
            await asyncio.Event().wait()
            raise AssertionError("it never ends")

        slow = served.operation._replace(run=endless)
        monkeypatch.setattr(app._router, "find", lambda *_: (served._replace(operation=slow), {}))
        asking = asyncio.ensure_future(app.answer(Head("GET", b"/health", {}, None), b""))
        await asyncio.sleep(0)

        asking.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asking
        assert app._under_way == {}
