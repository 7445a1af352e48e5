"""The pages of sync: entries, lists of files, one of them closely, the buttons, and who sees and does what."""

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.app.dashboard.asking import ADMIN, NOW, SAME_ORIGIN, House, header, in_house, page
from undercroft.app.notation import DatabaseUrl
from undercroft.families.sync import MOST_COUNTED, actions, looking, store_entries, switchboard
from undercroft.families.sync.model import Match, Rule
from undercroft.families.sync.names import fid_of, shown
from undercroft.families.sync.operations import Kept
from undercroft.families.sync.places import first_place
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.machinery.operations import Reply

URL = "/dashboard/files"
JSON = {"content-type": "application/json"}
HOSTILE = "a/<script>alert(1)</script>&\"'\u202egnp.\n\r\x7f\u2028" + shown(b"\xff\xfe") + ".txt"


async def furnish(house: House, *paths: str) -> None:
    """Entries A and B that share everything; of these files A has told, and B has none yet."""
    for name in ("A", "B"):
        await house.database.write(actions.add_entry, name, "local_storage", {"root": f"/srv/{name}"}, NOW)
    await house.database.write(actions.put_rules, (Rule(Match("/"), ("A", "B")),))
    await house.database.write(actions.apply_rules)
    await tell(house, "A", *paths)


async def tell(house: House, entry: str, *paths: str) -> None:
    seen = [Seen(path, Content("x", 1_500, NOW * 1_000_000, 0o644), "r") for path in paths]
    await house.database.write(actions.note_seen, entry, seen, NOW)


async def vanish(house: House, entry: str, *paths: str, hold: bool = False) -> None:
    gone = [Seen(path, None, "") for path in paths]
    await house.database.write(actions.note_seen, entry, gone, NOW, hold=hold)


async def keep(house: House, path: str, *moments: int) -> None:
    """Versions that B replaced then."""
    kept = [
        Kept(path, f"{first_place(moment)}-{n}-{fid_of(path)}", "h", 7, moment * 1_000_000)
        for n, moment in enumerate(moments)
    ]
    for one, moment in zip(kept, moments, strict=True):
        await house.database.write(actions.settle, "B", [], [one], moment)


async def look(house: House, query: str = "", cookie: str | None = None) -> str:
    return page(await house.ask(URL + query, cookie=cookie or await house.sign_in()))


def listed(shown: str) -> list[str]:
    """The names of files in the list, in their order."""
    return re.findall(r'href="/dashboard/files/[0-9a-f-]{36}"><bdi>(.*?)</bdi>', shown.partition('id="files"')[2])


