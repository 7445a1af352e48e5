"""What the pages show to whom, what their buttons do for whom, and that other people's text stays text."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.app.dashboard.asking import ADMIN, FORM, NOW, SAME_ORIGIN, House, header, in_house, page
from undercroft.app.dashboard.words import plain
from undercroft.app.notation import DatabaseUrl
from undercroft.machinery.deliveries.model import State

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "</a></li></ul></main>",
    "\u202egnp.exe",
    "two\nlines\r\tand more",
    "&lt;already&amp;",
    "x" * 512,
    "日本語 ünïcode 😀",
    "javascript:alert(1)",
]


class Reading(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]


def test_what_happens_next_and_what_is_served(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        await house.add_jobs("shop", "carts", "cart-17", due=NOW + 90_000)
        text = page(await house.ask("/", cookie=await house.sign_in()))

        assert "<h1>Next delivery in 1 min 30 s</h1>" in text
        assert "cart-17" in text
        assert 'datetime="2027-01-15T08:01:30.000Z"' in text
        for served in ("/job", "/route", "/dead", "/docs", "/openapi.json", "/metrics", "/health", "SQLite", "node-1"):
            assert served in text

    in_house(tmp_path, test)


def test_the_live_part_is_a_part_of_the_page(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        await house.add_jobs("shop", "carts", "cart-17")
        cookie = await house.sign_in()
        whole, part = page(await house.ask("/", cookie=cookie)), page(await house.ask("/?part=live", cookie=cookie))
        assert part in whole
        assert "<html" not in part
        assert "cart-17" in part

    in_house(tmp_path, test)


def test_replaying_a_dead_letter(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        await house.add_jobs("shop", "carts", "cart-17")
        id = await house.let_die("cart-17", "answered 418")
        cookie = await house.sign_in()
        text = page(await house.ask("/", cookie=cookie))
        assert "answered 418" in text
        assert 'aria-label="Replay cart-17"' in text

        house.now += 5_000
        reply = await house.ask("/dashboard/replay", form={"id": str(id)}, cookie=cookie, headers=SAME_ORIGIN)

        assert (reply.status, header(reply, "location")) == (303, "/")
        assert await house.row(id) == (State.SCHEDULED, NOW + 5_000)
        assert "Nothing failed" in page(await house.ask("/", cookie=cookie))

    in_house(tmp_path, test)


def test_replaying_twice_changes_nothing_more(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        await house.add_jobs("shop", "carts", "cart-17")
        id = await house.let_die("cart-17")
        for _ in range(2):
            reply = await house.ask("/dashboard/replay", form={"id": str(id)}, token=ADMIN)
            assert reply.status == 303
            house.now += 1_000
        assert await house.row(id) == (State.SCHEDULED, NOW)

    in_house(tmp_path, test)


@pytest.mark.parametrize(
    ("headers", "signed_in", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, True, 403),
        ({"sec-fetch-site": "same-site"}, True, 403),
        ({"origin": "http://evil.test"}, True, 403),
        ({"origin": "null"}, True, 403),
        ({}, True, 403),
        ({"sec-fetch-site": "same-origin"}, False, 401),
    ],
)
def test_no_button_for_strangers(tmp_path: Path, headers: dict[str, str], signed_in: bool, status: int) -> None:
    async def test(house: House) -> None:
        await house.add_jobs("shop", "carts", "cart-17")
        id = await house.let_die("cart-17")
        cookie = await house.sign_in() if signed_in else None
        for url, form in (("/dashboard/replay", {"id": str(id)}), ("/dashboard/resume", {"target": "1"})):
            reply = await house.ask(url, form=form, cookie=cookie, headers=headers)
            assert reply.status == status
        assert (await house.row(id))[0] == State.DEAD

    in_house(tmp_path, test)


def test_resuming_a_route_and_a_collection(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        await house.add_jobs("shop", "carts", "cart-17")
        await house.ask("/route/shop/hook/pause", method="POST", token=ADMIN)
        await house.ask("/collection/shop/carts/pause", method="POST", token=ADMIN)
        cookie = await house.sign_in()
        text = page(await house.ask("/", cookie=cookie))
        assert 'aria-label="Resume hook"' in text
        assert 'aria-label="Resume carts"' in text
        assert "paused by hand" in text

        for field in ("target", "queue"):
            reply = await house.ask("/dashboard/resume", form={field: "1"}, cookie=cookie, headers=SAME_ORIGIN)
            assert reply.status == 303

        assert "No route or collection is paused" in page(await house.ask("/", cookie=cookie))

    in_house(tmp_path, test)


def test_a_scoped_token_sees_and_does_its_own_only(tmp_path: Path, database_url: str) -> None:
    async def test(house: House) -> None:
        await house.add_jobs("shop", "carts", "my-dead", "my-next")
        await house.add_jobs("game", "turns", "their-dead", "their-next")
        mine, theirs = await house.let_die("my-dead"), await house.let_die("their-dead")
        for db in ("shop", "game"):
            await house.ask(f"/route/{db}/hook/pause", method="POST", token=ADMIN)
        cookie = await house.sign_in(await house.make_token("timers:shop"))

        text = page(await house.ask("/", cookie=cookie))
        assert "my-dead" in text
        assert "my-next" in text
        assert "their-" not in text
        assert "game" not in text
        assert "since this node started" not in text, "figures of all"

        assert (await house.ask(f"/dashboard/delivery/{mine}", cookie=cookie)).status == 200
        assert (await house.ask(f"/dashboard/delivery/{theirs}", cookie=cookie)).status == 404
        for id, status, state in ((mine, 303, State.SCHEDULED), (theirs, 404, State.DEAD)):
            reply = await house.ask("/dashboard/replay", form={"id": str(id)}, cookie=cookie, headers=SAME_ORIGIN)
            assert reply.status == status
            assert (await house.row(id))[0] == state
        for target, status in (("1", 303), ("2", 404)):
            reply = await house.ask("/dashboard/resume", form={"target": target}, cookie=cookie, headers=SAME_ORIGIN)
            assert reply.status == status

        everything = page(await house.ask("/", token=ADMIN))
        assert "their-dead" in everything
        assert 'aria-label="Resume hook"' in everything, "theirs is paused still"

    in_house(tmp_path, test, database=DatabaseUrl(database_url))


@pytest.mark.parametrize("scope", ["timers:other", "timers:\x00"])
def test_a_token_for_nothing_here_sees_nothing(tmp_path: Path, scope: str, database_url: str) -> None:
    async def test(house: House) -> None:
        await house.add_jobs("shop", "carts", "cart-17", "dead-one")
        await house.let_die("dead-one")
        text = page(await house.ask("/", token=await house.make_token(scope)))
        assert "Nothing is waiting" in text
        assert "Nothing failed" in text
        assert "cart-17" not in text
        assert "dead-one" not in text

    in_house(tmp_path, test, database=DatabaseUrl(database_url))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_text_of_others_stays_text(tmp_path: Path, hostile: str) -> None:
    """As a job's id, meta and reason, a collection, a route and an attempt's answer."""

    async def test(house: House) -> None:
        await house.add_jobs("shop", "carts", "harmless")
        id = await house.let_die("harmless", "harmless")
        cookie = await house.sign_in()
        pages = ("/", f"/dashboard/delivery/{id}")
        before = [Reading(page(await house.ask(url, cookie=cookie))) for url in pages]

        short = hostile.encode()[:128].decode(errors="ignore")
        await house.database.write(
            lambda tx: [
                tx.run("UPDATE deliveries SET name = :text, body = :text, reason = :text", text=hostile),
                tx.run("UPDATE queues SET name = :text", text=short),
                tx.run("UPDATE targets SET name = :text", text=hostile),
            ]
        )
        after = [Reading(page(await house.ask(url, cookie=cookie))) for url in pages]

        for old, new in zip(before, after, strict=True):
            assert new.tags() == old.tags()
            assert [set(attributes) for _, attributes in new.elements] == [
                set(attributes) for _, attributes in old.elements
            ]
            text = "".join(new.words)
            assert plain(hostile, 60) in text
            assert not {"\u202e", "\r"} & set(text)

    in_house(tmp_path, test)


def test_a_delivery_closely(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        await house.add_jobs("shop", "carts", "cart-17")
        id = await house.let_die("cart-17", "answered 500; no more attempts")
        await house.database.write(
            lambda tx: tx.run(
                "INSERT INTO attempts (delivery, number, node, started_at, took_ms, status, reply)"
                " VALUES (:id, 1, 'node-1', :now, 1234, 500, '<h1>Oops</h1>')",
                id=id,
                now=NOW,
            )
        )
        text = page(await house.ask(f"/dashboard/delivery/{id}", token=ADMIN))
        for shown in (
            "cart-17",
            "answered 500",
            "1 s",
            "&lt;h1&gt;Oops&lt;/h1&gt;",
            "{&#34;id&#34;: &#34;cart-17&#34;}",
        ):
            assert shown in text
        assert 'aria-label="Replay cart-17"' in text

    in_house(tmp_path, test)


@pytest.mark.parametrize(
    ("url", "form", "headers", "status"),
    [
        ("/dashboard/replay", {"id": "999"}, {}, 404),
        ("/dashboard/replay", {"id": "x"}, {}, 400),
        ("/dashboard/replay", {"id": "-1"}, {}, 400),
        ("/dashboard/replay", {"id": "9" * 30}, {}, 400),
        ("/dashboard/replay", {"id": "²"}, {}, 400),
        ("/dashboard/replay", {}, {}, 400),
        ("/dashboard/replay", {"id": "1", "more": "x" * 5_000}, {}, 400),
        ("/dashboard/replay", {"id": "1"}, {"content-type": "text/plain"}, 400),
        ("/dashboard/replay", {"id": "1"}, {"content-type": FORM + "; charset=utf-8"}, 404),
        ("/dashboard/resume", {"target": "999"}, {}, 404),
        ("/dashboard/resume", {"queue": "999"}, {}, 404),
        ("/dashboard/resume", {"table": "1"}, {}, 400),
        ("/dashboard/delivery/1", None, {}, 404),
        ("/dashboard/delivery/x", None, {}, 400),
        ("/dashboard/nothing", None, {}, 404),
        ("/dashboard/replay", None, {}, 404),
        ("/?part=dead", None, {}, 400),
        ("/?%ff", None, {}, 400),
    ],
)
def test_what_makes_no_sense_is_refused_as_a_page(
    tmp_path: Path, url: str, form: dict[str, str] | None, headers: dict[str, str], status: int
) -> None:
    async def test(house: House) -> None:
        reply = await house.ask(url, form=form, token=ADMIN, headers=headers)
        assert reply.status == status
        assert '<a href="/">' in page(reply)

    in_house(tmp_path, test)


def test_a_lost_database_is_told_as_a_page(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        cookie = await house.sign_in()
        assert (await house.ask("/", cookie=cookie)).status == 200
        await house.database.close()
        reply = await house.ask("/dashboard/replay", form={"id": "1"}, cookie=cookie, headers=SAME_ORIGIN)
        assert reply.status == 503
        assert "Not at this moment" in page(reply)
        assert header(reply, "retry-after")

    in_house(tmp_path, test)
