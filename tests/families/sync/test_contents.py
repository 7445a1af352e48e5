"""Which entry gives a file's content, and what becomes of content that was opened for nobody."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.parts import House, house, open_below
from tests.services.waiting import until
from undercroft.base.refusals import Kind, Refusal
from undercroft.families.sync import contents, listing
from undercroft.families.sync.contents import Body, Contents
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.opened import Opened, open_content
from undercroft.families.sync.storages import Place
from undercroft.families.sync.threads import Threads

SIZE = 3_000_000
FEW = 2


class Held:
    """The thread that opens or reads is held until it is let go."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.begun.set()
        assert self.let_go.wait(20)


@asynccontextmanager
async def with_film(url: str, folder: Path, *names: str) -> AsyncIterator[tuple[House, "Asking"]]:
    async with house(url, folder) as inner:
        await inner.add(*names)
        await inner.share()
        (inner.folders["A"] / "film").write_bytes(b"1" * SIZE)
        await inner.holds({b"film": b"1" * SIZE})
        yield inner, Asking(inner)


class Asking:
    """For the film of that house."""

    def __init__(self, inner: House) -> None:
        self._database = inner.database
        self.threads = Threads(most_of_one=FEW)
        self._contents = Contents(inner.database, inner.engine, self.threads)

    async def open(self) -> Body:
        while (listed := await self._database.read(listing.find, fid_of("film"))) is None:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        assert listed.file.content is not None
        return await self._contents.open(listed, listed.file.content, 0, SIZE)


@pytest.mark.parametrize("way", ["the request ends", "the storage takes too long"])
def test_opened_after_nobody_waits_for_it(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    held = Held()

    def slowly(*arguments: object) -> Opened:
        opened = open_content(*arguments)  # type: ignore[arg-type]
        held.wait()
        return opened

    async def story() -> None:
        async with with_film(sqlite_url, tmp_path, "A") as (inner, asking):
            monkeypatch.setattr(contents, "open_content", slowly)
            if way == "the storage takes too long":
                monkeypatch.setattr(contents, "PATIENCE", 0.01)
                monkeypatch.setattr(contents, "OPENED_WITHIN", 0.01)
            opening = asyncio.create_task(asking.open())
            await until(held.begun.is_set, "it to be opened")
            if way == "the request ends":
                opening.cancel()
            with pytest.raises((asyncio.CancelledError, Refusal)) as ended:
                await opening
            if isinstance(ended.value, Refusal):
                reason = (
                    "this file can't be had at this moment: entry A can't be read (it did not answer within 0.01 s)"
                )
                assert ended.value.message == reason
            assert open_below(os.getpid(), inner.folders["A"])
            held.let_go.set()
            await until(lambda: not open_below(os.getpid(), inner.folders["A"]), "it to be closed")

    asyncio.run(story())


def test_closed_while_it_is_read_it_is_closed_after_that(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drive is one thread's at a time."""
    held, read = Held(), Opened.read

    def slowly(self: Opened, most: int) -> bytes:
        held.wait()
        return read(self, most)

    async def story() -> None:
        async with with_film(sqlite_url, tmp_path, "A") as (inner, asking):
            monkeypatch.setattr(Opened, "read", slowly)
            body = await asking.open()
            await anext(body)
            reading = asyncio.create_task(anext(body))  # type: ignore[arg-type]
            await until(held.begun.is_set, "it to be read")
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            await body.aclose()
            await body.aclose()
            await asking.threads.ask("A", lambda: None)  # after what was asked of the thread that is left
            assert open_below(os.getpid(), inner.folders["A"])
            held.let_go.set()
            await until(lambda: not open_below(os.getpid(), inner.folders["A"]), "it to be closed")

    asyncio.run(story())


def test_it_comes_from_who_is_neither_known_to_be_away_nor_has_his_hands_full(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, asked = Held(), []

    def noted(place: Place, *arguments: Any) -> Opened:
        asked.append(Path(place[1]["root"]).name)
        return open_content(place, *arguments)

    async def story() -> None:
        async with with_film(sqlite_url, tmp_path, "A", "B") as (inner, asking):
            monkeypatch.setattr(contents, "open_content", noted)
            monkeypatch.setattr(contents, "PATIENCE", 0.01)
            await (await asking.open()).aclose()

            monkeypatch.setattr(inner.engine, "away", lambda entry: "no answer" if entry.name == "A" else "")
            await (await asking.open()).aclose()
            assert asked == ["A", "B"]

            monkeypatch.undo()
            monkeypatch.setattr(contents, "open_content", noted)
            monkeypatch.setattr(contents, "PATIENCE", 60.0)
            hanging = [asking.threads.ask("A", held.wait) for _ in range(FEW)]
            await (await asyncio.wait_for(asking.open(), 20)).aclose()
            assert asked == ["A", "B", "B"]

            hanging += [asking.threads.ask("B", held.wait) for _ in range(FEW)]
            monkeypatch.setattr(contents, "PATIENCE", 0.01)
            with pytest.raises(Refusal, match="try again in 5 s") as refusal:
                await asking.open()
            assert (refusal.value.kind, refusal.value.retry_after) == (Kind.UNAVAILABLE, 5)

            monkeypatch.setattr(inner.engine, "away", lambda _: "no answer")
            with pytest.raises(Refusal, match=r"entry A can't be read \(no answer\); entry B can't be read") as refusal:
                await asking.open()
            assert refusal.value.kind is Kind.CONFLICT
            held.let_go.set()
            await asyncio.gather(*hanging)

    asyncio.run(story())
