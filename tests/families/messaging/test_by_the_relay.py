"""Messages that leave as mail go by the relay as all mail of the house does: its connections, turns and signature."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import dkim
import pytest

from tests.families.messaging.house import TOKEN, House, opened
from tests.services.dkimkey import DkimKey
from tests.services.mailserver import MailServer
from tests.services.waiting import until
from undercroft.app.notation import Secret, SmtpUrl
from undercroft.machinery.deliveries.actions import LONGEST_TIMEOUT
from undercroft.machinery.deliveries.smtp.relay import CONNECTIONS
from undercroft.machinery.deliveries.smtp.room import share_of_one
from undercroft.machinery.deliveries.targets import targets_by_id

pytestmark = pytest.mark.anyio

ALL_OF_ONE = share_of_one(CONNECTIONS)


@pytest.fixture
def relay() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@asynccontextmanager
async def mailing(url: str, relay: str, **settings: Any) -> AsyncIterator[House]:
    """A house whose messages leave as mail."""
    given = {"mail_from": "House <house@home.example>", "mail_wait": 10.0, "messaging_channel": "mail", **settings}
    async with opened(url, smtp_url=SmtpUrl(relay), really=True, **given) as house:
        firing = asyncio.ensure_future(house.parts.courier.run())
        try:
            yield house
        finally:
            await house.parts.courier.stop(0)
            await asyncio.wait({firing}, timeout=5)
            await house.parts.relay.close()


async def send_to(house: House, namespace: str, *people: str) -> None:
    """A message of this namespace to each of these."""
    place = f"?namespace={namespace}"
    schedule = (await house.made(f"schedule/{place}", minute="0", hour="8"))["id"]
    its_set = (await house.made(f"messageset/{place}", short_name=people[0], default_schedule=schedule))["id"]
    await house.made(f"message/{place}", messageset=its_set, sequence_number=1, lang="eng", text_content="Hello")
    for person in people:
        given = {"identity": person, "messageset": its_set, "schedule": schedule, "lang": "eng"}
        id = (await house.made(f"subscriptions/{place}", **given))["id"]
        assert (await house.call("POST", f"subscriptions/{id}/send{place}")).status == 201


async def ask(house: House, path: str, body: Any = None) -> int:
    return (await house.call("POST", path, body, authorization=f"Bearer {TOKEN}")).status


async def test_what_hangs_for_one_namespace_keeps_no_other_and_not_the_house(
    relay: MailServer, database_url: str
) -> None:
    relay.silent_for.add("hangs.example")
    async with mailing(database_url, relay.url) as house:
        assert await ask(house, "/users", {"email": "owner@reset.example", "password": "forgotten"}) == 200
        await send_to(house, "shop", *(f"p{n}@hangs.example" for n in range(ALL_OF_ONE + 2)))
        await until(lambda: relay.asked.total() == ALL_OF_ONE, "all that one namespace may have to hang")

        await send_to(house, "games", "ann@example.com")
        await until(lambda: relay.arrived("ann@example.com"), "the other's message")
        email = {"to": "bob@example.com", "subject": "Hello", "body": "Hello", "namespace": "shop"}
        assert await ask(house, "/systems/emails", [email]) == 202
        assert await ask(house, "/users/owner@reset.example/password") == 200
        await until(lambda: relay.arrived("owner@reset.example"), "the mail with the token")

        assert relay.asked.total() == ALL_OF_ONE + 2, "its own mail waits behind its messages"
        hosts = house.parts.courier.lanes._hosts
        assert list(hosts._of.values()) == ["the relay"] * 3, "all but the house's count as one place"


async def test_messages_and_mail_share_connections(relay: MailServer, database_url: str) -> None:
    before = relay.connections
    async with mailing(database_url, relay.url) as house:
        await ask(house, "/systems/emails", {"to": "bob@example.com", "subject": "Hello", "body": "Hello"})
        await send_to(house, "shop", "ann@example.com")
        await until(lambda: relay.arrived("ann@example.com") and not house.parts.courier.in_hands, "the message")
        await ask(house, "/systems/emails", {"to": "bob@example.com", "subject": "Hello", "body": "Hello"})
        assert (len(relay.arrived()), relay.connections - before) == (3, 1)


async def test_messages_are_signed_as_mail_is(relay: MailServer, database_url: str) -> None:
    key = DkimKey()
    signing = {"dkim_selector": "mail", "dkim_domain": "home.example", "dkim_key": Secret(key.pem)}
    async with mailing(database_url, relay.url, **signing) as house:
        await send_to(house, "shop", "ann@example.com")
        await until(relay.arrived, "the message")
    (mail,) = relay.arrived()
    assert dkim.verify(mail.content, dnsfunc=key.record)
    assert not dkim.verify(mail.content.replace(b"ann@", b"eve@"), dnsfunc=key.record)


async def test_a_route_named_mail_is_a_route(relay: MailServer, database_url: str) -> None:
    """The targets of mail stand in the namespace as its routes do, and are none of them."""
    async with mailing(database_url, relay.url) as house:
        await house.made("routes/?namespace=shop", name="mail", url="http://127.0.0.1:9/")
        await send_to(house, "shop", "ann@example.com")
        await until(relay.arrived, "the message")
        listed = (await house.get("routes/?namespace=shop"))["results"]
        assert [(one["name"], one["url"]) for one in listed] == [("mail", "http://127.0.0.1:9/")]


async def test_a_namespace_has_as_much_at_once_as_the_relay_allows_it(relay: MailServer, sqlite_url: str) -> None:
    for connections in (4, 12):
        async with mailing(sqlite_url, f"{relay.url}?connections={connections}") as house:
            await send_to(house, "shop", f"ann{connections}@example.com")
            rows = await house.database.read(lambda tx: tx.all("SELECT id FROM targets WHERE namespace = 'shop'"))
            [found] = (await house.database.read(targets_by_id, {row[0] for row in rows})).values()
            assert (found.concurrency, found.settings.timeout) == (share_of_one(connections), LONGEST_TIMEOUT)
