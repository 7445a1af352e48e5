"""Bodies that are too large, too deep, no JSON, no text, or JSON of another shape."""

import gzip
import json
import time
from typing import Any

import pytest

from tests.hostile.target import FAR, PATH, Target
from tests.hostile.wire import Wire

JOB = {"id": "one", "trigger_time": FAR, "route": "hook"}
ROUTE = {"id": "new", "type": "REST", "webhook_url": "http://127.0.0.1:9/"}
TOKEN = {"name": "mine"}
MOVE = {"shift_ms": 1}
REPLAY = {"ids": ["kept"]}
DEEP = 100_000
LARGE = 100 * 2**20


def but(whole: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({**whole, **changes}).encode()


def raw(whole: dict[str, Any], field: str, text: bytes) -> bytes:
    """The JSON with a field that no encoder would write."""
    return but(whole, **{field: "RAW"}).replace(b'"RAW"', text)


NO_JSON = {
    "nothing": b"",
    "blanks": b" \r\n\t ",
    "half": b'{"id": "one", "trigger_time": 41024448',
    "two": but(JOB) + but(JOB),
    "a comment": but(JOB)[:-1] + b" // a job\n}",
    "a trailing comma": but(JOB)[:-1] + b",}",
    "single quotes": but(JOB).replace(b'"', b"'"),
    "UTF-16": but(JOB).decode().encode("utf-16"),
    "UTF-32": but(JOB).decode().encode("utf-32-le"),
    "a byte order mark": b"\xef\xbb\xbf" + but(JOB),
    "a form": b"id=one&route=hook",
    "gzip": gzip.compress(but(JOB)),
    "bytes that are no UTF-8": but(JOB, id="RAW").replace(b"RAW", b"\xff\xfe"),
    "a surrogate in UTF-8": but(JOB, id="RAW").replace(b"RAW", b"\xed\xa0\x80"),
    "no UTF-8 in what is kept as it is": raw(JOB, "meta", b'{"a": "\xff"}'),
    "no UTF-8 in what is ignored": raw(JOB, "whatever", b'"\xff"'),
    "a control character": but(JOB, id="RAW").replace(b"RAW", b"a\x01b"),
    "a control character in what is kept": raw(JOB, "meta", b'"a\x01b"'),
    "NUL in what is kept": raw(JOB, "meta", b'"a\x00b"'),
    "NaN": raw(JOB, "trigger_time", b"NaN"),
    "NaN in what is kept": raw(JOB, "meta", b'{"a": NaN}'),
    "Infinity": raw(JOB, "trigger_time", b"Infinity"),
    "-Infinity in what is kept": raw(JOB, "meta", b"[-Infinity]"),
    "a number with a leading zero": raw(JOB, "meta", b"007"),
    "a number in hex": raw(JOB, "trigger_time", b"0xff"),
    "an unknown escape": but(JOB, id="RAW").replace(b"RAW", b"\\q"),
    "an unknown escape in what is kept": raw(JOB, "meta", b'"\\q"'),
    "half a surrogate pair": but(JOB, id="RAW").replace(b"RAW", b"\\ud800"),
    "half a surrogate pair in what is kept": raw(JOB, "meta", b'{"a": "\\ud800"}'),
    "half a surrogate pair in a key": raw(JOB, "meta", b'{"\\udfff": 1}'),
    "a surrogate pair the wrong way round": raw(JOB, "meta", b'["\\udc00\\ud800"]'),
    "too deep lists": b"[" * DEEP + b"]" * DEEP,
    "too deep lists in what is kept": raw(JOB, "meta", b"[" * DEEP + b"]" * DEEP),
    "too deep objects in what is kept": raw(JOB, "meta", b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "lists that never end": b"[" * DEEP,
}
WRONG_TYPES: dict[str, bytes] = {
    **{f"a job that is {value}": json.dumps(value).encode() for value in (None, 5, "job", True, 1.5)},
    **{f"an id that is {value}": but(JOB, id=value) for value in (5, True, [], {}, 1.5)},
    **{
        f"a trigger_time that is {value!r}": but(JOB, trigger_time=value)
        for value in ("5", 1.5, True, [], {}, None, -1, 10**30, -(10**30), 253_402_300_800_000)
    },
    **{f"a route that is {value!r}": but(JOB, route=value) for value in (5, None, [], {}, "", "x" * 10_000, "a\0b")},
    **{
        f"retries that are {value!r}": but(JOB, retries=value)
        for value in ("5", 5, [None], ["5"], [[1]], [-1], [1e300], [1] * 51, {"0": 1})
    },
    **{
        f"a cron that is {str(value)[:20]!r}": but(JOB, cron=value)
        for value in (5, [], "", "often", "* * * *", "60 * * * *", "0 0 30 2 *", "*" * 10_000, "0 0 1 1 *\0")
    },
    **{
        f"a timezone that is {value[:20]!r}": but(JOB, cron="* * * * *", timezone=value)
        for value in ("Mars", "../../../etc/passwd", "/etc/passwd", "Europe", "\0", "x" * 10_000)
    },
    "a timezone without cron": but(JOB, timezone="Europe/Berlin"),
    "a cron after the end of time": but(JOB, cron="0 0 1 1 *", trigger_time=253_402_300_799_999),
    "retries beyond numbers": raw(JOB, "retries", b"[1e999]"),
    "a trigger_time of 5,000 digits": raw(JOB, "trigger_time", b"9" * 5_000),
    "an empty id": but(JOB, id=""),
    "NUL in an id": but(JOB, id="a\0b"),
    "an id of 10,000 bytes": but(JOB, id="x" * 10_000),
    "an id of 513 bytes in 171 letters": but(JOB, id="\u20ac" * 171),
    "an idempotency_key of 10,000 bytes": but(JOB, idempotency_key="x" * 10_000),
    "an empty idempotency_key": but(JOB, idempotency_key=""),
    "NUL in an idempotency_key": but(JOB, idempotency_key="\0"),
    "the past": but(JOB, trigger_time=1),
    "an unknown route": but(JOB, route="nowhere"),
}
BULKS = {
    "a list in a list": b"[[]]",
    "null in a list": b"[null]",
    "a wrong one among good ones": json.dumps([JOB, {**JOB, "id": 5}]).encode(),
    "one that exists among new ones": json.dumps([JOB, {**JOB, "id": "kept", "meta": "other"}]).encode(),
    "the same id with other content": json.dumps([JOB, {**JOB, "meta": 1}]).encode(),
    "too many": json.dumps([JOB] * 10_001).encode(),
    "half a list": json.dumps([JOB]).encode()[:-1],
}
ROUTES: dict[str, bytes] = {
    **{
        f"a webhook_url {url[:40]!r}": but(ROUTE, webhook_url=url)
        for url in (
            "", "http://", "file:///etc/passwd", "gopher://127.0.0.1/", "http://user:secret@here/", "http://here:99999/",
            "http://[::1/", "http://here\r\nX: y/", "http://he re/", "x" * 10_000, "http://\0/", "javascript://here/",
            "http://\ud7ff\u2028/",
        )
    },
    **{
        f"headers {name!r}: {value[:20]!r}": but(ROUTE, headers={name: value})
        for name, value in (
            ("X", "a\r\nY: b"), ("X\r\nY", "b"), ("X y", "z"), ("", "a"), ("X", "\u20ac"), ("X", "\0"),
            ("Content-Length", "5"), ("Transfer-Encoding", "chunked"), ("webhook-id", "mine"), ("X", "x" * 10_000),
        )
    },
    **{
        f"{field} {value!r}": but(ROUTE, **{field: value})
        for field, value in (
            ("timeout", 0), ("timeout", -1), ("timeout", 1e300), ("timeout", "5"), ("concurrency", 0), ("rate", 0),
            ("concurrency", 10**30), ("rate", 10**30), ("rate", 1.5), ("method", "GET"), ("method", "POST\r\nX: y"),
            ("secret", "whsec_short"), ("secret", 5), ("secret", "whsec_\u20ac"), ("type", "Kafka"), ("type", None),
            ("id", ""), ("id", None), ("id", "\0"), ("id", "x" * 10_000), ("paused", "yes"), ("retries", [1e300]),
            ("headers", {str(number): "x" for number in range(51)}),
        )
    },
    "timeout NaN": raw(ROUTE, "timeout", b"NaN"),
    "timeout beyond numbers": raw(ROUTE, "timeout", b"1e999"),
}  # fmt: skip
OTHERS: dict[str, tuple[str, str, bytes]] = {
    "a job under another id": ("PUT", f"{PATH}/kept", but(JOB)),
    "an update with half a surrogate pair": ("PUT", f"{PATH}/kept", b'{"meta": "\\ud800"}'),
    "an update of an unknown job": ("PUT", f"{PATH}/unknown", b"{}"),
    "a route under another id": ("PUT", "/route/shop/hook", but(ROUTE)),
    "an unknown route": ("PUT", "/route/shop/unknown", b"{}"),
    "a move to nowhere": ("PATCH", f"{PATH}?all=1", b"{}"),
    "a move to two places": ("PATCH", f"{PATH}?all=1", but(MOVE, trigger_time=FAR)),
    "a move beyond 64 bits": ("PATCH", f"{PATH}?all=1", but(MOVE, shift_ms=10**30)),
    "a move into the past": ("PATCH", f"{PATH}?all=1", b'{"trigger_time": 1}'),
    "a move of what is not named": ("PATCH", PATH, but(MOVE)),
    "a replay of nothing": ("POST", "/dead/shop/replay", b"{}"),
    "a replay of numbers": ("POST", "/dead/shop/replay", but(REPLAY, ids=[1])),
    "a replay to a route with NUL": ("POST", "/dead/shop/replay", but(REPLAY, route="\0")),
    "a token without a name": ("POST", "/undercroft/tokens", but(TOKEN, name="")),
    "a token with NUL in its name": ("POST", "/undercroft/tokens", but(TOKEN, name="\0")),
    "a token of a name without end": ("POST", "/undercroft/tokens", but(TOKEN, name="x" * 10_000)),
    "a token for nothing": ("POST", "/undercroft/tokens", but(TOKEN, scopes=[])),
    "a token for a stranger": ("POST", "/undercroft/tokens", but(TOKEN, scopes=["x" * 10_000])),
    "a token that has expired": ("POST", "/undercroft/tokens", but(TOKEN, expires_in=-1)),
    "a token beyond time": ("POST", "/undercroft/tokens", but(TOKEN, expires_in=10**30)),
    "a token beyond digits": ("POST", "/undercroft/tokens", raw(TOKEN, "expires_in", b"9" * 5_000)),
    "a token with an unknown field": ("POST", "/undercroft/tokens", but(TOKEN, admin=True)),
    "a token too deep": ("POST", "/undercroft/tokens", b"[" * DEEP),
}


def refused(answer: Any) -> str:
    """What it says of the refusal."""
    assert answer.status_code in (400, 404), answer.text[:200]
    problem = answer.json()
    assert problem["error"] and problem["code"] and problem["code"] != "E099"
    assert len(answer.content) < 2_000, "it repeats what it was sent"
    return str(problem["error"])


@pytest.mark.parametrize("case", NO_JSON)
def test_what_is_no_json_is_no_job(both: Target, case: str) -> None:
    refused(both.post(PATH, NO_JSON[case]))


IN_A_LIST = NO_JSON.keys() - {"two", "nothing", "blanks"}  # two on a line, or none, are a list


@pytest.mark.parametrize("case", sorted(IN_A_LIST))
def test_what_is_no_json_spoils_a_list(both: Target, case: str) -> None:
    good, bad = but(JOB, id="good"), NO_JSON[case].replace(b"\n", b" ")
    refused(both.post(PATH, b"[" + good + b"," + bad + b"]"))
    refused(both.post(PATH, good + b"\n" + bad + b"\n", **{"Content-Type": "application/x-ndjson"}))


def test_jobs_of_the_wrong_shape_are_refused(both: Target) -> None:
    for case, body in WRONG_TYPES.items():
        said = refused(both.post(PATH, body))
        assert said, case


def test_lists_with_a_wrong_job_are_refused_whole(both: Target) -> None:
    for body in BULKS.values():
        refused(both.post(PATH, body))


def test_routes_of_the_wrong_shape_are_refused(both: Target) -> None:
    for body in ROUTES.values():
        refused(both.post("/route/shop", body))


def test_other_bodies_of_the_wrong_shape_are_refused(both: Target) -> None:
    for method, path, body in OTHERS.values():
        refused(both.http.request(method, path, content=body))


def test_a_name_that_is_there_twice_means_its_last_value(shared: Target) -> None:
    """As everywhere in JSON for Python, JavaScript and Go: what is stored is what any of them would read."""
    twice = b'{"id": "first", "id": "twice", "trigger_time": 1, "trigger_time": %d, "route": "hook"}' % FAR

    shared.post(PATH, twice).raise_for_status()

    assert shared.http.get(f"{PATH}/twice").json()["trigger_time"] == FAR
    assert shared.http.delete(f"{PATH}/twice").status_code == 200
    assert shared.http.get(f"{PATH}/first").status_code == 400


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip", "x"])
def test_packed_bodies_are_refused_by_that_name_and_not_unpacked(target: Target, coding: str) -> None:
    bomb = gzip.compress(b" " * LARGE)
    before = target.memory()

    said = refused(target.post(PATH, bomb, **{"Content-Encoding": coding}))

    assert said == "Content-Encoding is not taken: send the body as it is"
    assert target.memory() - before < LARGE // 2


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(target: Target) -> None:
    with Wire(target.croft.port) as wire:
        wire.send(target.request(f"POST {PATH}", f"Content-Length: {LARGE}"))

        [reply] = wire.replies()

    assert reply.status == 413
    assert "larger than 33554432 bytes; send it in parts" in reply.problem["error"]


@pytest.mark.parametrize("length", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_who_needs_little_is_sent_no_more(target: Target, length: str) -> None:
    """A lock takes 64 KiB: not a byte more of it is kept."""
    with Wire(target.croft.port) as wire:
        wire.send(target.request("POST /systems/locks?namespace=shop", length))
        if "chunked" in length:
            wire.send(b"%x\r\n%b\r\n" % (70_000, b" " * 70_000))

        [reply] = wire.replies()

    assert reply.status == 413
    assert "larger than 65536 bytes" in reply.problem["error"]
    assert reply.headers["x-gcore-version"] == "0.99", "in the words of locks"


@pytest.mark.parametrize("told", ["with its length", "in chunks"])
def test_a_body_of_100_mb_is_refused_and_leaves_the_memory_alone(target: Target, told: str) -> None:
    before = peak = target.memory()
    piece = b" " * 2**20
    length = "Transfer-Encoding: chunked" if told == "in chunks" else f"Content-Length: {LARGE}"
    with Wire(target.croft.port) as wire:
        wire.send(target.request(f"POST {PATH}", length))
        for _ in range(LARGE // len(piece)):
            wire.send(b"%x\r\n%b\r\n" % (len(piece), piece) if told == "in chunks" else piece)
            peak = max(peak, target.memory())
            if wire.broken:
                break
        [reply] = wire.replies()

    assert reply.status == 413
    assert peak - before < 48 * 2**20, "it kept more than the longest body"


def test_a_hundred_large_bodies_of_strangers_are_not_kept(target: Target) -> None:
    before = target.memory()
    head = f"POST {PATH} HTTP/1.1\r\nAuthorization: wrong\r\nContent-Length: 33000000\r\n\r\n".encode()
    wires = [Wire(target.croft.port) for _ in range(100)]
    for wire in wires:
        wire.send(head + b"[" * 2**18)

    until = time.monotonic() + 10
    statuses = [[reply.status for reply in wire.replies(max(0.1, until - time.monotonic()))] for wire in wires]

    assert statuses == [[401]] * 100
    assert target.memory() - before < 48 * 2**20
    for wire in wires:
        wire.close()
