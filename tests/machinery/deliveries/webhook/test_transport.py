"""Webhooks over a real socket, whatever the other side does with it: an attempt always ends, as an outcome."""

import asyncio
import email.utils
import os
import socket
import time
from typing import Any

import pytest

from tests.machinery.deliveries.making import NOW, Clock
from tests.machinery.deliveries.webhook.raw import (
    Handler,
    forever,
    in_pieces,
    never,
    serving,
    then_close,
    then_reset,
)
from tests.machinery.deliveries.webhook.sending import OK, Sender, delivery, target
from tests.services.waiting import until
from undercroft.machinery.deliveries.webhook import WebhookTransport, guard
from undercroft.machinery.deliveries.webhook.connection import KEPT, MOST_READ

pytestmark = pytest.mark.anyio

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OTHER_PROTOCOL = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "status", "reply"),
    [
        (OK, 200, "ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        (b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, None),
        (CHUNKED + b"2\r\nok\r\n3;x=y\r\n, k\r\n0\r\nTrailer: t\r\n\r\n", 200, "ok, k"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\n\xff\x00a", 500, "\ufffd\ufffda"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, "ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK, 200, "ok"),
        (in_pieces(b"HTTP/1.1 100 Continue\r\n\r\n", OK, pause=0.02), 200, "ok"),
        (in_pieces(*(OK[n : n + 1] for n in range(len(OK)))), 200, "ok"),
        (then_close(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"), 200, "until the end"),
        (then_close(b"HTTP/1.0 200 OK\r\n\r\n"), 200, None),
        (then_close(OK), 200, "ok"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
        (OTHER_PROTOCOL + b"\x81\x00", 101, None),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304, None),
    ],
)  # fmt: skip
async def test_an_answer_is_understood(
    sender: Sender, answer: bytes | Handler, status: int, reply: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(answer) as server:
        outcome = await sender.send(server.port)

    assert (outcome.status, outcome.reply) == (status, reply)
    assert outcome.started_at == NOW
    assert not caplog.records, "the event loop complained"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"What do you want?\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 twohundred OK\r\n\r\n", "not HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"\x00" * 1_000, "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n", "not HTTP"),
        (then_close(), "hung up"),
        (then_close(b"HTTP/1.1 200 OK\r\nContent-Le"), "hung up"),
        (then_close(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), "hung up"),
        (then_reset(), "lost|hung up"),
        (never(), "no answer within 0.3 s"),
        (forever(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b".", pause=0.05), "no answer within 0.3 s"),
        (forever(b"HTTP/1.1 200 OK\r\n", b"X-More: yes\r\n", pause=0.05), "no answer within 0.3 s"),
        (forever(b"HTTP/1.1 200 OK\r\n", b"X-More: yes\r\n" * 1_000), "too long"),
        (forever(b"HTTP/1.1 200 OK\r\nX-More: ", b"y" * 10_000), "too long"),
        (forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), "too long"),
        (forever(CHUNKED + b"1;", b"x" * 10_000), "too long"),
    ],
)
async def test_what_is_no_answer_is_an_outcome_too(
    sender: Sender, answer: bytes | Handler, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    async with serving(answer) as server:
        outcome = await sender.send(server.port, timeout=0.3 if "0.3 s" in error else 20)

    assert outcome.status is None and outcome.error is not None
    assert any(part in outcome.error for part in error.split("|")), outcome.error
    assert time.monotonic() - began < 10
    assert not caplog.records, "the event loop complained"


async def test_of_a_huge_answer_the_beginning_is_kept_and_the_rest_not_waited_for(sender: Sender) -> None:
    huge = forever(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", b"x" * 30_000)
    async with serving(huge) as server:
        outcome = await sender.send(server.port)

    assert outcome.status == 200 and outcome.error is None
    assert outcome.reply == "x" * KEPT
    assert MOST_READ < 100_000


async def test_a_connection_is_kept_for_the_next(sender: Sender) -> None:
    async with serving(OK) as server:
        for _ in range(5):
            assert (await sender.send(server.port)).status == 200

    assert (server.connections, len(server.requests)) == (1, 5)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        then_close(b"HTTP/1.1 200 OK\r\n\r\n"),
        OK + b"HTTP/1.1 500 Pipelined\r\nContent-Length: 0\r\n\r\n",
        OK + b"junk",
        OK + b"HTTP/1.1 5",
        OTHER_PROTOCOL,
    ],
)
async def test_a_connection_that_is_not_fit_is_not_used_again(sender: Sender, answer: bytes | Handler) -> None:
    async with serving(answer, OK) as server:
        first = await sender.send(server.port)
        second = await sender.send(server.port)

    assert first.status == (101 if answer == OTHER_PROTOCOL else 200)
    assert second.status == 200
    assert server.connections == 2


