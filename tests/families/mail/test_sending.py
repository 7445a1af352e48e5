"""POST /systems/emails with a real relay behind it: what arrives there, and what is said of it."""

import asyncio
import base64
from typing import Any

import dkim
import pytest

from tests.families.mail.house import CAPTURED, EMAIL, QUEUED, SENT, house
from tests.nodes.relay import Relay
from tests.services.dkimkey import DkimKey
from tests.services.mailserver import MailServer
from undercroft.base.clock import HOUR
from undercroft.database.postgres import engine

pytestmark = pytest.mark.anyio

TO = "recipient@email.com"


async def test_the_documents_example_byte_for_byte(relay: MailServer, database_url: str) -> None:
    body = b"""{
    "to": "recipient@email.com",
    "subject": "What time is it, where you are?",
    "body": "I miss you more than anything."
}"""
    async with house(database_url, relay.url) as one:
        answer = await one.call("POST", "/systems/emails", body, content_type="application/json")
        assert (answer.status, answer.body) == (200, b'{"message":"Email  successfully sent."}')
        (mail,) = relay.arrived()
        assert (mail.sender, mail.recipient) == ("house@home.example", TO)
        message = mail.message
        assert message["subject"] == "What time is it, where you are?"
        assert message.get_content() == "I miss you more than anything.\r\n"
        assert (message["from"], message["to"]) == ("House <house@home.example>", TO)
        assert mail.id == f"<{answer.id}@home.example>"
        assert (await one.email(answer.id))["recipients"][0]["reply"] == "250 2.0.0 queued as 7E"


async def test_each_recipient_is_sent_to_by_itself(relay: MailServer, database_url: str) -> None:
    relay.answers["bad@example.com"].append("550 5.1.1 nobody")
    relay.answers["later@example.com"].append("450 4.2.0 not now")
    async with house(database_url, relay.url) as one:
        partly = await one.send(to="a@example.com, bad@example.com", cc=["c@example.com"], bcc="Hidden <d@example.com>")
        assert (partly.status, partly.json["message"]) == (200, "Email partly sent.")
        assert list(partly.json["refused"]) == ["bad@example.com"]
        assert sorted(mail.recipient for mail in relay.arrived()) == [f"{who}@example.com" for who in "acd"]
        assert {mail.content for mail in relay.arrived()} == {relay.arrived()[0].content}
        assert b"Hidden" not in relay.arrived()[0].content and b"Bcc" not in relay.arrived()[0].content
        queued = await one.send(to=["later@example.com", "e@example.com"])
        assert (queued.status, queued.body) == (202, QUEUED)
        await one.until_state(queued.id, "sent")
        assert len(relay.arrived("later@example.com")) == len(relay.arrived("e@example.com")) == 1


async def test_html_attachments_and_headers(relay: MailServer, database_url: str) -> None:
    async with house(database_url, relay.url, mail_from_allowed=("@home.example",)) as one:
        answer = await one.send(
            subject="Grüße & Küsse",
            body="<h1>Hello</h1><p>there</p>",
            reply_to="Ann <ann@example.com>",
            **{"from": "Büro <office@home.example>"},
            headers={"X-Order": "7", "In-Reply-To": "<" + "x" * 100 + "@example.com>"},
            unsubscribe=["https://example.com/u?id=1", "mailto:out@example.com"],
            attachments=[
                {"name": "b€.pdf", "type": "application/pdf", "content": base64.b64encode(b"%PDF\x00").decode()}
            ],
        )
        assert answer.status == 200, answer.json
    (mail,) = relay.arrived()
    message = mail.message
    assert mail.sender == "office@home.example"
    assert (message["subject"], message["from"]) == ("Grüße & Küsse", "Büro <office@home.example>")
    assert message["reply-to"] == "Ann <ann@example.com>"
    assert message["x-order"] == "7"
    assert f"<{'x' * 100}@example.com>".encode() in mail.content, "ids are not encoded"
    assert message["list-unsubscribe"] == "<https://example.com/u?id=1>, <mailto:out@example.com>"
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None and plain.get_content().split() == ["Hello", "there"]
    assert html is not None and html.get_content().strip() == "<h1>Hello</h1><p>there</p>"
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("b€.pdf", "application/pdf")
    assert attached.get_content() == b"%PDF\x00"


