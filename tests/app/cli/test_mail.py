"""`croft mail`: what each verb asks of the server, against documented answers; and once through a real server."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run, Server
from tests.services.croft import Croft

ID = "g1m7y9s42rpb4vptm5qdx8pqte"
SENT = {"message": "Email  successfully sent.", "id": ID}


def test_send_says_what_became_of_it(croft: Run, server: Server) -> None:
    server.answers("/systems/emails", SENT)
    ended = croft("mail", "send", "ann@example.com", "--subject", "Hello", "--body", "How are you?")
    assert (ended.code, ended.out) == (0, f"Email successfully sent. Its id is {ID}.\n")
    assert server.asked == "POST /systems/emails"
    assert server.body == {"to": ["ann@example.com"], "subject": "Hello", "body": "How are you?", "details": True}


def test_send_with_everything(croft: Run, server: Server, home: Path) -> None:
    server.answers("/systems/emails", {**SENT, "message": "Email queued."}, status=202)
    (home / "page.html").write_text("<p>ü</p>")
    (home / "a.pdf").write_bytes(b"%PDF\x00")
    ended = croft(
        "mail", "send", "ann@example.com", "Bob <bob@example.com>", "-s", "S", "-b", "-", "--html", "@page.html",
        "--cc", "c@example.com", "--bcc", "d@example.com", "--from", "e@example.com", "--reply-to", "f@example.com",
        "--attach", "a.pdf", "--header", "X-A: b:c", "--tag", "t", "--at", 1_903_849_200_000,
        "--idempotency-key", "k", "--namespace", "shop", "--json", stdin=b"text",
    )  # fmt: skip
    assert ended.json["id"] == ID, ended.err
    assert server.body == {
        "to": ["ann@example.com", "Bob <bob@example.com>"], "subject": "S", "text": "text", "html": "<p>ü</p>",
        "cc": ["c@example.com"], "bcc": ["d@example.com"], "from": "e@example.com", "reply_to": "f@example.com",
        "attachments": [{"name": "a.pdf", "type": "application/pdf", "content": "JVBERgA="}],
        "headers": {"X-A": "b:c"}, "tags": ["t"], "send_at": 1_903_849_200_000, "idempotency_key": "k",
        "namespace": "shop", "details": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (["a@b.c"], "--body"),
        (["a@b.c", "-b", "x", "--attach", "none.pdf"], "none.pdf can't be read"),
        (["a@b.c", "-b", "@none.txt"], "none.txt can't be read"),
        (["a@b.c", "-t", "x", "--set", "name"], "name=value"),
        (["a@b.c", "-b", "x", "--in", "5m", "--at", "now"], "both say when"),
    ],
)
def test_send_explains_what_is_written_wrong(croft: Run, server: Server, flags: list[str], hint: str) -> None:
    ended = croft("mail", "send", *flags)
    assert ended.code == 2
    assert hint in ended.err
    assert server.calls == []


def test_the_relays_words_end_with_1(croft: Run, server: Server) -> None:
    server.answers("/systems/emails", {"error": "a@b.c: 550 no such user", "code": "M015"}, status=400)
    ended = croft("mail", "send", "a@b.c", "-b", "x")
    assert ended.code == 1
    assert "550 no such user (M015)" in ended.err


def test_through_a_real_server(croft: Run, start_croft: Callable[..., Croft], monkeypatch: pytest.MonkeyPatch) -> None:
    house = start_croft()
    monkeypatch.setenv("UNDERCROFT_URL", house.url)
    monkeypatch.setenv("UNDERCROFT_TOKEN", house.token)
    put = croft("mail", "template", "put", "welcome", "-s", "Hi {{ name }}", "--text", "Hello {{ name }}")
    assert put.code == 0, put.err
    assert "welcome" in croft("mail", "template", "list").out
    assert "Hello {{ name }}" in croft("mail", "template", "show", "welcome").out
    sent = croft("mail", "send", "ann@example.com", "-t", "welcome", "--set", "name=Ann", "--in", "1h", "--json")
    id = sent.json["id"]
    assert "Hi Ann" in croft("mail", "list", "--to", "ann@example.com", "--state", "queued").out
    shown = croft("mail", "show", id)
    assert "Hello Ann" in shown.out and "ann@example.com queued" in shown.out
    assert croft("mail", "cancel", id).out == "Email cancelled.\n"
    assert croft("mail", "cancel", id).code == 1
    assert "any more" in croft("mail", "suppress", "ann@example.com", "--reason", "bounced").out
    assert "bounced" in croft("mail", "suppressed").out
    refused = croft("mail", "send", "ann@example.com", "-b", "x")
    assert refused.code == 1 and "suppression list" in refused.err
    assert croft("mail", "unsuppress", "ann@example.com").code == 0
    assert "Email captured." in croft("mail", "send", "ann@example.com", "-s", "x", "-b", "x").out
    assert "removed" in croft("mail", "template", "remove", "welcome").out
