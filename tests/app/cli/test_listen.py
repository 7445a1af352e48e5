"""`croft listen`: real requests to a real receiver."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as some
from standardwebhooks import Webhook

from undercroft.app.cli.arrivals import Arrival, as_json, as_text, signature_check
from undercroft.base.refusals import Refusal

SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0xMjM0"
NOW = 1_900_000_000_000
PROGRAM = Path(sys.executable).with_name("croft")


class Listening:
    def __init__(self, *flags: str) -> None:
        environ = {**os.environ, "PYTHONUNBUFFERED": "1", "TZ": "UTC"}
        self.process = subprocess.Popen(
            [PROGRAM, "listen", "--port", "0", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        self.announced = self.process.stderr.readline()
        self.url = self.announced.split()[2].rstrip(",")

    def post(self, path: str = "/hook", **request: object) -> httpx.Response:
        return httpx.post(self.url + path, trust_env=False, timeout=20, **request)  # type: ignore[arg-type]

    def ended(self) -> tuple[int, str]:
        out, _ = self.process.communicate(timeout=20)
        return self.process.returncode, out


@pytest.fixture
def listening() -> Iterator[Callable[..., Listening]]:
    started: list[Listening] = []

    def start(*flags: str) -> Listening:
        started.append(Listening(*flags))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def test_prints_what_arrives_and_ends_after_n(listening: Callable[..., Listening]) -> None:
    receiver = listening("--count", "2")
    headers = {"webhook-id": "msg_1", "X-Undercroft-Attempt": "3", "X-Undercroft-Due": "1000", "X-Other": "hidden"}
    assert receiver.post("/hook%2Fx?a=1", headers=headers, content=b'{"hi":["there"]}').status_code == 200
    assert receiver.post(content=b"\x1b]0;owned\x07").status_code == 200
    code, out = receiver.ended()
    assert code == 0
    assert "POST /hook%2Fx?a=1" in out
    assert "ms late, attempt 3" in out
    assert "webhook-id msg_1" in out
    assert '"there"' in out
    assert "hidden" not in out
    assert "\x1b" not in out
    assert r"\x1b]0;owned\x07" in out


def test_json_is_one_line_per_arrival(listening: Callable[..., Listening]) -> None:
    receiver = listening("--json", "--count", "1", "--status", "503", "--secret", SECRET)
    answer = receiver.post(content=iter([b'{"a"', b":1}"]))  # chunked
    assert answer.status_code == 503
    code, out = receiver.ended()
    arrival = json.loads(out)
    assert code == 0
    assert arrival["body"] == '{"a":1}'
    assert arrival["method"] == "POST"
    assert arrival["path"] == "/hook"
    assert arrival["signature"] == "missing"
    assert arrival["late_ms"] is None


def test_ctrl_c_ends_it_cleanly(listening: Callable[..., Listening]) -> None:
    receiver = listening("--json")
    receiver.post()
    receiver.process.send_signal(signal.SIGINT)
    code, out = receiver.ended()
    assert code == 0
    assert len(out.splitlines()) == 1


def test_a_port_that_is_taken_is_explained() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run([PROGRAM, "listen", "--port", port], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"127.0.0.1:{port}: address already in use" in done.stderr.lower()


@given(some.binary(max_size=200), some.text("abc_-0123", min_size=1, max_size=30))
def test_a_right_signature_is_right_and_any_change_makes_it_wrong(body: bytes, id: str) -> None:
    from datetime import UTC, datetime

    body = body.hex().encode()  # the reference signs text
    moment = datetime.fromtimestamp(NOW / 1_000, UTC)
    headers = {
        "webhook-id": id,
        "webhook-timestamp": str(NOW // 1_000),
        "webhook-signature": Webhook(SECRET).sign(id, moment, body.decode()),
    }
    check = signature_check(SECRET)
    assert check(headers, body, NOW) == "right"
    assert check({**headers, "webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}, body, NOW) == "right"
    assert check(headers, body + b"x", NOW).startswith("wrong")
    assert check({**headers, "webhook-id": id + "x"}, body, NOW).startswith("wrong")
    assert "more than 5 minutes off" in check(headers, body, NOW + 301_000)
    other = signature_check("whsec_" + "b3RoZXItc2VjcmV0LW9mLXRoZS10ZXN0")
    assert other(headers, body, NOW).startswith("wrong")


@pytest.mark.parametrize("stamp", ["", "soon", "9" * 30, "-5", "١٢٣"])
def test_odd_timestamps_are_told(stamp: str) -> None:
    headers = {"webhook-id": "x", "webhook-timestamp": stamp, "webhook-signature": "v1,AAAA"}
    assert signature_check(SECRET)(headers, b"", NOW) == "without webhook-id or webhook-timestamp"


def test_a_signature_of_other_letters_is_wrong_and_no_crash() -> None:
    headers = {"webhook-id": "ü", "webhook-timestamp": "1", "webhook-signature": "v1,ü þ"}
    assert signature_check(SECRET)(headers, b"", NOW).startswith("wrong")


def test_a_secret_that_is_none_is_refused() -> None:
    with pytest.raises(Refusal):
        signature_check("whsec_short")


def arrival(body: bytes = b"", **headers: str) -> Arrival:
    return Arrival(NOW, "POST", "/", {name.replace("_", "-"): value for name, value in headers.items()}, body, None)


@pytest.mark.parametrize(
    ("due", "late"), [(str(NOW - 7), 7), (str(NOW + 7), -7), ("", None), ("soon", None), ("9" * 40, None)]
)
def test_lateness(due: str, late: int | None) -> None:
    assert arrival(x_undercroft_due=due).late_ms == late


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a":1}', '{\n    "a": 1\n  }'),
        (b"plain", "plain"),
        (b"", "(no body)"),
        (b"\xff\xfe", "(2 bytes that are no text)"),
        (b"x" * 5_000, "… (5000 characters in all)"),
    ],
)
def test_bodies_are_shown_readable(body: bytes, shown: str) -> None:
    assert shown in as_text(arrival(body), 200).plain


@given(some.binary(max_size=100), some.text(max_size=20))
def test_anything_can_be_shown(body: bytes, value: str) -> None:
    shown = as_text(arrival(body, webhook_id=value, x_undercroft_attempt=value), 200).plain
    assert all(letter.isprintable() or letter in "\n\t" for letter in shown)
    json.dumps(as_json(arrival(body, webhook_id=value)))
