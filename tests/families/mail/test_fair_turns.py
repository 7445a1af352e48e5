"""A relay that hangs for one namespace's recipients, or has much to do for one: the others' mail goes out all the same,
and the house's own, by which passwords are reset, at any time."""

import asyncio

import pytest

from tests.families.mail.house import EMAIL, SENT, TOKEN, House, house
from tests.services.mailserver import MailServer
from tests.services.waiting import until
from undercroft.app.application import Head
from undercroft.machinery.deliveries.smtp.relay import CONNECTIONS
from undercroft.machinery.deliveries.smtp.room import share_of_one

pytestmark = pytest.mark.anyio

ALL_OF_ONE = share_of_one(CONNECTIONS)
OWNER = "owner@reset.example"


async def send_list(one: House, namespace: str, domain: str, count: int) -> None:
    emails = [{**EMAIL, "to": f"{namespace}{n}@{domain}", "namespace": namespace} for n in range(count)]
    answer = await one.call("POST", "/systems/emails", emails)
    assert answer.status == 202, answer.json


async def ask_accounts(one: House, path: str, body: bytes = b"") -> None:
    head = Head("POST", path.encode(), {b"authorization": f"Bearer {TOKEN}".encode()}, "127.0.0.1")
    assert (await one.parts.server.answer(head, body)).status == 200


async def test_what_hangs_for_one_namespace_keeps_neither_another_nor_the_house(
    relay: MailServer, database_url: str
) -> None:
    relay.silent_for.add("hangs.example")
    async with house(database_url, relay.url) as one:
        await ask_accounts(one, "/users", f'{{"email":"{OWNER}","password":"forgotten"}}'.encode())
        await send_list(one, "shop", "hangs.example", 40)
        await until(lambda: relay.asked.total() == ALL_OF_ONE, "all that one namespace may have to hang")

        answer = await one.send(namespace="games")
        assert (answer.status, answer.body) == (200, SENT)
        await ask_accounts(one, f"/users/{OWNER}/password")
        await until(lambda: relay.arrived(OWNER), "the mail with the token")
        assert relay.asked.total() == ALL_OF_ONE + 2, "and nothing else of the first has begun"


async def test_the_house_finds_a_connection_where_those_of_many_hang(relay: MailServer, database_url: str) -> None:
    relay.silent_for.add("hangs.example")
    async with house(database_url, relay.url) as one:
        await ask_accounts(one, "/users", f'{{"email":"{OWNER}","password":"forgotten"}}'.encode())
        for namespace in "abcde":
            await send_list(one, namespace, "hangs.example", 20)
        # The first has all that its lane allows at once: no more of it come to wait, until its calls are given up.
        waiting = one.parts.relay._room._waiting  # type: ignore[union-attr]
        await until(lambda: waiting.keys() == set("bcde"), "the others to wait")
        await until(lambda: relay.asked.total() >= CONNECTIONS - 1, "all connections but the house's to hang")
        assert relay.asked.total() == CONNECTIONS - 1

        await ask_accounts(one, f"/users/{OWNER}/password")
        await until(lambda: relay.arrived(OWNER), "the mail with the token")


async def test_a_bulk_of_one_goes_out_between_what_others_send(relay: MailServer, database_url: str) -> None:
    async with house(database_url, relay.url) as one:
        await send_list(one, "shop", "bulk.example", 300)
        answers = await asyncio.gather(*(one.send(namespace="games", to=f"g{n}@example.com") for n in range(5)))
        assert {answer.status for answer in answers} == {200}
        assert len(relay.arrived()) < 200, "the bulk is not through yet"
        await until(lambda: len(relay.arrived()) == 305, "all of it")
