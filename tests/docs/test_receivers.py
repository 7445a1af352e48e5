"""The receivers that docs/timers.md shows: they take what is signed rightly, once, and nothing else."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.fences import PROJECT, fences
from tests.services.ports import free_port
from tests.services.waiting import wait_until
from undercroft.machinery.deliveries.signatures import new_signing_secret, sign, signing_key

PAGE = PROJECT / "docs" / "timers.md"
SECRET, OLD_SECRET = new_signing_secret(), new_signing_secret()
BODY = '{"größe": 7}'.encode()
NOW = int(time.time())


def headers(*, secrets: tuple[str, ...] = (SECRET,), at: int = NOW, body: bytes = BODY) -> dict[str, str]:
    signatures = sign([signing_key(secret) for secret in secrets], "msg_a_1_1", at, body)
    return {"webhook-id": "msg_a_1_1", "webhook-timestamp": str(at), "webhook-signature": signatures}


RIGHT = {"by its secret": headers(), "while secrets change": headers(secrets=(OLD_SECRET, SECRET))}
WRONG = {
    "by another secret": headers(secrets=(OLD_SECRET,)),
    "over another body": headers(body=b"{}"),
    "not signed": {**headers(), "webhook-signature": ""},
    "with another id": {**headers(), "webhook-id": "msg_a_1_2"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds the files that the page shows."""
    for fence in fences(PAGE):
        if "keep" in fence.words:
            (tmp_path / fence.words["keep"]).write_text(fence.text)
    return tmp_path


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    port = free_port()
    environment = {**os.environ, "SECRET": SECRET, "PORT": str(port)}
    with subprocess.Popen([sys.executable, "receiver.py"], cwd=folder, env=environment) as receiver:
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/"), "the page's receiver to listen")
        yield f"http://127.0.0.1:{port}/"
        receiver.kill()


def _answers(url: str) -> bool:
    try:
        httpx.get(url, trust_env=False)
    except httpx.TransportError:
        return False
    return True


def call(url: str, given: dict[str, str]) -> int:
    return httpx.post(url, content=BODY, headers=given, trust_env=False).status_code


@pytest.mark.parametrize("how", RIGHT)
def test_python_takes_what_is_signed(url: str, how: str) -> None:
    assert call(url, RIGHT[how]) == 204


@pytest.mark.parametrize("how", WRONG)
def test_python_refuses_what_is_not(url: str, how: str) -> None:
    assert call(url, WRONG[how]) == 401


def test_python_refuses_what_was_signed_long_ago(url: str) -> None:
    assert call(url, headers(at=NOW - 3_600)) == 401


def test_python_takes_a_message_once(url: str, folder: Path) -> None:
    assert [call(url, headers()), call(url, headers())] == [204, 204]
    assert sqlite3.connect(folder / "received.db").execute("SELECT * FROM received").fetchall() == [
        ("msg_a_1_1", BODY.decode())
    ]


@pytest.mark.parametrize("how", [*RIGHT, *WRONG])
def test_the_shell_tells_right_from_wrong(folder: Path, how: str) -> None:
    given = {**RIGHT, **WRONG}[how]
    arguments = [given["webhook-id"], given["webhook-timestamp"], given["webhook-signature"], SECRET]
    ended = subprocess.run(["sh", "verify.sh", *arguments], cwd=folder, input=BODY, check=False)
    assert (ended.returncode == 0) == (how in RIGHT)
