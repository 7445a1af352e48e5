"""`croft messaging`, verb by verb, against a real server and a real receiver."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run
from tests.services.croft import Croft
from tests.services.receiver import Answer, Receiver
from tests.services.waiting import wait_until
from undercroft.app.cli.client import Server
from undercroft.app.cli.failures import NotReachable


@pytest.fixture
def messaging(croft: Run, start_croft: Callable[..., Croft], monkeypatch: pytest.MonkeyPatch) -> Run:
    server = start_croft()
    monkeypatch.setenv("UNDERCROFT_URL", server.url)
    monkeypatch.setenv("UNDERCROFT_TOKEN", server.token)
    return lambda *arguments, **more: croft("messaging", *arguments, **more)


@pytest.fixture
def series(messaging: Run, receiver: Receiver) -> Run:
    for arguments in (
        ("route", "add", "sms", receiver.url("/outbound")),
        ("schedule", "add", "0 8 * * *", "--timezone", "Africa/Lagos"),
        ("set", "add", "welcome", "--schedule", 1, "--channel", "webhook:sms", "--label", "Welcome"),
        ("say", 1, 1, "one"),
        ("say", 1, 2, "two"),
    ):
        ended = messaging(*arguments)
        assert ended.code == 0, ended.err
    return messaging


def test_a_series_from_nothing_to_the_receiver(series: Run, receiver: Receiver) -> None:
    id = series("subscribe", "+27820001001", "--set", 1, "--json").json["id"]
    assert len(series("preview", id, "--json").json) == 2
    assert series("schedule", "send", 1).out == "1 messages have left; 0 subscriptions were passed by.\n"
    assert json.loads(receiver.calls("/outbound")[0].body)["content"] == "one"
    shown = series("show", id, "--json").json
    assert (shown["next_sequence_number"], shown["sends"][0]["state"]) == (2, "delivered")
    assert "delivered" in series("show", id).out
    assert "+27820001001" in series("subscriptions", "--active").out
    assert series("resend", id).code == series("next", id).code == 0
    receiver.wait_for(3, "/outbound")
    assert series("opt-out", id).out.startswith("http://127.0.0.1:")
    assert series("forward", id, "--json").json[0]["id"] == id
    assert series("stop", id).code == 0
    assert series("subscriptions", "--active", "--json").json == []


def test_many_subscribers(series: Run, home: Path) -> None:
    rows = [f"+2782000{n:04d},{'engl' if n % 10 else 'too long a language'}" for n in range(50)]
    (home / "members.csv").write_text("\n".join(["identity,lang", *rows]))
    ended = series("import", "members.csv", "--set", 1)
    assert (ended.code, ended.out) == (1, "Subscribed 45, refused 5.\n")
    assert "line 2: lang: Ensure this field has no more than 6 characters." in ended.err
    assert len(series("subscriptions", "--all", "--json").json) == 45
    again = series("import", "members.csv", "--set", 1, "--json").json
    assert (again["subscribed"], again["passed_by"], len(again["failed"])) == (0, 45, 5)
    (home / "wrong.csv").write_text("name\nx\n")
    assert series("import", "wrong.csv", "--set", 1).code == 2


def test_an_import_that_was_cut_off_is_taken_up(series: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server goes away in the middle: who was told is subscribed, and the same command does the rest."""
    monkeypatch.setattr("undercroft.app.cli.messaging.subscribers.MOST_ROWS", 10)
    rows = [f'+2782000{n:04d},"{{""city"": ""Lagos"", ""n"": {n}}}"' for n in range(35)]
    (home / "members.csv").write_text("\n".join(["identity,metadata", *rows, "ann,{city", ""]))
    with monkeypatch.context() as cut:
        really_post, pages = Server.post, iter(range(2))

        def post(*arguments: object) -> object:
            if next(pages, None) is None:
                raise NotReachable("the line broke")
            return really_post(*arguments)  # type: ignore[arg-type]

        cut.setattr(Server, "post", post)
        ended = series("import", "members.csv", "--set", 1)
    assert ended.code == 3
    assert "the line broke; 20 before line 22 were subscribed" in ended.err and "run it again" in ended.err

    ended = series("import", "members.csv", "--set", 1)

    assert ended.out == "Subscribed 15, passed by 20 who were there, refused 1.\n"
    assert 'line 37: metadata: it is no JSON such as {"city": "Lagos"}' in ended.err
    everybody = series("subscriptions", "--all", "--json").json
    assert len({one["identity"] for one in everybody}) == len(everybody) == 35
    assert all(one["metadata"]["city"] == "Lagos" for one in everybody)


