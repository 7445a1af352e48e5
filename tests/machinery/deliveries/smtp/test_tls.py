"""Mail over TLS, and with a login."""

import ssl
from pathlib import Path

import pytest
import trustme

from tests.machinery.deliveries.smtp.sending import Connect, send
from tests.services.mailserver import USER, MailServer
from undercroft.machinery.deliveries.model import Result

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS for 127.0.0.1, and the file of who vouches for it."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return context, path


async def test_starttls_and_a_login(authority: tuple[ssl.SSLContext, Path], connect: Connect) -> None:
    tls, ca = authority
    with MailServer(tls, login=True) as relay:
        outcome = await send(connect(f"{relay.url_with_login}?ca={ca}"))
        assert outcome.result is Result.DONE, outcome.error
        (one,) = relay.arrived()
        assert (one.secure, one.user) == (True, USER)


async def test_tls_from_the_first_byte_on(authority: tuple[ssl.SSLContext, Path], connect: Connect) -> None:
    tls, ca = authority
    with MailServer(tls, smtps=True) as relay:
        assert (await send(connect(f"{relay.url}?ca={ca}"))).result is Result.DONE
        assert relay.arrived()[0].secure


async def test_who_can_not_show_who_it_is_gets_nothing(
    authority: tuple[ssl.SSLContext, Path], connect: Connect
) -> None:
    with MailServer(authority[0], smtps=True) as relay:
        outcome = await send(connect(relay.url))
        assert outcome.result is Result.AGAIN
        assert "verify failed" in (outcome.error or "").lower()
        assert (await send(connect(relay.url + "?verify=no"))).result is Result.DONE


async def test_a_wrong_login_keeps_the_mail_and_tells_no_password(
    authority: tuple[ssl.SSLContext, Path], connect: Connect
) -> None:
    tls, ca = authority
    with MailServer(tls, login=True) as relay:
        url = relay.url_with_login.replace("p%40ss", "wrong-secret")
        outcome = await send(connect(f"{url}?ca={ca}"))
    assert (outcome.result, outcome.status) == (Result.AGAIN, 535)
    assert "the relay refused our login: 535" in (outcome.error or "")
    assert "wrong-secret" not in str(outcome)


async def test_a_password_does_not_go_out_in_the_open(relay: MailServer, connect: Connect) -> None:
    outcome = await send(connect(relay.url_with_login))
    assert outcome.result is Result.AGAIN
    assert relay.arrived() == []
    assert "STARTTLS" in (outcome.error or ""), outcome.error
