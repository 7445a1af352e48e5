"""The systems document's part on locks: its examples, pasted, and its answers, byte for byte."""

import re
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.services.croft import Croft

CREATE = """\
POST /systems/locks HTTP/1.1
Authorization: AUTHORIZATION_STRING
Content-Type: application/json
Accept: application/json
{
    "name":"products_sync_magento_to_gcore",
    "expires_at":"2014-07-08 18:00:00"
}
"""
CREATED = """\
HTTP/1.1 200 OK
Content-Type: application/json
X-GCore-Version: 0.99
{"lock_obtained":true}
"""
DELETE = """\
DELETE /systems/locks/products_sync_magento_to_gcore HTTP/1.1
Authorization: AUTHORIZATION_STRING
Content-Type: application/json
Accept: application/json
"""
DELETED = """\
200 (OK)
Content-Type: application/json
X-GCore-Version: 0.99
{"lock_removed":true}
"""
NAME = "products_sync_magento_to_gcore"


@pytest.fixture(autouse=True)
def nothing_held(croft: Croft) -> Iterator[None]:
    yield
    croft.http.delete(f"/systems/locks/{NAME}")


def send(croft: Croft, example: str) -> tuple[bytes, dict[str, str], bytes]:
    """The example as it stands, its moment apart; status line, headers and body of the answer, as they came."""
    lines = example.replace("2014-", "2034-").replace("AUTHORIZATION_STRING", croft.token).splitlines()
    split = next((number for number, line in enumerate(lines) if line.startswith("{")), len(lines))
    body = "\n".join(lines[split:])
    head = "\r\n".join([*lines[:split], f"Host: 127.0.0.1:{croft.port}", f"Content-Length: {len(body)}"])
    with socket.create_connection(("127.0.0.1", croft.port), 10) as connection:
        connection.sendall(f"{head}\r\nConnection: close\r\n\r\n{body}".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    start, _, content = answer.partition(b"\r\n\r\n")
    status, *headers = start.split(b"\r\n")
    named = dict(header.decode().split(": ", 1) for header in headers)
    return status, {name.lower(): value for name, value in named.items()}, content


def check(answer: tuple[bytes, dict[str, str], bytes], example: str) -> None:
    status, headers, body = answer
    expected = example.splitlines()
    assert status == b"HTTP/1.1 200 OK"
    assert body == expected[-1].encode(), "byte for byte"
    for line in expected[1:-1]:
        name, value = line.split(": ")
        assert headers[name.lower()] == value


def test_the_examples_in_their_order(croft: Croft) -> None:
    check(send(croft, CREATE), CREATED)
    check(send(croft, DELETE), DELETED)


def test_what_the_document_leaves_to_the_other_value_of_its_booleans(croft: Croft) -> None:
    check(send(croft, DELETE), DELETED.replace("true", "false"))
    check(send(croft, CREATE), CREATED)
    check(send(croft, CREATE), CREATED.replace("true", "false"))
    check(send(croft, DELETE), DELETED)
    check(send(croft, DELETE), DELETED.replace("true", "false"))


def test_the_end_is_optional(croft: Croft) -> None:
    without = re.sub(r',\n    "expires_at":.*', "", CREATE)
    status, headers, body = send(croft, without)
    assert (status, body) == (b"HTTP/1.1 200 OK", b'{"lock_obtained":true}')
    assert "x-lock-expires-at" not in headers
    check(send(croft, CREATE), CREATED.replace("true", "false"))


def test_the_example_with_its_own_moment_protects_nothing_any_more(croft: Croft) -> None:
    answer = croft.http.post("/systems/locks", json={"name": NAME, "expires_at": "2014-07-08 18:00:00"})
    assert (answer.status_code, answer.json()["code"]) == (400, "L004")
    assert croft.http.get(f"/systems/locks/{NAME}").json()["held"] is False


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/systems/locks", f"/systems/locks/{NAME}", f"/systems/locks/{NAME}/more"])
def test_every_answer_names_the_version(croft: Croft, method: str, path: str) -> None:
    """Refusals too, and those of who may not come in."""
    for headers in ({}, {"Authorization": "wrong"}):
        answer = croft.http.request(method, path, headers=headers)
        assert answer.headers["x-gcore-version"] == "0.99"
        assert answer.headers["content-type"] == "application/json"


def test_without_a_token_or_with_a_wrong_one_nothing_is_done(croft: Croft) -> None:
    stranger = httpx.Client(base_url=croft.url, trust_env=False)
    for headers in ({}, {"Authorization": "AUTHORIZATION_STRING"}):
        for answer in (
            stranger.post("/systems/locks", json={"name": NAME}, headers=headers),
            stranger.delete(f"/systems/locks/{NAME}", headers=headers),
        ):
            assert answer.status_code == 401
            assert answer.json().keys() == {"error", "code"}
    assert croft.http.get(f"/systems/locks/{NAME}").json()["held"] is False