async def test_what_comes_unasked_ends_the_connection(sender: Sender) -> None:
    async with serving(in_pieces(OK, b"HTTP/1.1 500 Unasked\r\nContent-Length: 0\r\n\r\n", pause=0.05), OK) as server:
        first = await sender.send(server.port)
        await until(lambda: server.ended, "it to be hung up on")
        second = await sender.send(server.port)

    assert (first.status, second.status) == (200, 200)
    assert server.connections == 2


async def test_a_kept_connection_that_was_closed_is_tried_once_more(sender: Sender) -> None:
    """It closes when the next request comes, as a server does whose patience just ended."""
    async with serving(OK, then_close(), OK) as server:
        await sender.send(server.port)
        outcome = await sender.send(server.port)

    assert outcome.status == 200
    assert (server.connections, len(server.requests)) == (2, 3)


async def test_a_new_connection_that_is_closed_is_not_tried_again(sender: Sender) -> None:
    async with serving(then_close()) as server:
        outcome = await sender.send(server.port)

    assert outcome.status is None
    assert len(server.requests) == 1


async def test_one_that_began_to_answer_is_not_tried_again(sender: Sender) -> None:
    async with serving(OK, then_close(b"HTTP/1.1 2"), OK) as server:
        await sender.send(server.port)
        outcome = await sender.send(server.port)

    assert outcome.status is None
    assert len(server.requests) == 2


async def test_a_stale_connection_and_a_slow_new_one_take_no_longer_than_one_timeout(sender: Sender) -> None:
    async def close_late(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3.0)
        writer.close()

    async with serving(OK, close_late, never()) as server:
        await sender.send(server.port)
        began = time.monotonic()
        outcome = await sender.send(server.port, timeout=4.0)

    assert len(server.requests) == 3
    assert outcome.error == "no answer within 4 s"
    assert time.monotonic() - began < 3.0 + 4.0


async def test_who_never_gets_to_the_end_of_connecting_is_not_waited_for(sender: Sender) -> None:
    """It takes the connection and says nothing where TLS wants an answer."""
    began = time.monotonic()
    async with serving(never()) as server:
        outcome = await sender.send(server.port, scheme="https", timeout=0.3)

    assert outcome.error == "no answer within 0.3 s"
    assert time.monotonic() - began < 20, "TLS itself would wait for half a minute"


async def test_idle_connections_are_closed_in_time(sender: Sender) -> None:
    async with serving(OK) as server:
        await sender.send(server.port)
        sender.transport._pool.close_idle(older_than=30)
        await sender.send(server.port)
        assert server.connections == 1
        sender.transport._pool.close_idle(older_than=0)
        await sender.send(server.port)

    assert server.connections == 2


async def test_a_port_that_nobody_listens_on(sender: Sender) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        outcome = await sender.send(probe.getsockname()[1])

    assert outcome.status is None
    assert outcome.error is not None and "could not connect" in outcome.error


async def test_a_name_that_nobody_has(sender: Sender) -> None:
    outcome = await sender.transport.send(target("http://nobody.invalid/"), delivery(), "msg", {})
    longest = await sender.transport.send(target(f"http://{'x' * 64}.example/"), delivery(), "msg", {})

    for one in (outcome, longest):
        assert one.error is not None and "could not connect" in one.error


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(sender: Sender, status: int) -> None:
    async with serving(OK) as other:
        location = f"Location: http://127.0.0.1:{other.port}/".encode()
        async with serving(b"HTTP/1.1 %d Over there\r\n%b\r\nContent-Length: 0\r\n\r\n" % (status, location)) as server:
            outcome = await sender.send(server.port)

    assert outcome.status == status
    assert outcome.error is not None and "not followed" in outcome.error
    assert other.requests == []