def test_an_empty_house_says_how_to_begin(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        shown = await look(house)
        assert "No entry yet" in shown and "croft sync entries add" in shown and "There are none." in shown
        assert "run on another node" in shown, "nothing was started here"

    in_house(tmp_path, test)


def test_entries_files_and_what_is_behind(tmp_path: Path, database_url: str) -> None:
    async def test(house: House) -> None:
        await furnish(house, "one.txt", "two.txt", "three/3.txt")
        await tell(house, "B", "two.txt")
        await house.database.write(store_entries.note_skipped, "A", [("a-link", "a symbolic link")], False)
        await house.database.write(store_entries.set_up, "B", False, "its root is empty")
        shown = await look(house)
        assert "0 of 2 entries run" in shown, "asked for, but nobody runs them in this test"
        assert "<b>3</b> files" in shown and "<b>2</b> behind somewhere" in shown
        assert "its root is empty" in shown and "2 behind" in shown and "a symbolic link" in shown
        assert '<progress max="3" value="1"' in shown
        assert sorted(listed(shown)) == ["one.txt", "three/3.txt", "two.txt"]
        for query, names in (("?q=ONE", ["one.txt"]), ("?state=behind", ["one.txt", "three/3.txt"]),
                             ("?state=synced", ["two.txt"]), ("?entry=A&q=two", ["two.txt"]), ("?entry=C", []),
                             ("?q=%25", [])):  # fmt: skip
            assert sorted(listed(await look(house, query))) == names, query
        part = await look(house, "?part=live")
        assert "Entries" in part and "<html" not in part and "one.txt" not in part
        part = await look(house, "?part=listed&state=behind")
        assert "one.txt" in part and "two.txt" not in part and "<html" not in part and "Entries" not in part

    in_house(tmp_path, test, database=DatabaseUrl(database_url))


def test_lists_go_on(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        await furnish(house, *(f"{n:03}.txt" for n in range(120)))
        cookie, seen, query, shown = await house.sign_in(), [], "?entry=A", ""
        while query:
            shown = await look(house, query, cookie)
            seen += listed(shown)
            found = re.search(r'href="/dashboard/files(\?[^"]*)">Those after', shown)
            query = found[1].replace("&amp;", "&") if found else ""
        assert sorted(seen) == [f"{n:03}.txt" for n in range(120)]
        assert "Those before" in shown and "data-source=" in shown
        assert "part=listed" not in await look(house, "?q=1", cookie), "a search is not asked for again and again"

    in_house(tmp_path, test)


def test_one_file_with_its_copies_and_versions(tmp_path: Path, database_url: str) -> None:
    async def test(house: House) -> None:
        await furnish(house, "notes.txt")
        await keep(house, "notes.txt", *(NOW - n * 60_000 for n in range(1, 61)))
        url, cookie = f"{URL}/{fid_of('notes.txt')}", await house.sign_in()
        shown = page(await house.ask(url, cookie=cookie))
        assert "notes.txt" in shown and "1.5 kB" in shown and "7 bytes" in shown and "/content" in shown
        assert re.findall(r'<span class="size">([\w ]+)</span>', shown) == ["up to date", "behind"]
        assert '<i class="tag warn">behind</i>' in shown
        await tell(house, "B", "notes.txt")
        assert '<i class="tag good">up to date</i>' in page(await house.ask(url, cookie=cookie))
        assert shown.count(">Restore</button>") == 50 and "Older ones" in shown
        assert shown.index("1 min ago") < shown.index("2 min ago"), "the last first"
        part = page(await house.ask(url + "?part=live&offset=50", cookie=cookie))
        assert part.count(">Restore</button>") == 10 and "<html" not in part and "Later ones" in part
        assert "Nothing older is kept." in page(await house.ask(url + "?offset=999", cookie=cookie))
        for query in ("?offset=-1", f"?offset={2**63}", "?offset=x", "?other=1", "?part=dead"):
            assert (await house.ask(url + query, cookie=cookie)).status == 400

    in_house(tmp_path, test, database=DatabaseUrl(database_url))


def test_what_was_deleted_is_found_again(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undercroft.families.sync.listing.MOST_WALKED", 7)

    async def test(house: House) -> None:
        await furnish(house, "here.txt", *(f"gone{n}.txt" for n in range(60)))
        for n in range(60):
            await keep(house, f"gone{n}.txt", NOW - 60_000, NOW - 50_000)
        await keep(house, "here.txt", NOW - 60_000)
        await vanish(house, "A", *(f"gone{n}.txt" for n in range(60)))
        cookie, seen, query, pages = await house.sign_in(), [], "?state=deleted&q=GONE", 0
        while query:
            shown = await look(house, query, cookie)
            seen += listed(shown)
            found = re.search(r'href="/dashboard/files(\?[^"]*)">Look further', shown)
            query, pages = found[1].replace("&amp;", "&") if found else "", pages + 1
        assert sorted(seen) == sorted(f"gone{n}.txt" for n in range(60)) and pages > 5
        assert "None among those looked at." in await look(house, "?state=deleted&q=nothing", cookie)
        assert "None among" in await look(house, "?state=deleted&entry=A", cookie), "A keeps none of them"
        shown = page(await house.ask(f"{URL}/{fid_of('gone7.txt')}", cookie=cookie))
        assert "deleted" in shown and shown.count(">Restore</button>") == 2 and "/content" not in shown

    in_house(tmp_path, test, database=DatabaseUrl(database_url))


def test_names_of_others_are_only_shown(tmp_path: Path, database_url: str) -> None:
    async def test(house: House) -> None:
        await furnish(house, HOSTILE)
        await keep(house, HOSTILE, NOW - 60_000)
        await house.database.write(store_entries.note_conflict, NOW, HOSTILE, HOSTILE + "2", "A")
        await house.database.write(store_entries.note_skipped, "A", [(HOSTILE + "3", HOSTILE)], False)
        await house.database.write(store_entries.set_up, "A", False, HOSTILE)
        cookie = await house.sign_in()
        for url in (URL, f"{URL}?q={quote('<script>')}", f"{URL}/{fid_of(HOSTILE)}"):
            reply = await house.ask(url, cookie=cookie)
            shown = page(reply)
            assert "&lt;script&gt;alert(1)" in shown and "<script>alert" not in shown, url
            assert "⟨202E⟩gnp.⟨000A⟩⟨000D⟩⟨007F⟩⟨2028⟩\\xff\\xfe.txt" in shown, url
            assert not {"\u202e", "\x7f", "\u2028"} & set(shown)
            assert "script-src 'self'" in header(reply, "content-security-policy")
        await vanish(house, "A", HOSTILE, hold=True)
        assert "1 deletion waits" in await look(house, cookie=cookie)

    in_house(tmp_path, test, database=DatabaseUrl(database_url))


def test_held_deletions_are_undone_or_meant(tmp_path: Path, database_url: str) -> None:
    async def test(house: House) -> None:
        names = [f"{n}.txt" for n in range(8)]
        await furnish(house, *names)
        await tell(house, "B", *names)
        await vanish(house, "A", *names, hold=True)
        await house.parts.entries.start()
        cookie = await house.sign_in()
        try:
            shown = await look(house, cookie=cookie)
            assert "8 deletions wait</a>" in shown and "8 deletions wait for your word" in shown
            assert "and 3 more" in shown and "run on another node" not in shown
            assert "deletion waits" in page(await house.ask(f"{URL}/{fid_of('0.txt')}", cookie=cookie))
            assert (await do(house, cookie, "A", "back")).status == 303
            assert "deletions wait" not in await look(house, cookie=cookie)
            assert len(listed(await look(house, cookie=cookie))) == 8
            await tell(house, "A", *names)
            await vanish(house, "A", *names, hold=True)
            assert (await do(house, cookie, "A", "delete")).status == 303
            shown = await look(house, cookie=cookie)
            assert listed(shown) == [] and "deletions wait" not in shown
        finally:
            await house.parts.entries.close()

    in_house(tmp_path, test, database=DatabaseUrl(database_url))


async def do(house: House, cookie: str, entry: str, deed: str) -> Reply:
    form = {"entry": entry, "do": deed}
    return await house.ask(f"{URL}/entries", form=form, cookie=cookie, headers=SAME_ORIGIN)


def test_what_can_not_be_is_refused(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A is to run and has no process here: that is waited for."""
    monkeypatch.setattr(switchboard, "MET_WITHIN", 0.01)

    async def test(house: House) -> None:
        await furnish(house, "a.txt")
        await keep(house, "a.txt", NOW - 1)
        cookie, one = await house.sign_in(), f"{URL}/{fid_of('a.txt')}"
        await house.parts.entries.start()
        try:
            for name, deed, status in (("C", "start", 404), ("", "stop", 404), ("A", "", 400), ("A", "remove", 400),
                                       ("A", "start", 409), ("A", "rescan", 503), ("A\x00", "stop", 400),
                                       ("x" * 3_000, "stop", 404), ("\u202e\n", "stop", 404)):  # fmt: skip
                reply = await do(house, cookie, name, deed)
                assert reply.status == status and reply.content_type.startswith(b"text/html"), (name, deed)
            for version, status in (("", 404), ("nothing", 404), ("9" * 3_000, 404), ("\x00", 400)):
                form = {"version": version}
                reply = await house.ask(f"{one}/restore", form=form, cookie=cookie, headers=SAME_ORIGIN)
                assert reply.status == status, version
            [version] = re.findall('name="version" value="([^"]+)"', page(await house.ask(one, cookie=cookie)))
            form = {"version": version}
            reply = await house.ask(f"{one}/restore", form=form, cookie=cookie, headers=SAME_ORIGIN)
            assert reply.status == 503 and "being started" in page(reply), "nobody could put it back"
            other = f"{URL}/{fid_of('b.txt')}"
            assert (await house.ask(f"{other}/restore", form=form, cookie=cookie, headers=SAME_ORIGIN)).status == 404
        finally:
            await house.parts.entries.close()
        strange = ("x", fid_of("b.txt"), "..", "%00", "%ff", "x" * 3_000, "%E2%80%AE", "%0d%0aset-cookie:%20x")
        for fid in strange:
            for rest in ("", "/content"):
                assert (await house.ask(f"{URL}/{fid}{rest}", cookie=cookie)).status in (400, 404), fid
        assert (await house.ask(f"{one}/content", cookie=cookie)).status == 409, "nobody has it at this moment"
        for query in ("?offset=-1", "?offset=x", f"?offset={2**53}", "?state=no", "?q=%00", "?q=%ff", "?other=1",
                      "?part=dead"):  # fmt: skip
            assert (await house.ask(URL + query, cookie=cookie)).status == 400, query
        for query in (
            "?offset=999999",
            f"?after={'z' * 999}&state=deleted",
            "?q=" + "%F0%9F%98%80" * 99,
            "?entry=%E2%80%AE",
        ):
            assert (await house.ask(URL + query, cookie=cookie)).status == 200, query

    in_house(tmp_path, test, database=DatabaseUrl(database_url))


def test_who_sees_and_does_what_the_api_lets_them(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        await furnish(house, "secret.txt")
        await keep(house, "secret.txt", NOW - 1)
        one = f"{URL}/{fid_of('secret.txt')}"
        pages = [URL, f"{URL}?part=live", f"{URL}?part=listed", f"{URL}?state=deleted", one, f"{one}?part=live",
                 f"{one}/content"]  # fmt: skip
        deeds = {f"{URL}/entries": {"entry": "A", "do": "stop"}, f"{one}/restore": {"version": "x"}}
        made = await house.ask("/api/v1/user/token/", body={"email": "ann@crew.example"}, token=ADMIN, headers=JSON)
        tokens = {"somebody else's": (json.loads(made.body)["token"], False)}
        for scope, enters in (("sync", True), ("sync:@admin", True), ("sync:shop", False), ("timers", False)):
            tokens[scope] = (await house.make_token(scope), enters)
        for scopes, (token, enters) in tokens.items():
            cookie = await house.sign_in(token)
            assert (await house.ask("/api/v1.0/files", token=token)).status == (200 if enters else 403)
            for url in pages:
                reply = await house.ask(url, cookie=cookie)
                assert (reply.status == 403) is not enters, (scopes, url)
                assert enters or b"secret" not in reply.body
            if not enters:
                for url, form in deeds.items():
                    assert (await house.ask(url, form=form, cookie=cookie, headers=SAME_ORIGIN)).status == 403
        for url in pages:
            assert (await house.ask(url)).status == 401
        cookie = await house.sign_in()
        for url, form in deeds.items():
            assert (await house.ask(url, form=form, headers=SAME_ORIGIN)).status == 401
            for foreign in ({}, {"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}):
                assert (await house.ask(url, form=form, cookie=cookie, headers=foreign)).status == 403
            assert (await house.ask(url, body={"entry": "A"}, cookie=cookie, headers=SAME_ORIGIN)).status == 400
        assert [entry.up for entry in await house.database.read(store_entries.entries)] == [True, True]

    in_house(tmp_path, test)


def test_counts_stop_somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_COUNTED == 10_000
    for where in (looking, __import__("undercroft.app.dashboard.files", fromlist=["files"])):
        monkeypatch.setattr(where, "MOST_COUNTED", 3)

    async def test(house: House) -> None:
        await furnish(house, *(f"{n}.txt" for n in range(5)))
        shown = await look(house)
        assert "3+ behind" in shown and "<b>5</b> files" in shown
        assert '<progress aria-label="Files that are up to date">' in shown, "how many is not known"

    in_house(tmp_path, test)
