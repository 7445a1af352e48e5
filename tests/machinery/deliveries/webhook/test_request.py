"""A delivery as bytes: nothing in it can end a header early, and the URL is the one that was checked."""

import json
import time
from urllib.parse import unquote, urlsplit

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from tests.machinery.deliveries.making import FAMILY, NOW
from tests.machinery.deliveries.webhook.test_transport import delivery, target
from undercroft.base.refusals import Refusal
from undercroft.families import timers
from undercroft.machinery.deliveries.model import Delivery, Queue, Target
from undercroft.machinery.deliveries.signatures import new_signing_secret
from undercroft.machinery.deliveries.webhook import check_headers, check_url, header_safe
from undercroft.machinery.deliveries.webhook.request import build, prepare

hooks = timers.family(None, "http").hooks  # type: ignore[arg-type]
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: "\x00" not in name
)


class Parsed:
    """A request as a server sees it."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.complete = 0
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        self.method = parser.get_method().decode()

    def on_url(self, url: bytes) -> None:
        self.url = url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode(), value.decode("latin-1")))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete += 1

    def one(self, name: str) -> str:
        [value] = [value for key, value in self.headers if key.lower() == name.lower()]
        return value


def request(to: Target, what: Delivery, queue: Queue) -> Parsed:
    return Parsed(build(prepare(to), what, "msg_a_7_1", NOW, hooks.headers(what, queue, to)))


@given(names, names, names, names, st.text(st.characters(exclude_categories=["Cs"])))
def test_no_name_can_break_out_of_its_header(job: str, db: str, collection: str, route: str, text: str) -> None:
    what = delivery(json.dumps({"text": text}))._replace(name=job)
    to = target("http://127.0.0.1:1/")._replace(name=route)

    seen = request(to, what, Queue(1, FAMILY, db, collection, None))

    assert seen.complete == 1
    assert json.loads(seen.body) == {"text": text}
    for header, name in {"Job": job, "Db": db, "Collection": collection, "Route": route}.items():
        assert unquote(seen.one(f"X-Undercroft-{header}"), errors="strict") == name
    assert sorted(name.lower() for name, _ in seen.headers) == sorted(
        ["host", "user-agent", "content-type", "webhook-id", "webhook-timestamp", "content-length"]
        + [f"x-undercroft-{name}" for name in ("job", "db", "collection", "route", "due", "attempt")]
    )


def test_the_request_of_the_contract() -> None:
    secret = new_signing_secret()
    to = target("https://hooks.example/in?x=1", secret=secret)
    what = delivery('{"a":  1}')._replace(name="j/ö 1%", planned_at=1_234, attempts=2)

    seen = request(to, what, Queue(1, FAMILY, "shop", "orders", None))

    assert (seen.method, seen.url, seen.body) == ("POST", "/in?x=1", b'{"a":  1}')
    assert dict(seen.headers) == {
        "Host": "hooks.example",
        "User-Agent": "Undercroft",
        "Content-Type": "application/json",
        "webhook-id": "msg_a_7_1",
        "webhook-timestamp": str(NOW // 1_000),
        "webhook-signature": seen.one("webhook-signature"),
        "X-Undercroft-Job": "j/%C3%B6%201%25",
        "X-Undercroft-Db": "shop",
        "X-Undercroft-Collection": "orders",
        "X-Undercroft-Route": "hook",
        "X-Undercroft-Due": "1234",
        "X-Undercroft-Attempt": "3",
        "Content-Length": "9",
    }
    signed = build(prepare(to), what, "msg_a_7_1", int(time.time()) * 1_000, {})
    fresh = Parsed(signed)
    assert Webhook(secret).verify(fresh.body, {name.lower(): value for name, value in fresh.headers}) == {"a": 1}


def test_headers_of_the_route_are_sent_and_replace_ours_where_they_may() -> None:
    to = target("http://h/", headers={"authorization": "Bearer x", "CONTENT-TYPE": "text/plain", "user-agent": "Me"})

    seen = request(to, delivery(), Queue(1, FAMILY, "shop", "orders", None))

    assert seen.one("Authorization") == "Bearer x"
    assert seen.one("Content-Type") == "text/plain"
    assert seen.one("User-Agent") == "Me"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_methods(method: str) -> None:
    seen = request(target("http://h/", method=method), delivery(), Queue(1, FAMILY, "shop", "orders", None))

    assert seen.method == method


@given(st.text())
def test_any_text_is_made_safe_and_comes_back(text: str) -> None:
    safe = header_safe(text.encode("utf-8", "replace").decode())

    assert safe.isascii() and safe.isprintable() and " " not in safe
    assert unquote(safe) == text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("gameserver-dev-1.myorg.com/timer?action=endgame", "http://gameserver-dev-1.myorg.com/timer?action=endgame"),
        ("https://a.example", "https://a.example"),
        ("HTTPS://A.example/X", "HTTPS://A.example/X"),
        ("localhost:8000/x", "http://localhost:8000/x"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("[::1]:9/x", "http://[::1]:9/x"),
        ("bücher.example/ü?q=ö", "http://bücher.example/ü?q=ö"),
    ],
)  # fmt: skip
def test_urls_that_can_be_called(given: str, whole: str) -> None:
    assert check_url(given, "http") == whole


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/just/a/path",
        "http://",
        "http:///x",
        "ftp://a.example/",
        "file:///etc/passwd",
        "gopher://a.example/",
        "javascript://a.example/%0aalert(1)",
        "http://user:secret@a.example/",
        "user@a.example/",
        "http://a.example:port/",
        "http://a.example:99999/",
        "http://a.example:-1/",
        "http://[::1/",
        "http://[not-an-ip]/",
        "http://a b.example/",
        "http://a.example/a b",
        "http://a.example/\r\nX-Evil: 1",
        "http://a.example/\n",
        "http://a.example\t.evil/",
        " http://a.example/",
        "http://a.example/\x00",
        "http://a.example/\x7f",
        "http://" + "ü" * 70 + ".example/",
        "http://a.example/" + "x" * 2_048,
        "http://a\\b.example/",
        'http://a".example/',
        "http://a<b>.example/",
        "http://a..example/",
        "http://%41.example/",
    ],
)
def test_urls_that_can_not(url: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_url(url, "http")

    assert refused.value.code == "url"
    assert "secret" not in refused.value.message


@given(st.text(max_size=60))
def test_whatever_url_is_taken_is_one_request_to_its_own_host(text: str) -> None:
    try:
        url = check_url(text.encode("utf-8", "replace").decode(), "http")
    except Refusal:
        return
    to = target(url)

    seen = request(to, delivery(), Queue(1, FAMILY, "shop", "orders", None))

    assert seen.complete == 1
    assert seen.url.startswith("/") and seen.url.isascii()
    host = prepare(to).origin.host
    assert seen.one("Host").startswith((host, f"[{host}]"))
    written = urlsplit(url).hostname or ""
    assert host == (written if written.isascii() else written.encode("idna").decode())


@pytest.mark.parametrize(
    ("url", "origin", "host", "path"),
    [
        ("http://a.example", ("http", "a.example", 80), "a.example", "/"),
        ("http://a.example?q=1", ("http", "a.example", 80), "a.example", "/?q=1"),
        ("https://A.Example:443/#part", ("https", "a.example", 443), "a.example", "/"),
        ("https://a.example:80/", ("https", "a.example", 80), "a.example:80", "/"),
        ("http://[::1]:8080/%2F%zz", ("http", "::1", 8080), "[::1]:8080", "/%2F%zz"),
        ("http://bücher.example/ü?q=ö&r=[]", ("http", "xn--bcher-kva.example", 80), "xn--bcher-kva.example",
         "/%C3%BC?q=%C3%B6&r=[]"),
        ("http://a.example//x/../y;p=1", ("http", "a.example", 80), "a.example", "//x/../y;p=1"),
    ],
)  # fmt: skip
def test_what_a_url_becomes(url: str, origin: tuple[str, str, int], host: str, path: str) -> None:
    to = target(check_url(url, "http"))
    seen = request(to, delivery(), Queue(1, FAMILY, "shop", "orders", None))

    assert tuple(prepare(to).origin) == origin
    assert (seen.one("Host"), seen.url) == (host, path)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1\r\nX-B: 2"},
        {"X-A": "1\n"},
        {"X-A": "ü"},
        {"X-A": "\x00"},
        {"X A": "1"},
        {"X-A:": "1"},
        {"": "1"},
        {"X-Ä": "1"},
        {"X-A\r\n": "1"},
        {"Host": "evil.example"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "close"},
        {"Expect": "100-continue"},
        {"Webhook-Id": "x"},
        {"webhook-signature": "x"},
        {"X-Undercroft-Job": "x"},
        {"X-A": "x" * 8_192},
        {f"X-{n}": "" for n in range(51)},
    ],
)
def test_headers_that_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Refusal) as refused:
        check_headers(headers)

    assert refused.value.code == "headers"


def test_headers_that_are_taken() -> None:
    check_headers({"Authorization": "Bearer x", "X-A": "", "x-tab": "a\tb", "Accept": "*/*", "X-1!#$%&'*+.^_`|~": "1"})


def test_changed_settings_are_prepared_anew() -> None:
    before, after = target("http://a.example/1"), target("http://a.example/2")

    assert prepare(before) is prepare(target("http://a.example/1"))
    assert prepare(before) != prepare(after._replace(version=1))


def test_secrets_stay_out_of_what_is_shown() -> None:
    secret = new_signing_secret()
    to = target("http://a.example/", secret=secret, headers={"Authorization": "Bearer hidden"})

    assert secret not in repr(to) and "hidden" not in repr(to)
