"""Webhooks over TLS: to whom they go, and to whom not."""

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machinery.deliveries.making import Clock
from tests.machinery.deliveries.webhook.raw import (
    in_pieces,
    serving,
)
from tests.machinery.deliveries.webhook.sending import OK, Sender, delivery, target
from undercroft.machinery.deliveries.webhook import WebhookTransport

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A certificate for `hooks.example` and 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example,IP:127.0.0.1",
             "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("openssl not found: apt-get install openssl")
    yield folder / "cert.pem", folder / "key.pem"


def trusting(certificate: Path) -> WebhookTransport:
    transport = WebhookTransport(Clock(), allow_private=True)
    transport._pool._tls = ssl.create_default_context(cafile=str(certificate))
    return transport


def server_side(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


async def test_https_with_a_certificate_that_is_trusted(certificate: tuple[Path, Path]) -> None:
    transport = trusting(certificate[0])
    async with serving(OK, tls=server_side(certificate)) as server:
        outcomes = [
            await transport.send(target(f"https://127.0.0.1:{server.port}/"), delivery(), "msg", {}) for _ in range(2)
        ]
    transport.close()

    assert [outcome.status for outcome in outcomes] == [200, 200]
    assert server.connections == 1


async def test_https_with_one_that_is_not_trusted_sends_nothing(certificate: tuple[Path, Path], sender: Sender) -> None:
    async with serving(OK, tls=server_side(certificate)) as server:
        outcome = await sender.send(server.port, scheme="https")

    assert outcome.error is not None and "TLS failed" in outcome.error
    assert server.requests == []


async def test_https_with_one_for_another_name_sends_nothing(certificate: tuple[Path, Path]) -> None:
    transport = trusting(certificate[0])
    async with serving(OK, tls=server_side(certificate)) as server:
        outcome = await transport.send(target(f"https://localhost:{server.port}/"), delivery(), "msg", {})
    transport.close()

    assert outcome.error is not None and "TLS failed" in outcome.error
    assert server.requests == []


async def test_https_to_one_who_speaks_no_tls(sender: Sender) -> None:
    async with serving(in_pieces(b"hello\r\n")) as server:
        plain = await asyncio.start_server(lambda _r, w: w.write(b"hello, who is there?\r\n"), "127.0.0.1", 0)
        outcome = await sender.send(plain.sockets[0].getsockname()[1], scheme="https", timeout=1.0)
        plain.close()

    assert outcome.status is None and outcome.error
    assert server.requests == []
