"""Who may: loopback where settings open it, and tokens until they expire."""

from collections.abc import AsyncIterator

import pytest

from tests.families.timers.shop import FAR, OK, Shop, opened
from tests.machinery.deliveries.making import NOW
from undercroft.base.clock import SECOND

pytestmark = pytest.mark.anyio

PATH = "/job/shop/orders"


@pytest.fixture
async def open_shop(sqlite_url: str) -> AsyncIterator[Shop]:
    """Open to loopback without a token."""
    async with opened(sqlite_url, anonymous=("timers",)) as shop:
        await shop.route()
        yield shop


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.10", "::1"])
async def test_loopback_needs_no_token_where_settings_say_so(open_shop: Shop, client: str) -> None:
    job = {"id": "a", "trigger_time": FAR, "route": "hook"}

    assert (await open_shop.call("POST", PATH, job, client=client, authorization=None)).json == OK
    assert (await open_shop.call("GET", f"{PATH}/a", client=client, authorization=None)).json["id"] == "a"


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("10.0.0.1", {}),
        ("192.0.2.1", {}),
        ("128.0.0.1", {}),
        ("::2", {}),
        ("12.7.0.0", {}),
        (None, {}),
        ("10.0.0.1", {"x_forwarded_for": "127.0.0.1"}),
        ("10.0.0.1", {"host": "127.0.0.1"}),
        ("127.0.0.1", {"x_forwarded_for": "127.0.0.1"}),
        ("127.0.0.1", {"x_forwarded_for": "10.0.0.1"}),
        ("127.0.0.1", {"forwarded": "for=10.0.0.1"}),
        ("127.0.0.1", {"x_real_ip": "10.0.0.1"}),
        ("127.0.0.1", {"via": "1.1 proxy"}),
        ("127.0.0.1", {"origin": "https://evil.example"}),
        ("127.0.0.1", {"origin": "http://localhost:3862"}),
        ("127.0.0.1", {"origin": "null"}),
        ("127.0.0.1", {"sec_fetch_site": "cross-site"}),
        ("127.0.0.1", {"sec_fetch_site": "same-site"}),
        ("127.0.0.1", {"host": "evil.example"}),
        ("127.0.0.1", {"host": "127.0.0.1.evil.example:3862"}),
        ("127.0.0.1", {"host": "localhost.evil.example"}),
    ],
)
async def test_nobody_else_gets_in_that_way(open_shop: Shop, client: str | None, headers: dict[str, str]) -> None:
    answer = await open_shop.call("GET", PATH, client=client, authorization=None, **headers)  # type: ignore[arg-type]

    assert (answer.status, answer.code) == (401, "E030")
    assert answer.headers[b"www-authenticate"] == b"Bearer"


@pytest.mark.parametrize("authorization", ["", "wrong", "Bearer wrong"])
async def test_a_wrong_token_is_worse_than_none(open_shop: Shop, authorization: str) -> None:
    assert (await open_shop.call("GET", PATH, authorization=authorization)).status == 401


async def test_only_what_settings_name_is_open(open_shop: Shop) -> None:
    for path in ("/undercroft/me", "/undercroft/tokens"):
        assert (await open_shop.call("GET", path, authorization=None)).status == 401


async def test_by_default_nothing_is_open(shop: Shop) -> None:
    answer = await shop.call("GET", PATH, authorization=None)

    assert (answer.status, answer.code) == (401, "E030")


async def test_a_token_that_expires(shop: Shop) -> None:
    made = await shop.call("POST", "/undercroft/tokens", {"name": "short", "scopes": ["timers:shop"], "expires_in": 10})
    bearer = f"Bearer {made.json['token']}"

    shop.clock.now = NOW + 10 * SECOND - 1
    assert (await shop.call("GET", PATH, authorization=bearer)).status == 200
    assert (await shop.call("GET", "/job/other/orders", authorization=bearer)).code == "E031"
    shop.clock.now += 1
    answer = await shop.call("GET", PATH, authorization=bearer)
    assert (answer.status, answer.code) == (401, "E030")
