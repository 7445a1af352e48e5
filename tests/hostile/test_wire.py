"""Bytes that are no request, half a request, or two where one is said to be."""

import time

import pytest

from tests.hostile.conftest import REQUEST_TIMEOUT
from tests.hostile.target import PATH, Target
from tests.hostile.wire import Wire

JOB = b'{"id": "smuggled", "trigger_time": 4102444800000, "route": "hook"}'
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(JOB), JOB)
LENGTH = f"Content-Length: {len(JOB)}"
CHUNKED = "Transfer-Encoding: chunked"

# What follows the headers, by the headers that lie about it.
MISFRAMED = {
    "a length beside chunks": ([LENGTH, CHUNKED], JOB),
    "chunks beside a length": ([CHUNKED, LENGTH], CHUNKS),
    "two lengths": ([LENGTH, "Content-Length: 5"], JOB),
    "the same length twice": ([LENGTH, LENGTH], JOB),
    "a list of lengths": ([f"{LENGTH}, {len(JOB)}"], JOB),
    "a length with a sign": ([f"Content-Length: +{len(JOB)}"], JOB),
    "a length below zero": (["Content-Length: -1"], JOB),
    "a length in hex": ([f"Content-Length: 0x{len(JOB):x}"], JOB),
    "a length beyond 64 bits": (["Content-Length: 99999999999999999999999"], JOB),
    "no number at all": (["Content-Length: many"], JOB),
    "another coding": (["Transfer-Encoding: xchunked"], CHUNKS),
    "a coding after chunks": (["Transfer-Encoding: chunked, identity"], CHUNKS),
    "chunks twice": ([CHUNKED, CHUNKED], CHUNKS),
    "a blank before the colon": (["Transfer-Encoding : chunked"], CHUNKS),
    "a vertical tab in the coding": (["Transfer-Encoding:\x0bchunked"], CHUNKS),
    "a folded header": (["Transfer-Encoding:\r\n chunked"], CHUNKS),
    "a size that is no number": ([CHUNKED], b"zz\r\n" + JOB + b"\r\n0\r\n\r\n"),
    "a size below zero": ([CHUNKED], b"-1\r\n" + JOB + b"\r\n0\r\n\r\n"),
    "a size beyond 64 bits": ([CHUNKED], b"FFFFFFFFFFFFFFFFF\r\n" + JOB + b"\r\n0\r\n\r\n"),
    "lines that end in LF": ([CHUNKED], CHUNKS.replace(b"\r\n", b"\n")),
    "a chunk longer than its size": ([CHUNKED], b"5\r\n" + JOB + b"\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("case", MISFRAMED)
def test_a_body_whose_end_is_in_doubt_is_refused_and_the_connection_closed(target: Target, case: str) -> None:
    headers, body = MISFRAMED[case]
    hidden = target.request(f"DELETE {PATH}/kept")

    replies = target.say(target.request(f"POST {PATH}", *headers, body=body + hidden))

    assert [reply.status for reply in replies] == [400]
    assert "this is not an HTTP/1.1 request" in replies[0].problem["error"]
    assert replies[0].headers["connection"] == "close"


MALFORMED = {
    "an unknown method": b"STEAL /health HTTP/1.1\r\n\r\n",
    "a protocol of the future": b"GET /health HTTP/3.7\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a TLS greeting": bytes.fromhex("16030100c8010000c40303") + b"x" * 200,
    "lines that end in LF": b"GET /health HTTP/1.1\nHost: here\n\n",
    "lines that end in CR": b"GET /health HTTP/1.1\rHost: here\r\r",
    "a folded header": b"GET /health HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    "a blank in a header's name": b"GET /health HTTP/1.1\r\nX y: a\r\n\r\n",
    "NUL in a header": b"GET /health HTTP/1.1\r\nX: a\x00b\r\n\r\n",
    "NUL in the path": b"GET /hea\x00lth HTTP/1.1\r\n\r\n",
    "raw UTF-8 in the path": "GET /h\u00e4lth HTTP/1.1\r\n\r\n".encode(),
    "a blank in the path": b"GET /hea lth HTTP/1.1\r\n\r\n",
    "noise": bytes(range(256)) * 4,
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_request_is_told_so(target: Target, case: str) -> None:
    replies = target.say(MALFORMED[case])

    assert replies[-1].status == 400
    assert "this is not an HTTP/1.1 request" in replies[-1].problem["error"]


@pytest.mark.parametrize("line", ["CONNECT here:443", "OPTIONS *", "GET //health", "GET /http://here/health"])
def test_targets_that_are_no_path_of_ours_lead_nowhere(target: Target, line: str) -> None:
    [reply] = target.say(target.request(line, "Connection: close"))

    assert reply.status == 404
    assert b"nothing at this path" in reply.body


@pytest.mark.parametrize("place", ["http://elsewhere", "HTTPS://here:1", "http://a:b@here"])
def test_of_a_target_in_absolute_form_only_the_path_counts(target: Target, place: str) -> None:
    replies = target.say(
        target.request(f"GET {place}/health") + target.request(f"GET {place}{PATH}/kept", "Connection: close")
    )

    assert [reply.status for reply in replies] == [200, 200]


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PATCH", "POST", "PROPFIND", "LOCK"])
def test_methods_that_a_path_does_not_take_are_refused_with_those_that_it_does(target: Target, method: str) -> None:
    [ours] = target.say(target.request(f"{method} /health", "Connection: close"))
    [of_timers] = target.say(target.request(f"{method} {PATH}/kept", "Connection: close"))

    assert (ours.status, ours.headers["allow"]) == (405, "GET")
    assert (of_timers.status, of_timers.headers["allow"]) == (400, "DELETE, GET, PUT")
    assert of_timers.problem["code"] == "E035"


def test_a_head_request_gets_the_head_alone_and_the_next_its_whole_reply(target: Target) -> None:
    both = target.request("HEAD /health") + target.request("GET /health", "Connection: close")
    with Wire(target.croft.port) as wire:
        wire.send(both)
        head, whole = wire.all().split(b"HTTP/1.1 ")[1:]

    assert head.startswith(b"200 OK") and head.endswith(b"\r\n\r\n")
    assert whole.startswith(b"200 OK") and whole.endswith(b"}")


def test_an_upgrade_is_not_taken_and_the_request_answered(target: Target) -> None:
    upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]

    [reply] = target.say(target.request("GET /health", *upgrade), target.request("GET /health"))

    assert (reply.status, reply.headers["connection"]) == (200, "close")


def test_pipelined_requests_are_answered_in_their_order_also_when_the_last_is_refused(target: Target) -> None:
    asked = [f"GET {PATH}/kept", "GET /nowhere", "GET /health", f"GET {PATH}/unknown"] * 10
    for last in (target.request(f"POST {PATH}", "Content-Length: 99999999"), b"\x00\x01 garbage\r\n\r\n"):
        replies = target.say(b"".join(map(target.request, asked)) + last)

        assert [reply.status for reply in replies[:-1]] == [200, 404, 200, 400] * 10
        assert replies[-1].status in (413, 400)
        assert replies[-1].headers["connection"] == "close"


def test_a_small_body_in_chunks_is_answered_once_without_a_token(target: Target) -> None:
    bare = f"POST {PATH} HTTP/1.1\r\n{CHUNKED}\r\n\r\n".encode() + CHUNKS

    replies = target.say(bare + bare.replace(b"chunked", b"chunked\r\nConnection: close"))

    assert [reply.status for reply in replies] == [401, 401]


@pytest.mark.parametrize(
    "length", ["Content-Length: 104857600", "Content-Length: 1000000", CHUNKED], ids=["too long", "long", "chunks"]
)
def test_nobody_without_a_token_is_told_to_go_on_with_a_large_body(target: Target, length: str) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nExpect: 100-continue\r\n{length}\r\n\r\n".encode()

    [reply] = target.say(head)

    assert reply.status in (401, 413)
    assert reply.headers["connection"] == "close"


def test_a_client_that_waits_to_be_told_is_told(target: Target) -> None:
    body = b'{"not": "a job"}' + b" " * 100_000
    head = target.request(f"POST {PATH}", "Expect: 100-continue", f"Content-Length: {len(body)}", "Connection: close")
    with Wire(target.croft.port) as wire:
        wire.send(head)
        assert [reply.status for reply in wire.replies(at_least=1)] == [100]

        wire.send(body)

        assert [reply.status for reply in wire.replies()] == [100, 400]


ENDLESS = {
    "headers": (b"GET /health HTTP/1.1\r\n", b"X-Again: and again\r\n"),
    "one header": (b"GET /health HTTP/1.1\r\nX: ", b"again"),
    "one path": (b"GET /", b"again/"),
    "trailers": (None, b"X-Again: and again\r\n"),
    "one trailer": (None, b"again"),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_endless_heads_are_cut_off_and_not_kept(target: Target, case: str) -> None:
    begin, more = ENDLESS[case]
    if begin is None:
        begin = target.request(f"POST {PATH}", CHUNKED, body=b"0\r\n" + (b"X: " if case == "one trailer" else b""))
    before = target.memory()
    with Wire(target.croft.port) as wire:
        wire.send(begin)
        until = time.monotonic() + 10
        while wire.send(more * 4_000):
            assert time.monotonic() < until, "it listened for ever"
        [reply] = wire.replies()

    assert reply.status == 431
    assert "65536 bytes at the most" in reply.problem["error"]
    assert target.memory() - before < 16 * 2**20


def test_a_chunk_with_an_endless_extension_is_cut_off(target: Target) -> None:
    with Wire(target.croft.port) as wire:
        wire.send(target.request(f"POST {PATH}", CHUNKED, body=b"5;"))
        while wire.send(b"again=again;" * 4_000):
            pass
        [reply] = wire.replies()

    assert reply.status in (400, 431)


SLOW = {
    "nothing": (b"", b""),
    "a head in drops": (b"GET /health HTTP/1.1\r\nX: ", b"a"),
    "a body in drops": (None, b" "),
}


@pytest.mark.parametrize("case", SLOW)
def test_those_who_are_slow_are_hung_up_on(target: Target, case: str) -> None:
    begin, drop = SLOW[case]
    if begin is None:
        begin = target.request(f"POST {PATH}", "Content-Length: 1000")
    began = time.monotonic()
    with Wire(target.croft.port) as wire:
        wire.send(begin)
        while not wire.hung_up:
            wire.send(drop)
            assert wire.replies(0.2) == []
            assert time.monotonic() - began < 10 * REQUEST_TIMEOUT, "it waited for ever"

    assert time.monotonic() - began > REQUEST_TIMEOUT - 1


def test_a_client_that_never_reads_is_hung_up_on_and_its_replies_are_not_kept(target: Target) -> None:
    before = target.memory()
    requests = b"GET /nowhere HTTP/1.1\r\n\r\n" * 1_000
    with Wire(target.croft.port) as wire:
        while wire.send(requests):
            assert target.memory() - before < 64 * 2**20
        assert wire.broken, "it hung up"

    assert target.memory() - before < 64 * 2**20


def test_half_a_request_and_an_end_leave_nothing_behind(target: Target) -> None:
    for cut in (b"GE", b"GET /health HTTP/1.1\r\nHo", target.request(f"POST {PATH}", LENGTH, body=JOB[:-1])):
        with Wire(target.croft.port) as wire:
            wire.send(cut)