async def test_a_mail_for_later_goes_out_then(relay: MailServer, database_url: str) -> None:
    async with house(database_url, relay.url) as one:
        answer = await one.send(send_at=one.clock() + HOUR)
        assert (answer.status, answer.body) == (202, QUEUED)
        assert relay.arrived() == []
        await one.go_on(HOUR + 1)
        await one.until_state(answer.id, "sent")
        assert len(relay.arrived()) == 1


async def test_what_was_cancelled_does_not_go_out(relay: MailServer, database_url: str) -> None:
    async with house(database_url, relay.url) as one:
        answer = await one.send(send_at=one.clock() + HOUR)
        gone = await one.call("DELETE", f"/systems/emails/{answer.id}")
        assert (gone.status, gone.body) == (200, b'{"message":"Email cancelled."}')
        again = await one.call("DELETE", f"/systems/emails/{answer.id}")
        assert (again.status, again.json["code"]) == (409, "M018")
        await one.go_on(2 * HOUR)
        sent = await one.send(to="after@example.com")
        assert sent.status == 200
        assert [mail.recipient for mail in relay.arrived()] == ["after@example.com"]
        assert (await one.email(answer.id))["state"] == "cancelled"


async def test_a_cancellation_whose_commit_was_answered_to_nobody_is_one(
    relay: MailServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PAUSE", 0.0)
    async with Relay.to(postgres_url) as line, house(line.url, relay.url) as one:
        answer = await one.send(send_at=one.clock() + HOUR)
        line.lose_each_answer()
        gone = await one.call("DELETE", f"/systems/emails/{answer.id}")
        assert (gone.status, gone.body) == (200, b'{"message":"Email cancelled."}')
        assert line.swallowed


async def test_a_key_sends_once_whoever_asks_at_the_same_moment(relay: MailServer, database_url: str) -> None:
    async with house(database_url, relay.url) as one:

        async def send() -> Any:
            return await one.call(
                "POST", "/systems/emails", {"to": TO, "subject": "s", "body": "b"}, idempotency_key="k1"
            )

        answers = await asyncio.gather(*(send() for _ in range(8)))
        assert len({answer.id for answer in answers}) == 1
        assert {answer.status for answer in answers} <= {200, 202}
        assert (await send()).body == SENT
        assert len(relay.arrived()) == 1
        other = await one.send(idempotency_key="k1")
        assert (other.status, other.json["code"]) == (409, "M013")
        differing = await one.call("POST", "/systems/emails", {"to": TO, "subject": "s", "body": "b",
                                   "idempotency_key": "k2"}, idempotency_key="k3")  # fmt: skip
        assert (differing.status, differing.json["code"]) == (400, "M012")


async def test_several_are_put_on_the_list_at_once_each_once(relay: MailServer, database_url: str) -> None:
    async with house(database_url, relay.url) as one:
        bounced = {"address": ["Gone@example.com, Full <full@example.com>", "gone@EXAMPLE.com"], "reason": "550 5.1.1"}
        for reason in ("550 5.1.1", "they said so"):
            answer = await one.call("POST", "/systems/suppressions", {**bounced, "reason": reason})
            assert (answer.status, answer.json) == (200, {"status": "ok"})
        listed = (await one.call("GET", "/systems/suppressions")).json["suppressions"]
        assert [(row["address"], row["reason"]) for row in listed] == [
            ("full@example.com", "they said so"),
            ("gone@example.com", "they said so"),
        ]
        assert (await one.send(to=["full@example.com", "gone@example.com"])).status == 400
        assert (await one.send(to=["full@example.com", "ann@example.com"])).status == 200
        assert [mail.recipient for mail in relay.arrived()] == ["ann@example.com"]


async def test_nothing_goes_to_who_is_suppressed_even_if_it_was_ordered_before(
    relay: MailServer, database_url: str
) -> None:
    async with house(database_url, relay.url) as one:
        later = await one.send(send_at=one.clock() + HOUR)
        done = await one.call("PUT", "/systems/suppressions/Recipient@Email.com", {"reason": "asked us to"})
        assert done.status == 200
        now = await one.send()
        assert (now.status, now.json["code"]) == (400, "M014")
        await one.go_on(HOUR + 1)
        found = await one.until_state(later.id, "suppressed")
        assert "suppression list" in found["recipients"][0]["reply"]
        both = await one.email((await one.send(to=[TO, "ann@example.com"])).id)
        assert [(to["state"], bool(to["settled_at"])) for to in both["recipients"]] == [
            ("suppressed", True),
            ("sent", True),
        ]
        assert "suppression list" in both["recipients"][0]["reply"]
        assert relay.asked[TO] == 0
        (listed,) = (await one.call("GET", "/systems/suppressions")).json["suppressions"]
        assert (listed["address"], listed["reason"]) == (TO, "asked us to")
        assert (await one.call("DELETE", f"/systems/suppressions/{TO}")).status == 200
        assert (await one.call("DELETE", f"/systems/suppressions/{TO}")).status == 404
        assert (await one.send()).body == SENT


async def test_without_a_relay_nothing_is_pretended(database_url: str) -> None:
    async with house(database_url) as one:
        answer = await one.send()
        assert (answer.status, answer.body) == (202, CAPTURED)
        found = await one.until_state(answer.id, "captured")
        recipient = found["recipients"][0]
        assert (recipient["attempts"], recipient["settled_at"]) == (0, found["created_at"])
        assert await one.database.read(lambda tx: tx.all("SELECT id FROM deliveries")) == [], "nothing is left to do"
        source = await one.call("GET", f"/systems/emails/{answer.id}/source")
        assert b"I miss you." in source.body and source.headers[b"content-disposition"] == b"attachment"


async def test_a_signature_that_others_verify(relay: MailServer, database_url: str) -> None:
    key = DkimKey()
    signing = {"dkim_selector": "mail", "dkim_domain": "home.example", "dkim_key": key.pem}
    async with house(database_url, relay.url, **signing) as one:
        await one.send(subject="Grüße", html="<p>ü</p>", cc="c@example.com", unsubscribe="https://example.com/u")
    first, second = relay.arrived()
    for mail in (first, second):
        assert dkim.verify(mail.content, dnsfunc=key.record)
    assert not dkim.verify(first.content.replace(b"recipient@email.com", b"somebody@email.com"), dnsfunc=key.record)
    assert not dkim.verify(b"Subject: Another\r\n" + first.content, dnsfunc=key.record)


async def test_a_list_is_sent_whole_or_not_at_all(relay: MailServer, database_url: str) -> None:
    async with house(database_url, relay.url) as one:
        emails = [{"to": f"u{n}@example.com", "subject": "s", "body": "b"} for n in range(20)]
        bad = await one.call("POST", "/systems/emails", [*emails, {"to": "nobody", "subject": "s", "body": "b"}])
        assert (bad.status, bad.json["code"]) == (400, "M020")
        assert "e-mail 20" in bad.json["error"]
        assert await one.listed() == []
        good = await one.call("POST", "/systems/emails", emails, idempotency_key="list")
        assert (good.status, good.json["message"]) == (202, "Emails queued.")
        again = await one.call("POST", "/systems/emails", emails, idempotency_key="list")
        assert again.json == good.json
        for queued in good.json["emails"]:
            await one.until_state(queued["id"], "sent")
        assert len(relay.arrived()) == 20


async def test_a_template_is_filled_in(relay: MailServer, database_url: str) -> None:
    template = {"subject": "Welcome, {{ name }}", "text": "Hello {{name}}", "html": "<p>Hello {{ name }}</p>"}
    async with house(database_url, relay.url) as one:
        assert (await one.call("PUT", "/systems/emails/templates/welcome", template)).status == 200
        unknown = await one.call("POST", "/systems/emails", {"to": TO, "template": "other"})
        assert (unknown.status, unknown.json["code"]) == (400, "M011")
        missing = await one.call("POST", "/systems/emails", {"to": TO, "template": "welcome"})
        assert "wants variables: name" in missing.json["error"]
        injected = await one.call(
            "POST", "/systems/emails", {"to": TO, "template": "welcome", "variables": {"name": "x\r\nBcc: a@b.c"}}
        )
        assert (injected.status, injected.json["code"]) == (400, "M003")
        sent = await one.call(
            "POST", "/systems/emails", {"to": TO, "template": "welcome", "variables": {"name": "<b>Ann</b>"}}
        )
        assert sent.body == SENT
        (mail,) = relay.arrived()
        html = mail.message.get_body(("html",))
        assert mail.message["subject"] == "Welcome, <b>Ann</b>"
        assert html is not None and html.get_content().strip() == "<p>Hello &lt;b&gt;Ann&lt;/b&gt;</p>"
        (listed,) = (await one.call("GET", "/systems/emails/templates")).json["templates"]
        assert (listed["name"], listed["variables"]) == ("welcome", ["name"])
        assert (await one.call("DELETE", "/systems/emails/templates/welcome")).status == 200
        assert (await one.call("GET", "/systems/emails/templates/welcome")).status == 404


async def test_more_than_the_rate_is_a_429(database_url: str) -> None:
    async with house(database_url, mail_rate=3) as one:
        statuses = [(await one.send()).status for _ in range(4)]
        assert statuses == [202, 202, 202, 429]
        refused = await one.send()
        assert refused.json["code"] == "M033" and int(refused.headers[b"retry-after"]) > 0
        assert (await one.send(namespace="shop")).status == 202
        one.clock.ahead += 61_000
        assert (await one.send()).status == 202


async def test_lists_show_what_is_asked_for(relay: MailServer, database_url: str) -> None:
    relay.answers["bad@example.com"].append("550 nobody")
    async with house(database_url, relay.url) as one:
        sent, refused = await one.send(to="Good@example.com"), await one.send(to="bad@example.com")
        later = await one.send(to="good@example.com", send_at=one.clock() + HOUR)
        assert {email["id"] for email in await one.listed()} == {sent.id, refused.id, later.id}
        assert [email["id"] for email in await one.listed("state=sent")] == [sent.id]
        assert {email["id"] for email in await one.listed("to=good@EXAMPLE.com")} == {sent.id, later.id}
        assert [email["id"] for email in await one.listed("to=good@example.com&state=queued")] == [later.id]
        page = (await one.call("GET", "/systems/emails?limit=2")).json
        rest = (await one.call("GET", f"/systems/emails?limit=2&cursor={page['cursor']}")).json
        assert len(page["emails"]) == 2 and rest["cursor"] is None
        assert len({email["id"] for email in page["emails"] + rest["emails"]}) == 3
        for query in ("state=lost", "limit=0", "cursor=x", "to=nobody", "sort=1"):
            assert (await one.call("GET", f"/systems/emails?{query}")).status == 400, query


async def test_namespaces_do_not_see_each_other(database_url: str) -> None:
    async with house(database_url) as one:
        mine = await one.send()
        shops = await one.send(namespace="shop")
        assert [email["id"] for email in await one.listed("namespace=shop")] == [shops.id]
        asked_for = await one.call("POST", "/systems/emails?namespace=games", EMAIL)
        assert [email["id"] for email in await one.listed("namespace=games")] == [asked_for.id]
        both = await one.call("POST", "/systems/emails?namespace=games", {**EMAIL, "namespace": "shop"})
        assert (both.status, both.json["code"]) == (400, "M021")
        assert (await one.call("GET", f"/systems/emails/{mine.id}?namespace=shop")).status == 404
        made = await one.call_house("POST", "/undercroft/tokens", {"name": "t", "scopes": ["mail:shop"]})
        token = made["token"]
        assert (await one.call("GET", f"/systems/emails/{shops.id}", token=token)).status == 200
        assert (await one.call("GET", f"/systems/emails/{mine.id}", token=token)).status == 404
        refused = await one.call("GET", f"/systems/emails/{mine.id}?namespace=@admin", token=token)
        assert (refused.status, refused.json["code"]) == (403, "M031")
        for path in ("/systems/emails", "/systems/emails/x/source", "/systems/nothing", "/systems/suppressions"):
            stranger = await one.call("GET", path, token="nobody")
            assert stranger.status in (401, 404), path
