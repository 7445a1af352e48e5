"""A relay that refuses, puts off, is down, hangs up or says nothing: each mail arrives once or is reported dead."""

import msgspec
import pytest

from tests.families.mail.house import QUEUED, house
from tests.machinery.mail import making
from tests.services.mailserver import MailServer
from undercroft.base.clock import DAY, MINUTE, SECOND, wall_clock
from undercroft.machinery.mail.actions import enqueue_many
from undercroft.machinery.mail.content import content_of
from undercroft.machinery.mail.schedule import RETRIES

pytestmark = pytest.mark.anyio

TO = "recipient@email.com"


async def test_what_the_relay_refuses_is_a_400_with_its_words_and_not_tried_again(
    relay: MailServer, database_url: str
) -> None:
    relay.answers[TO].append("550 5.1.1 no such user here")
    async with house(database_url, relay.url) as one:
        answer = await one.send()
        assert (answer.status, answer.json["code"]) == (400, "M015")
        assert "550 5.1.1 no such user here" in answer.json["error"]
        assert (await one.email(answer.id))["state"] == "refused"
        await one.go_on(DAY)
        assert (relay.asked[TO], relay.arrived()) == (1, [])


async def test_what_the_relay_puts_off_is_a_202_and_arrives_later(relay: MailServer, database_url: str) -> None:
    relay.answers[TO].extend(["450 4.2.0 greylisted", "451 4.3.0 not now"])
    async with house(database_url, relay.url) as one:
        answer = await one.send()
        assert (answer.status, answer.body) == (202, QUEUED)
        found = await one.until_state(answer.id, "sent")
        assert found["recipients"][0]["attempts"] == 3
        assert len(relay.arrived()) == 1


async def test_a_relay_that_is_down_loses_nothing(relay: MailServer, database_url: str) -> None:
    relay.stop()
    async with house(database_url, relay.url) as one:
        answers = [await one.send(to=f"u{n}@example.com") for n in range(5)]
        assert {(answer.status, answer.body) for answer in answers} == {(202, QUEUED)}
        assert "could not reach the relay" in (await one.email(answers[0].id))["recipients"][0]["reply"]
        relay.start()
        for answer in answers:
            await one.until_state(answer.id, "sent")
        assert sorted(mail.recipient for mail in relay.arrived()) == [f"u{n}@example.com" for n in range(5)]


async def test_a_relay_that_is_down_for_a_minute_and_back(relay: MailServer, database_url: str) -> None:
    """By the usual schedule: not tried before its pause is over, and then sent once."""
    relay.stop()
    async with house(database_url, relay.url, mail_retries=RETRIES) as one:
        answers = [await one.send(to=f"u{n}@example.com") for n in range(3)]
        assert {answer.status for answer in answers} == {202}
        relay.start()
        await one.go_on(MINUTE - 15 * SECOND)
        assert [(await one.email(answer.id))["state"] for answer in answers] == ["deferred"] * 3
        assert relay.asked.total() == 0
        await one.go_on(15 * SECOND + MINUTE // 10)  # a pause is stretched by a tenth at the most
        for answer in answers:
            assert (await one.until_state(answer.id, "sent"))["recipients"][0]["attempts"] == 2
        assert sorted(mail.recipient for mail in relay.arrived()) == [f"u{n}@example.com" for n in range(3)]


async def test_a_mail_whose_attempts_are_used_up_is_reported_dead(relay: MailServer, database_url: str) -> None:
    relay.answers[TO].extend(["450 4.2.0 not now"] * 3)
    async with house(database_url, relay.url, mail_retries=(0.02, 0.02)) as one:
        answer = await one.send()
        found = await one.until_state(answer.id, "failed")
        assert "all 3 attempts are used up" in found["recipients"][0]["reply"]
        assert relay.arrived() == []


async def test_a_connection_cut_in_the_middle_of_the_message(relay: MailServer, database_url: str) -> None:
    relay.cut_in_data = 2
    async with house(database_url, relay.url) as one:
        answer = await one.send()
        assert (answer.status, answer.body) == (202, QUEUED)
        await one.until_state(answer.id, "sent")
        assert len(relay.arrived()) == 1


async def test_a_connection_cut_after_the_message_may_bring_it_twice_as_the_same(
    relay: MailServer, database_url: str
) -> None:
    relay.cut_after_dot = 1
    async with house(database_url, relay.url) as one:
        answer = await one.send()
        assert answer.status == 202
        await one.until_state(answer.id, "sent")
        first, second = relay.arrived()
        assert first.id == second.id and first.content == second.content


async def test_a_relay_that_takes_its_time_is_not_waited_for_for_ever(relay: MailServer, database_url: str) -> None:
    relay.silent_at = "RCPT"
    async with house(database_url, relay.url, mail_wait=0.1) as one:
        answer = await one.send()
        assert (answer.status, answer.body) == (202, QUEUED)


async def test_a_mail_that_our_rules_refuse_when_it_is_made_has_its_end(relay: MailServer, database_url: str) -> None:
    """It was stored by rules that let it pass. Tried again, it would be refused for ever."""
    mail = msgspec.structs.replace(making.mail(), headers=(("X-A", "b\r\nBcc: eve@example.com"),))
    order = making.order(now=wall_clock())._replace(mail=mail, content=content_of(mail))
    async with house(database_url, relay.url) as one:
        await one.database.write(enqueue_many, [order])
        found = await one.until_state(order.id, "refused")
        assert "the mail can't be written" in found["recipients"][0]["reply"]
        assert found["recipients"][0]["attempts"] == 1
        assert relay.asked.total() == 0
