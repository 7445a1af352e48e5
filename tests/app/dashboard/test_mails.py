"""The pages of e-mails: who sees which, and that what is in a mail can do nothing there."""

import base64
import json
import re
from pathlib import Path

from tests.app.dashboard.asking import ADMIN, NOW, House, header, in_house
from undercroft.machinery.mail.actions import enqueue
from undercroft.machinery.mail.model import Draft, Rules, check_draft

HOSTILE = "<script>alert(1)</script>"


async def send(house: House, namespace: str = "@admin", **fields: object) -> str:
    email = {"to": "ann@example.com", "subject": "Hello", "body": "How are you?", "namespace": namespace, **fields}
    reply = await house.ask("/systems/emails", body={**email, "details": True}, token=ADMIN)
    assert reply.status == 202, reply.body
    id: str = json.loads(reply.body)["id"]
    return id


def test_captured_mails_are_listed_and_shown(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        cookie = await house.sign_in()
        html = f"<h1>{HOSTILE}</h1><img src='https://tracker.example/x.png'>"
        attached = {"name": "ü<b>.html", "type": "text/html", "content": base64.b64encode(HOSTILE.encode()).decode()}
        id = await send(house, subject=HOSTILE, body=html, attachments=[attached], headers={"X-A": HOSTILE})
        page = await house.ask("/dashboard/mails", cookie=cookie)
        text = page.body.decode()
        assert "Captured, not sent" in text and f"/dashboard/mails/{id}" in text
        assert HOSTILE not in text and "&lt;script&gt;" in text
        one = await house.ask(f"/dashboard/mails/{id}", cookie=cookie)
        assert one.status == 200 and HOSTILE not in one.body.decode()
        assert 'sandbox=""' in one.body.decode()
        assert "frame-src 'self'" in header(one, "content-security-policy")
        framed = await house.ask(f"/dashboard/mails/{id}/html", cookie=cookie)
        assert HOSTILE in framed.body.decode(), "as it is: the policy shuts it in"
        policy = header(framed, "content-security-policy")
        assert "default-src 'none'" in policy and policy.endswith("sandbox") and "script-src" not in policy
        source = await house.ask(f"/dashboard/mails/{id}/source", cookie=cookie)
        assert source.content_type.startswith(b"text/plain") and b"Message-ID: <" + id.encode() in source.body
        file = await house.ask(f"/dashboard/mails/{id}/attachments/0", cookie=cookie)
        assert (file.body, file.content_type) == (HOSTILE.encode(), b"application/octet-stream")
        assert header(file, "content-disposition") == "attachment; filename*=UTF-8''%C3%BC%3Cb%3E.html"
        for path in ("none", f"{id}/attachments/1", f"{id}/attachments/x", f"{id}/attachments/" + "9" * 5_000):
            assert (await house.ask(f"/dashboard/mails/{path}", cookie=cookie)).status == 404, path

    in_house(tmp_path, test)


def test_pages_of_the_list_and_states(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        cookie = await house.sign_in()
        ids = {await send(house, send_at=house.now + 3_600_000) for _ in range(60)}
        seen: set[str] = set()
        url = "/dashboard/mails?state=queued"
        for _ in range(3):
            text = (await house.ask(url, cookie=cookie)).body.decode()
            seen |= {id for id in ids if f"/dashboard/mails/{id}" in text}
            if "Older ones" not in text:
                break
            url = text.partition('<p class="rest"><a href="')[2].partition('"')[0].replace("&amp;", "&")
        assert seen == ids
        assert "There are none" in (await house.ask("/dashboard/mails?state=sent", cookie=cookie)).body.decode()

    in_house(tmp_path, test)


def test_the_houses_own_mail_is_for_whoever_sees_everything(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        mail = check_draft(
            Draft(to="ann@example.com", subject="A new password", text="token"), Rules("h@localhost"), NOW
        )
        id = await house.database.write(enqueue, "", "undercroft", mail, NOW)
        for cookie, sees in (
            (await house.sign_in(), True),
            (await house.sign_in(await house.make_token("mail")), False),
            (await house.sign_in(await house.make_token("mail:@admin")), False),
        ):
            listed = (await house.ask("/dashboard/mails", cookie=cookie)).body.decode()
            assert ("A new password" in listed) is sees
            for what in ("", "/html", "/source", "/attachments/0"):
                reply = await house.ask(f"/dashboard/mails/{id}{what}", cookie=cookie)
                assert (reply.status == 200) is (sees and what != "/attachments/0"), what
        over_http = await house.ask(f"/systems/emails/{id}?namespace=", token=await house.make_token("mail"))
        assert over_http.status == 400

    in_house(tmp_path, test)


def test_who_may_see_a_part_sees_no_other(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        shop, other = await send(house, "shop", subject="of the shop"), await send(house, "other", subject="of another")
        for scopes, sees_both in ((["mail:shop"], False), (["mail"], True), (["timers"], None)):
            cookie = await house.sign_in(await house.make_token(*scopes))
            text = (await house.ask("/dashboard/mails", cookie=cookie)).body.decode()
            assert ("of the shop" in text) is (sees_both is not None), scopes
            assert ("of another" in text) is (sees_both is True), scopes
            expected = 200 if sees_both else 404
            assert (await house.ask(f"/dashboard/mails/{other}", cookie=cookie)).status == expected
            assert (await house.ask(f"/dashboard/mails/{other}/html", cookie=cookie)).status == expected
        assert (await house.ask(f"/dashboard/mails/{shop}")).status == 401

    in_house(tmp_path, test)


def test_who_sees_many_namespaces_pages_through_them_or_names_one(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        names = [f"shop-{number:02}" for number in range(45)]
        for name in names:
            await send(house, name, subject=f"Of {name}.")
        cookie = await house.sign_in(await house.make_token(*(f"mail:{name}" for name in names)))

        seen: list[str] = []
        url, pages = "/dashboard/mails?state=captured", 0
        while url:
            text = (await house.ask(url, cookie=cookie)).body.decode()
            assert "Of your 45 namespaces" in text
            seen += sorted(re.findall(r"Of (shop-\d\d)\.", text))
            pages += 1
            after = re.search(r'<a href="([^"]*)">Those after</a>', text)
            url = after[1].replace("&amp;", "&") if after else ""
            assert not url or "state=captured" in url
        assert (seen, pages) == (names, 3)
        assert "Those before" in text

        for who in (cookie, await house.sign_in()):
            one = (await house.ask("/dashboard/mails?namespace=shop-33&page=2", cookie=who)).body.decode()
            assert re.findall(r"Of (shop-\d\d)\.", one) == ["shop-33"]
            assert "?state=sent&amp;namespace=shop-33" in one, "it stays chosen"
        for strange in ("@admin", "", "%3Cb%3E", "x" * 5_000):
            assert (await house.ask(f"/dashboard/mails?namespace={strange}&page=99", cookie=cookie)).status == 200
        assert "There are none" in (await house.ask("/dashboard/mails?namespace=@admin", cookie=cookie)).body.decode()

    in_house(tmp_path, test)
