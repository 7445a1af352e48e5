"""Who gets in, how a session begins and ends, and what its cookie opens."""

import json
import re
from pathlib import Path

import pytest

from tests.app.dashboard.asking import ADMIN, SAME_ORIGIN, House, header, in_house, page
from undercroft.app.application import Head
from undercroft.machinery.identity.actions import SESSION_SECONDS

PAGES = ["/", "/?part=live", "/docs", "/dashboard/delivery/1", "/signin", "/assets/house.css"]


def test_a_stranger_gets_the_sign_in_page_and_nothing_else(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        await house.add_jobs("shop", "carts", "secret-job")
        for url in PAGES:
            reply = await house.ask(url)
            assert reply.status == 401, url
            text = page(reply)
            assert '<form method="post" action="/signin">' in text
            assert not re.search(r'(src|href)="(?!data:,")', text), "it loads nothing"
            assert "secret-job" not in text
            assert 'role="alert"' not in text

    in_house(tmp_path, test)


def test_a_good_token_begins_a_session(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        reply = await house.ask("/signin", form={"token": f"  {ADMIN}\n"}, headers=SAME_ORIGIN)

        assert (reply.status, header(reply, "location")) == (303, "/")
        cookie = header(reply, "set-cookie")
        assert re.fullmatch(
            rf"undercroft=[\w-]{{20,}}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Strict", cookie
        )
        assert ADMIN not in cookie
        assert "What happens next" in page(await house.ask("/", cookie=cookie.partition(";")[0]))

    in_house(tmp_path, test)


def test_over_https_the_cookie_is_for_https_and_this_host_alone(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        https = {**SAME_ORIGIN, "x-forwarded-proto": "https"}
        reply = await house.ask("/signin", form={"token": ADMIN}, headers=https)

        cookie = header(reply, "set-cookie")
        assert cookie.startswith("__Host-undercroft=")
        assert cookie.endswith("; HttpOnly; SameSite=Strict; Secure")
        assert "Domain" not in cookie
        value = cookie.partition(";")[0]
        assert (await house.ask("/", cookie=value, headers=https)).status == 200
        tossed = value.removeprefix("__Host-")
        assert (await house.ask("/", cookie=tossed, headers=https)).status == 401

    in_house(tmp_path, test)


@pytest.mark.parametrize(
    "token", ["no-such-token", "", " ", "a b c", "\x00", "é", "x" * 3_000, "Bearer", "'; --", "\r\nset-cookie: a=b"]
)
def test_a_wrong_token_is_refused_and_not_repeated(tmp_path: Path, token: str) -> None:
    async def test(house: House) -> None:
        reply = await house.ask("/signin", form={"token": token}, headers=SAME_ORIGIN)

        assert reply.status == 401
        assert "This token is not known here" in page(reply)
        assert header(reply, "set-cookie") == ""
        assert header(reply, "location") == ""
        if len(token.strip()) > 2:
            assert token.strip() not in page(reply)

    in_house(tmp_path, test)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://croft.test:3862"}, 403),
        ({"origin": "http://croft.test:3862"}, 303),
        ({"origin": "https://croft.test:3862"}, 303),
        ({"origin": "http://croft.test"}, 403),
        ({"origin": "http://evil.test"}, 403),
        ({"origin": "http://croft.test:3862.evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_only_our_own_page_signs_in(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    """Else another site could sign a browser in as somebody else, and watch what is done there."""

    async def test(house: House) -> None:
        reply = await house.ask("/signin", form={"token": ADMIN}, headers=headers)
        assert reply.status == status
        assert bool(header(reply, "set-cookie")) == (status == 303)

    in_house(tmp_path, test)


def test_the_cookie_opens_pages_and_no_family(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        cookie = await house.sign_in()
        for url in ("/", "/docs", "/metrics", "/openapi.json"):
            assert (await house.ask(url, cookie=cookie)).status == 200, url
        for url in ("/route/shop", "/job/shop/carts", "/dead/shop", "/undercroft/me", "/undercroft/tokens"):
            reply = await house.ask(url, cookie=cookie)
            assert reply.status == 401, url
            assert json.loads(reply.body)["error"]

    in_house(tmp_path, test)


def test_metrics_and_openapi_still_speak_json_to_programs(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        for url in ("/metrics", "/openapi.json"):
            assert json.loads((await house.ask(url)).body)["code"] == "unauthorized"
            assert (await house.ask(url, token=ADMIN)).status == 200

    in_house(tmp_path, test)


def test_a_header_counts_before_a_cookie(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        cookie = await house.sign_in()
        assert (await house.ask("/", cookie=cookie, token="wrong")).status == 401
        assert (await house.ask("/", cookie="undercroft=wrong", token=ADMIN)).status == 200

    in_house(tmp_path, test)


@pytest.mark.parametrize(
    "around", ["{}", "a=b; {}", "{}; a=b", "a=b;{};c=d", "x=undercroft=no; {}", "{}; undercroft=later", "=; {}", ";;{}"]
)
def test_the_cookie_is_found_among_others(tmp_path: Path, around: str) -> None:
    async def test(house: House) -> None:
        cookie = await house.sign_in()
        assert (await house.ask("/", cookie=around.format(cookie))).status == 200

    in_house(tmp_path, test)


@pytest.mark.parametrize("cookie", ["undercroft=", "undercroft", "undercroft=\xff\xfe", "undercroft=a b c", "=", ""])
def test_a_broken_cookie_is_no_session(tmp_path: Path, cookie: str) -> None:
    async def test(house: House) -> None:
        assert (await house.ask("/", cookie=cookie)).status == 401

    in_house(tmp_path, test)


def test_signing_out_ends_the_session_for_good(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        cookie = await house.sign_in()
        other = await house.sign_in()
        assert (await house.ask("/", cookie=cookie)).status == 200

        reply = await house.ask("/signout", form={}, cookie=cookie, headers=SAME_ORIGIN)

        assert (reply.status, header(reply, "location")) == (303, "/")
        assert header(reply, "set-cookie").startswith("undercroft=; Path=/; Max-Age=0;")
        assert (await house.ask("/", cookie=cookie)).status == 401
        assert (await house.ask("/", cookie=other)).status == 200

    in_house(tmp_path, test)


def test_another_site_signs_nobody_out(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        cookie = await house.sign_in()
        reply = await house.ask("/signout", form={}, cookie=cookie, headers={"sec-fetch-site": "cross-site"})
        assert reply.status == 403
        assert (await house.ask("/", cookie=cookie)).status == 200

    in_house(tmp_path, test)


def test_signing_out_with_a_lasting_token_leaves_it_alone(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        made = await house.make_token("timers")
        for token in (ADMIN, made):
            await house.ask("/signout", form={}, cookie=f"undercroft={token}", headers=SAME_ORIGIN)
            assert (await house.ask("/undercroft/me", token=token)).status == 200

    in_house(tmp_path, test)


def test_a_session_ends_by_itself(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        cookie = await house.sign_in()
        house.now += SESSION_SECONDS * 1_000 - 1
        assert (await house.ask("/", cookie=cookie)).status == 200
        house.now += 1
        assert (await house.ask("/", cookie=cookie)).status == 401

    in_house(tmp_path, test)


def test_a_session_is_no_more_than_its_token(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        token = await house.make_token("timers:shop", expires_in=60)
        reply = await house.ask("/signin", form={"token": token}, headers=SAME_ORIGIN)

        assert "Max-Age=60;" in header(reply, "set-cookie")
        cookie = header(reply, "set-cookie").partition(";")[0]
        session = cookie.partition("=")[2]
        assert json.loads((await house.ask("/undercroft/me", token=session)).body)["scopes"] == ["timers:shop"]
        house.now += 60_000
        assert (await house.ask("/", cookie=cookie)).status == 401

    in_house(tmp_path, test)


def test_a_page_keeps_to_itself(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        cookie = await house.sign_in()
        for reply in (
            await house.ask("/"),
            await house.ask("/", cookie=cookie),
            await house.ask("/docs", cookie=cookie),
            await house.ask("/dashboard/delivery/9", cookie=cookie),
        ):
            policy = header(reply, "content-security-policy")
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "form-action 'self'" in policy
            assert "unsafe" not in policy
            assert header(reply, "cache-control") == "no-store"
            assert header(reply, "x-frame-options") == "DENY"
            assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=", page(reply)), "nothing inline"

    in_house(tmp_path, test)


def test_the_docs_may_be_open_to_this_machine(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        async def look(url: str, client: str, **headers: str) -> int:
            given = {"host": "127.0.0.1:3862", **headers}
            encoded = {name.replace("_", "-").encode(): value.encode() for name, value in given.items()}
            return (await house.parts.server.answer(Head("GET", url.encode(), encoded, client), b"")).status

        assert await look("/docs", "127.0.0.1") == 200
        assert await look("/docs", "192.0.2.7") == 401
        assert await look("/docs", "127.0.0.1", sec_fetch_site="cross-site") == 401
        assert await look("/", "127.0.0.1") == 401

    in_house(tmp_path, test, anonymous=("docs",))