async def test_loopback_is_not_called_unless_allowed() -> None:
    transport = WebhookTransport(Clock(), allow_private=False)
    async with serving(OK) as server:
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
            outcome = await transport.send(target(f"http://{host}:{server.port}/"), delivery(), "msg", {})
            assert outcome.error is not None and "allow_private_targets" in outcome.error

    assert server.connections == 0
    transport.close()


async def test_a_name_that_changes_its_mind_is_checked_at_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: an address of the world when it is first looked at, ours when it is connected to again."""
    loop = asyncio.get_running_loop()
    answers = iter(["93.184.216.34", "127.0.0.1", "10.0.0.1", "93.184.216.34"])
    connected: list[str] = []

    async def look_up(_host: str, port: int, **_more: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    async def connect(connection: socket.socket, address: tuple[str, int]) -> None:
        connected.append(address[0])
        await really_connect(connection, ("127.0.0.1", address[1]))

    really_connect = loop.sock_connect
    monkeypatch.setattr(guard, "_ask", look_up)
    monkeypatch.setattr(loop, "sock_connect", connect)
    transport = WebhookTransport(Clock(), allow_private=False)
    async with serving(then_close(OK)) as server:
        url = f"http://rebind.example:{server.port}/"
        outcomes = [await transport.send(target(url), delivery(), "msg", {}) for _ in range(4)]
    transport.close()

    assert [outcome.status for outcome in outcomes] == [200, None, None, 200]
    assert connected == ["93.184.216.34", "93.184.216.34"], "to the very address that was checked"
    assert outcomes[1].error is not None and "rebind.example is at 127.0.0.1" in outcomes[1].error


async def test_a_name_that_hangs_is_looked_up_once_at_a_time(monkeypatch: pytest.MonkeyPatch, sender: Sender) -> None:
    looking: list[str] = []

    async def hang(host: str, port: int, **_more: Any) -> list[Any]:
        looking.append(host)
        await asyncio.sleep(0.5)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(guard, "_ask", hang)
    async with serving(OK) as server:
        url = f"http://slow.example:{server.port}/"
        impatient, patient = (
            [sender.transport.send(target(url, timeout=timeout), delivery(), "msg", {}) for _ in range(10)]
            for timeout in (0.1, 5.0)
        )
        outcomes = await asyncio.gather(*impatient, *patient)

    assert looking == ["slow.example"]
    assert [outcome.status for outcome in outcomes] == [None] * 10 + [200] * 10


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 0),
        ("99999999999999999999", 999_999_999),
        (email.utils.formatdate(NOW / 1_000 + 90, usegmt=True), 90),
        (email.utils.formatdate(NOW / 1_000 - 90, usegmt=True), 0),
        (time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(NOW / 1_000 + 90)), 90),
        (time.strftime("%A, %d-%b-%y %H:%M:%S GMT", time.gmtime(NOW / 1_000 + 90)), 90),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("Fri, 99 Foo 2023 99:99:99 GMT", None),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
    ],
)
async def test_forms_of_retry_after(
    sender: Sender, value: str, seconds: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dates without a zone are in UTC, wherever this machine stands."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        head = f"HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode()
        async with serving(head) as server:
            outcome = await sender.send(server.port)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert os.environ.get("TZ") != "Asia/Tokyo"

    assert (outcome.status, outcome.retry_after) == (503, seconds)


async def test_many_at_once_get_their_own_answers(sender: Sender) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = server.requests[-1].split(b" ")[1]
        await asyncio.sleep(0.001)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    async with serving(echo) as server:
        outcomes = await asyncio.gather(*(sender.send(server.port, f"/{number}") for number in range(100)))

    assert [outcome.reply for outcome in outcomes] == [f"/{number}" for number in range(100)]