def test_sets_as_files(series: Run, home: Path) -> None:
    written = series("set", "export", 1).out
    (home / "set.yaml").write_text(written.replace("text_content: two", "text_content: second") + "\n")
    assert series("set", "import", 1, "set.yaml").out == "Made 0 messages, changed 1.\n"
    (home / "set.csv").write_text("sequence_number,lang,text_content\n3,eng,=third\n1,fra,un\n")
    assert series("set", "import", 1, "set.csv").out == "Made 2 messages, changed 0.\n"
    assert "'=third" in series("set", "export", 1, "--to", "csv").out
    assert series("set", "clone", 1, "again").out == "Set 2 is again, as set 1.\n"
    assert "eng fra" in series("set", "list").out
    (home / "wrong.yaml").write_text("messages: [{lang: eng}]")
    refused = series("set", "import", 1, "wrong.yaml")
    assert refused.code == 1 and "sequence_number: This field is required." in refused.err
    (home / "bomb.yaml").write_text("a: &a [1]\nmessages: [*a, *a]")
    assert "aliases" in series("set", "import", 1, "bomb.yaml").err


def test_what_fails_is_listed_and_tried_again(series: Run, receiver: Receiver) -> None:
    series("set", "add", "other", "--schedule", 1, "--channel", "webhook:sms")
    receiver.answer("/outbound", Answer(410))
    id = series("subscribe", "+27820001001", "--set", 1, "--json").json["id"]
    assert series("next", id).code == 0
    wait_until(lambda: id in series("failed", "list").out, "a failed message")
    receiver.answer("/outbound", Answer(200))
    assert "gone" in series("route", "list").out
    assert series("route", "add", "sms", receiver.url("/outbound")).code == 0
    assert series("failed", "retry").code == 0
    receiver.wait_for(2, "/outbound")
    assert series("failed", "list", "--json").json == []


def test_rules(series: Run, receiver: Receiver) -> None:
    assert series("set", "add", "onward", "--schedule", 1, "--channel", "webhook:sms").code == 0
    for identity in ("+27820001001", "+27820001002"):
        assert series("subscribe", identity, "--set", 1, "--from", 2).code == 0
    assert series("schedule", "send", 1).code == 0
    wanted = ("rule", "add", "on", "--when", "completed", "--set", 1, "--subscribe", 2)
    tried = series(*wanted, "--dry-run", "--json").json
    assert [one["outcome"] for one in tried] == ["subscribed"] * 2 and series("rule", "list", "--json").json == []
    conditions = ("--if", "city=Lagos", "--if", "city=Abuja", "--if", "age=5")
    assert series(*wanted, *conditions, "--json").json["conditions"] == {"city": ["Lagos", "Abuja"], "age": [5]}
    assert series("rule", "remove", 1).out == "Rule 1 is removed.\n"
    assert series(*wanted).out == "Rule 2 is on.\n"
    assert "+27820001002" in series("rule", "preview", 2).out
    assert series("rule", "pause", 2).out == "Rule 2 is paused.\n" and series("rule", "apply", 2).code == 1
    assert series("rule", "resume", 2).code == 0
    assert series("rule", "apply", 2).out == "2 subscribed\n"
    assert series("rule", "apply", 2).out == "There was nobody.\n"
    assert len(series("rule", "log", 2, "--last", 1, "--json").json) == 1
    assert "completed 1" in series("rule", "list").out
    back = series("rule", "add", "back", "--when", "reached", "--set", 2, "--from", 0, "--subscribe", 1, "--json")
    assert "number" in back.err
    told = series("rule", "add", "back", "--when", "reached", "--set", 2, "--number", 1, "--subscribe", 1)
    assert told.code == 0 and "ten rules" in told.err
    for wrong in (("--subscribe", 1, "--unsubscribe", 1), (), ("--subscribe", 1, "--if", "city")):
        assert series("rule", "add", "x", "--when", "address", *wrong).code == 2
    values = ("rule", "add", "v", "--when", "field", "--field", "pregnant=true", "--subscribe", 1, "--json")
    made = series(*values).json
    assert (made["field"], made["value"]) == ("pregnant", True)


def test_the_rest(series: Run, home: Path) -> None:
    (home / "day.mp3").write_bytes(b"sound")
    file = series("upload", "day.mp3", "--json").json
    assert file["content"].endswith(".mp3")
    assert series("say", 1, 3, "three", "--file", file["id"]).code == 0
    assert series("identity", "put", "ann", "+27820001001", "a@example.org", "--timezone", "Africa/Lagos").code == 0
    assert "ann" in series("identity", "list").out
    assert series("identity", "remove", "ann").code == 0
    assert series("behind", "--find").code == series("behind").code == series("estimate").code == 0
    refused = series("schedule", "remove", 1)
    assert refused.code == 1 and "in use" in refused.err
    assert series("schedule", "add", "0 8 * *").code == 2
    assert "hour: " in series("schedule", "add", "0 banana * * *").err
    assert series("schedule", "list").code == 0
    refused = series("route", "remove", "sms")
    assert "welcome" in refused.err
    assert series("set", "remove", 1).code == series("schedule", "remove", 1).code == 0
    assert series("route", "remove", "sms").code == 0
