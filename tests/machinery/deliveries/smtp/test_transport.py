"""Mail over a real SMTP server, whatever it does: an attempt always ends, as an outcome that says what it means."""

import asyncio
import re

import pytest

from tests.machinery.deliveries.making import Clock
from tests.machinery.deliveries.smtp.sending import ANN, MESSAGE, Connect, delivery, envelope_of, send, target
from tests.services.mailserver import MailServer
from tests.services.ports import free_port
from undercroft.base.refusals import invalid, unavailable
from undercroft.machinery.deliveries.actions import LONGEST_TIMEOUT
from undercroft.machinery.deliveries.model import Delivery, NotSent, Result
from undercroft.machinery.deliveries.smtp import (
    CAPTURED,
    CaptureTransport,
    Envelope,
    Limits,
    NothingToSend,
    SmtpTransport,
    read_relay,
)

pytestmark = pytest.mark.anyio


async def test_what_is_accepted_arrives_byte_for_byte(relay: MailServer, connect: Connect) -> None:
    outcome = await send(connect(relay.url))
    assert outcome.result is Result.DONE
    assert (outcome.status, outcome.reply, outcome.error) == (250, "250 2.0.0 queued as 7E", None)
    (one,) = relay.arrived()
    assert one.content == MESSAGE, "dots at the beginning of lines too"
    assert (one.sender, one.recipient) == ("house@home.example", ANN)


async def test_one_connection_carries_several(relay: MailServer, connect: Connect) -> None:
    transport = connect(relay.url)
    before = relay.connections
    relay.answers["bad@example.com"].append("550 5.1.1 no such user")
    for recipient in ("a@example.com", "bad@example.com", "b@example.com"):
        await send(transport, recipient)
    assert [one.recipient for one in relay.arrived()] == ["a@example.com", "b@example.com"]
    assert relay.connections - before == 1, "a refusal does not cost it either"


async def test_no_more_connections_than_the_relay_bears(relay: MailServer, connect: Connect) -> None:
    transport = connect(relay.url + "?connections=2")
    before = relay.connections
    outcomes = await asyncio.gather(*(send(transport, f"u{n}@example.com") for n in range(20)))
    assert {outcome.result for outcome in outcomes} == {Result.DONE}
    assert relay.connections - before <= 2
    assert len(relay.arrived()) == 20


@pytest.mark.parametrize(
    ("answer", "result", "words"),
    [
        ("450 4.2.1 mailbox busy", Result.AGAIN, "the relay put the recipient off: 450 4.2.1 mailbox busy"),
        ("550 5.1.1 no such user", Result.HOPELESS, "the relay refused the recipient: 550 5.1.1 no such user"),
        ("421 4.3.2 shutting down", Result.AGAIN, "the relay put the recipient off: 421 4.3.2 shutting down"),
        ("530 5.7.0 authentication required", Result.AGAIN, "the relay wants another login: 530"),
    ],
)
async def test_the_relays_code_says_whether_to_try_again(
    relay: MailServer, connect: Connect, answer: str, result: Result, words: str
) -> None:
    relay.answers[ANN].append(answer)
    transport = connect(relay.url)
    outcome = await send(transport)
    assert outcome.result is result
    assert outcome.status == int(answer[:3])
    assert outcome.error is not None and outcome.error.startswith(words)
    assert relay.arrived() == []
    assert (await send(transport)).result is Result.DONE, "the next one goes through"


@pytest.mark.parametrize(
    ("answer", "result"),
    [("452 4.3.1 disk full", Result.AGAIN), ("554 5.7.1 spam", Result.HOPELESS)],
)
async def test_so_does_its_answer_to_the_message(
    relay: MailServer, connect: Connect, answer: str, result: Result
) -> None:
    relay.data_answers[ANN].append(answer)
    outcome = await send(connect(relay.url))
    assert (outcome.result, outcome.status) == (result, int(answer[:3]))
    assert "message" in (outcome.error or "")


async def test_a_cut_in_the_middle_of_the_message_is_tried_again(relay: MailServer, connect: Connect) -> None:
    relay.cut_in_data = 1
    transport = connect(relay.url)
    outcome = await send(transport)
    assert (outcome.result, outcome.status) == (Result.AGAIN, None)
    assert "cut while the message was being handed over" in (outcome.error or "")
    assert relay.arrived() == []
    assert (await send(transport)).result is Result.DONE
    assert len(relay.arrived()) == 1


async def test_a_cut_after_the_message_is_tried_again_and_says_that_it_may_arrive_twice(
    relay: MailServer, connect: Connect
) -> None:
    relay.cut_after_dot = 1
    outcome = await send(connect(relay.url))
    assert outcome.result is Result.AGAIN
    assert "arrives twice" in (outcome.error or "") and "same Message-ID" in (outcome.error or "")


