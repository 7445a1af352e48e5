"""Two that do something at the same moment: nodes, people, and the end of what is under way."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.families.messaging.house import EIGHT, House, link_of, opened, opt_out
from undercroft.app.messages import ways_of
from undercroft.app.settings import Settings
from undercroft.database import Transaction
from undercroft.families.messaging import optout, settling, subscriptions
from undercroft.families.messaging.model import Subscription

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[House]:
    async with opened(postgres_url) as house:
        await house.make_series()
        yield house


class Slow:
    """In a transaction on PostgreSQL: stays here until another one waits for what this one holds, or `is_done`."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.is_done = threading.Event()

    def __call__(self, tx: Transaction) -> None:
        self.began.set()
        until = time.monotonic() + 5
        while time.monotonic() < until and not self.is_done.is_set():
            if tx.one("SELECT 1 FROM pg_locks WHERE NOT granted LIMIT 1"):
                return
            time.sleep(0.005)


async def test_an_opt_out_is_not_undone_by_the_end_of_a_message_at_that_moment(
    shared: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await shared.subscribe()
    link, slow, following = await link_of(shared, id), Slow(), settling._following

    def read_and_wait(tx: Transaction, moving: list[Subscription]) -> dict[settling.Place, int]:
        found = following(tx, moving)
        slow(tx)
        return found

    async def opt_out_meanwhile() -> None:
        await asyncio.to_thread(slow.began.wait, 5)
        await opt_out(shared, link)
        slow.is_done.set()

    monkeypatch.setattr(settling, "_following", read_and_wait)
    await asyncio.gather(shared.at(EIGHT), opt_out_meanwhile())
    await shared.go_on()
    assert (await shared.subscription(id))["active"] is False


async def test_nodes_that_need_the_first_secret_at_once_agree(shared: House) -> None:
    slow = Slow()

    def make_and_wait(tx: Transaction) -> str:
        made = optout.secret(tx)
        slow(tx)
        return made

    async def make_meanwhile() -> str:
        await asyncio.to_thread(slow.began.wait, 5)
        made = await shared.database.write(optout.secret)
        slow.is_done.set()
        return made

    first, second = await asyncio.gather(shared.database.write(make_and_wait), make_meanwhile())
    assert first == second == await shared.database.read(optout.known_secret)


async def test_a_resend_and_the_next_message_at_the_same_moment_have_turns_of_their_own(shared: House) -> None:
    id = await shared.subscribe()
    namespace = (await shared.database.read(lambda tx: tx.one("SELECT namespace FROM messaging_subscriptions")))[0]
    ways = ways_of(Settings(data_dir=Path()))
    slow = Slow()

    def resend_and_wait(tx: Transaction) -> None:
        subscriptions.resend(tx, namespace, id, ways, shared.clock())
        slow(tx)

    first = asyncio.create_task(shared.database.write(resend_and_wait))
    await asyncio.to_thread(slow.began.wait, 5)
    answer = await shared.call("POST", f"subscriptions/{id}/send")
    await first
    assert answer.status == 201
    await shared.go_on()
    assert sorted(body["resend"] for body, _ in shared.receiver.sent) == ["false", "true"]
    assert (await shared.subscription(id))["next_sequence_number"] == 2


async def test_a_set_is_not_removed_while_somebody_is_subscribed_to_it(
    shared: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, labelled = Slow(), subscriptions.labelled

    def label_and_wait(tx: Transaction, these: list[Subscription]) -> list[subscriptions.Labelled]:
        slow(tx)
        return labelled(tx, these)

    async def remove_meanwhile() -> int:
        await asyncio.to_thread(slow.began.wait, 5)
        answer = await shared.call("DELETE", "messageset/1/")
        slow.is_done.set()
        return answer.status

    monkeypatch.setattr(subscriptions, "labelled", label_and_wait)
    _, removed = await asyncio.gather(shared.subscribe(), remove_meanwhile())
    assert removed == 409
    assert (await shared.get("messageset/1/"))["id"] == 1