async def test_a_kept_connection_that_the_relay_closed_costs_nothing(relay: MailServer, connect: Connect) -> None:
    transport = connect(relay.url)
    assert (await send(transport)).result is Result.DONE
    relay.stop()
    relay.start()
    assert (await send(transport)).result is Result.DONE
    assert len(relay.arrived()) == 2


async def test_a_relay_that_is_not_there_is_tried_again(connect: Connect) -> None:
    outcome = await send(connect(f"smtp://127.0.0.1:{free_port()}"))
    assert outcome.result is Result.AGAIN
    assert "could not reach the relay" in (outcome.error or "")


async def test_a_relay_that_says_nothing_does_not_hold_a_mail_for_ever(connect: Connect) -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    async with server:
        outcome = await send(connect(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", connect=0.2))
    assert outcome.result is Result.AGAIN
    assert "did not let us in within 0.2 s" in (outcome.error or "")


@pytest.mark.parametrize(
    ("silent_at", "limit", "words"),
    [
        ("MAIL", "answer", "did not answer MAIL FROM within 0.2 s before the message was sent"),
        ("RCPT", "answer", "did not answer RCPT TO within 0.2 s before the message was sent"),
        ("DATA", "message", "did not answer DATA within 0.2 s while the message was being handed over"),
    ],
)
async def test_a_relay_that_falls_silent_is_given_up_and_it_is_said_at_what(
    relay: MailServer, connect: Connect, silent_at: str, limit: str, words: str
) -> None:
    relay.silent_at = silent_at
    transport = connect(relay.url, **{limit: 0.2})
    outcome = await send(transport)
    assert outcome.result is Result.AGAIN
    assert words in (outcome.error or "")
    relay.silent_at = ""
    assert (await send(transport)).result is Result.DONE


async def test_all_of_it_takes_no_longer_than_its_claim_lasts(relay: MailServer, connect: Connect) -> None:
    relay.silent_at = "RCPT"
    outcome = await send(connect(relay.url), timeout=2)
    assert outcome.result is Result.AGAIN
    told = re.search(r"did not answer RCPT TO within ([\d.]+) s", outcome.error or "")
    assert told, outcome.error
    assert float(told[1]) <= 2, "what was left of it then"


def test_the_limits_of_one_attempt_end_within_the_courier_s() -> None:
    """On a kept connection that the relay had closed it begins anew."""
    limits = Limits()
    assert limits.connect + 3 * limits.answer + limits.message + 2 * limits.reset <= LONGEST_TIMEOUT


async def test_a_refusal_stands_though_the_relay_hangs_up_on_it(relay: MailServer, connect: Connect) -> None:
    relay.hangs_up_when_reset = True
    relay.answers[ANN].append("550 5.1.1 no such user")
    transport = connect(relay.url)
    outcome = await send(transport)
    assert (outcome.result, outcome.status) == (Result.HOPELESS, 550)
    assert (await send(transport)).result is Result.DONE, "over another connection"


async def test_what_has_lost_its_sense_is_not_sent(relay: MailServer) -> None:
    async def nothing(_delivery: Delivery) -> Envelope:
        raise NothingToSend("the mail is gone")

    for transport in (SmtpTransport(Clock(), read_relay(relay.url), nothing), CaptureTransport(Clock(), nothing)):
        outcome = await transport.send(target(), delivery(), "msg", {})
        assert (outcome.result, outcome.error) == (Result.HOPELESS, "the mail is gone")
    assert relay.asked.total() == 0


async def test_where_the_database_is_gone_nothing_was_tried(relay: MailServer) -> None:
    async def no_database(_delivery: Delivery) -> Envelope:
        raise unavailable("the database is gone")

    for transport in (
        SmtpTransport(Clock(), read_relay(relay.url), no_database),
        CaptureTransport(Clock(), no_database),
    ):
        with pytest.raises(NotSent):
            await transport.send(target(), delivery(), "msg", {})


async def test_what_our_own_rules_refuse_by_now_has_its_end(relay: MailServer) -> None:
    """Else it would be tried for ever: nothing that comes later makes it better."""

    async def refused(_delivery: Delivery) -> Envelope:
        raise invalid("headers", "a header has a line break")

    for transport in (SmtpTransport(Clock(), read_relay(relay.url), refused), CaptureTransport(Clock(), refused)):
        outcome = await transport.send(target(), delivery(), "msg", {})
        assert outcome.result is Result.HOPELESS
        assert outcome.error == "the mail can't be written: a header has a line break"
    assert relay.asked.total() == 0


async def test_what_is_captured_says_so() -> None:
    outcome = await CaptureTransport(Clock(), envelope_of).send(target(), delivery(), "msg", {})
    assert (outcome.result, outcome.status, outcome.reply) == (Result.DONE, None, CAPTURED)
