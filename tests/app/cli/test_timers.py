"""`croft timers`: what each verb asks of the server, against documented answers."""

from typing import Any

import pytest

from tests.app.cli.conftest import Run, Server

OK = {"status": "ok"}
JOB = {"id": "order-7", "trigger_time": 1_903_849_200_000, "meta": {"order": 7}, "route": "orders"}
LISTED = {**JOB, "state": "scheduled", "attempts": 0}


def near(ms: int, seconds: float) -> bool:
    """Whether it is that many seconds from now, give or take a slow machine."""
    from undercroft.app.cli.show import now_ms

    return now_ms() + seconds * 1_000 - 20_000 < ms <= now_ms() + seconds * 1_000


def test_add_sends_the_document_s_job(croft: Run, server: Server) -> None:
    server.answers("/job/default/default", OK)
    ended = croft("timers", "add", "order-7", "--route", "orders", "--at", JOB["trigger_time"], "--meta", '{"order":7}')
    assert ended.code == 0, ended.err
    assert server.asked == "POST /job/default/default"
    assert server.body == JOB
    assert "order-7 calls orders at 2030-05-01" in ended.out
    assert server.calls[0].headers["Content-Type"] == "application/json"
    assert server.calls[0].headers["Authorization"] == "Bearer a-token-of-the-tests"


def test_add_without_id_in_a_while_shows_the_one_made(croft: Run, server: Server) -> None:
    server.answers("/job/default/default", {"status": "ok", "id": "made"})
    assert "Job made calls hello" in croft("timers", "add", "--route", "hello", "--in", "1h").out
    assert set(server.body) == {"trigger_time", "route"}
    assert near(server.body["trigger_time"], 3_600)


def test_add_with_everything(croft: Run, server: Server) -> None:
    server.answers("/job/a%2Fb/c%20d", OK)
    flags = ["--db", "a/b", "--collection", "c d", "--upsert", "--late", "fire", "--retries", "5,0.5,2m"]
    ended = croft("timers", "add", "x", "-r", "r", "--cron", "0 9 * * 1-5", "--timezone", "Europe/Berlin", *flags,
                  "--idempotency-key", "k", "--json")  # fmt: skip
    assert ended.json == OK
    assert server.asked == "POST /job/a%2Fb/c%20d?upsert=1&late=fire"
    assert server.body == {
        "id": "x", "route": "r", "cron": "0 9 * * 1-5", "timezone": "Europe/Berlin",
        "retries": [5, 0.5, 120], "idempotency_key": "k",
    }  # fmt: skip


def test_meta_goes_out_to_the_last_digit(croft: Run, server: Server) -> None:
    server.answers("/job/default/default", OK)
    written = b'{"n": 123456789012345678901234567890.10, "e": 1E400, "t": "\\u00e9"}'
    ended = croft("timers", "add", "--route", "r", "--in", "5s", "--meta", "-", stdin=written)
    assert ended.code == 0, ended.err
    assert written in server.calls[-1].body


def test_meta_comes_from_a_file(croft: Run, server: Server, home: Any) -> None:
    server.answers("/job/default/default", OK)
    (home / "meta.json").write_text("null")
    assert croft("timers", "add", "--route", "r", "--in", "5s", "--meta", "@meta.json").code == 0
    assert server.body["meta"] is None


@pytest.mark.parametrize(
    ("id", "path"),
    [
        ("a/b", "a%2Fb"),
        ("a.b:c_d", "a.b%3Ac_d"),
        ("%2F", "%252F"),
        ("zeit ü?#", "zeit%20%C3%BC%3F%23"),
        ("…", "%E2%80%A6"),
    ],
)
def test_ids_are_one_segment_of_the_path(id: str, path: str, croft: Run, server: Server) -> None:
    server.answers(f"/job/default/default/{path}", OK)
    assert croft("timers", "remove", id).code == 0
    assert server.asked == f"DELETE /job/default/default/{path}"


def test_show(croft: Run, server: Server) -> None:
    last = {"at": 1_900_000_000_000, "took_ms": 12, "status": 503, "error": None}
    more = {"state": "retrying", "attempts": 1, "last_outcome": last, "next_attempt": 1_900_000_005_000, "reason": None}
    server.answers("/job/default/default/order-7", {**JOB, **more})
    shown = croft("timers", "show", "order-7", "--detail").out
    assert server.asked == "GET /job/default/default/order-7?detail=1"
    assert "2030-05-01 07:00:00.000 +00:00" in shown or "2030-05-01" in shown
    assert "answered 503" in shown
    assert '"order": 7' in shown
    assert "Reason" not in shown
    assert croft("timers", "show", "order-7", "--json").json["state"] == "retrying"
    assert server.asked == "GET /job/default/default/order-7"


def test_list_with_filters_shows_one_page_and_says_that_there_is_more(croft: Run, server: Server) -> None:
    server.answers("/job/default/orders", {"jobs": [LISTED], "cursor": "c1"})
    ended = croft("timers", "list", "-c", "orders", "--state", "scheduled", "--after", "1903849200", "--route", "r")
    assert server.asked == "GET /job/default/orders?state=scheduled&after=1903849200000&route=r&limit=100"
    assert "order-7" in ended.out
    assert '{"order":7}' in ended.out
    assert "--all" in ended.err


def test_list_all_follows_the_cursors(croft: Run, server: Server) -> None:
    pages = [{"jobs": [{**LISTED, "id": f"{n}"}], "cursor": f"a+b/{n}" if n < 3 else None} for n in (1, 2, 3)]
    server.answers("/job/default/default", *pages, *pages)
    ended = croft("timers", "list", "--all", "--json")
    assert [line[:9] for line in ended.out.splitlines()] == ['{"id":"1"', '{"id":"2"', '{"id":"3"']
    assert [call.query for call in server.calls] == [
        "limit=100",
        "limit=100&cursor=a%2Bb%2F1",
        "limit=100&cursor=a%2Bb%2F2",
    ]


def test_list_as_json_is_the_reply(croft: Run, server: Server) -> None:
    reply = {"jobs": [LISTED], "cursor": "c1"}
    server.answers("/job/default/default", reply)
    ended = croft("timers", "list", "--json")
    assert ended.json == reply
    assert ended.err == ""


def test_move_and_change_send_only_what_changes(croft: Run, server: Server) -> None:
    server.answers("/job/default/default/x", OK)
    assert croft("timers", "move", "x", "--in", "10m").code == 0
    assert server.asked == "PUT /job/default/default/x"
    assert set(server.body) == {"trigger_time"}
    assert near(server.body["trigger_time"], 600)
    assert croft("timers", "change", "x", "--route", "r2", "--meta", "[1]", "--retries", "none").code == 0
    assert server.body == {"route": "r2", "meta": [1], "retries": []}


def test_attempts(croft: Run, server: Server) -> None:
    attempt = {
        "attempt": 1,
        "started_at": 1_900_000_000_000,
        "took_ms": 1_500,
        "status": 503,
        "error": None,
        "reply": "busy",
    }
    server.answers("/job/default/default/x/attempts", {"attempts": [attempt], "cursor": None})
    shown = croft("timers", "attempts", "x").out
    for part in ("1s500ms", "503", "busy"):
        assert part in shown


def test_pause_and_resume_a_collection(croft: Run, server: Server) -> None:
    server.answers("/collection/default/orders/pause", OK)
    server.answers("/collection/default/orders/resume", OK)
    assert croft("timers", "pause", "-c", "orders").code == 0
    assert croft("timers", "resume", "-c", "orders", "--json").json == OK
    assert [call.method + call.path for call in server.calls] == [
        "POST/collection/default/orders/pause",
        "POST/collection/default/orders/resume",
    ]


def test_route_add(croft: Run, server: Server) -> None:
    server.answers("/route/default", {"status": "ok", "secret": "whsec_abc"})
    flags = ["--header", "X-Key: a:b", "--header", "Y:", "--timeout", "1m", "--retries", "5,30", "--method", "put"]
    ended = croft(
        "timers", "route", "add", "hello", "x.example/h?a=1", "--secret", *flags, "--concurrency", 3, "--rate", 9
    )
    assert ended.code == 0, ended.err
    assert "whsec_abc" in ended.out
    assert server.asked == "POST /route/default"
    assert server.body == {
        "id": "hello", "type": "REST", "webhook_url": "x.example/h?a=1", "secret": True, "method": "PUT",
        "headers": {"X-Key": "a:b", "Y": ""}, "timeout": 60, "retries": [5, 30], "concurrency": 3, "rate": 9,
    }  # fmt: skip


def test_route_add_says_when_the_secret_stays(croft: Run, server: Server) -> None:
    server.answers("/route/default", OK)
    ended = croft("timers", "route", "add", "hello", "http://x", "--secret")
    assert "croft timers route change hello --secret" in ended.out
    assert croft("timers", "route", "add", "hello", "http://x", "--json").json == OK
    assert server.body == {"id": "hello", "type": "REST", "webhook_url": "http://x"}


def test_route_change_remove_pause_resume(croft: Run, server: Server) -> None:
    for path in ("/route/d/h", "/route/d/h/pause", "/route/d/h/resume"):
        server.answers(path, OK)
    assert croft("timers", "route", "change", "h", "--db", "d", "--to", "http://y").code == 0
    assert server.asked == "PUT /route/d/h"
    assert server.body == {"webhook_url": "http://y"}
    assert croft("timers", "route", "remove", "h", "--db", "d", "--force").code == 0
    assert server.asked == "DELETE /route/d/h?force=1"
    assert croft("timers", "route", "pause", "h", "--db", "d").code == 0
    assert croft("timers", "route", "resume", "h", "--db", "d").code == 0
    assert server.asked == "POST /route/d/h/resume"


def test_route_show_and_list(croft: Run, server: Server) -> None:
    route = {
        "id": "h", "type": "REST", "webhook_url": "http://x/h", "secret": True, "headers": {"X-A": "b"},
        "timeout": 15.0,
        "retries": [5, 90], "concurrency": 32, "rate": None, "paused": True, "pause_reason": "gone", "method": "POST",
    }  # fmt: skip
    server.answers("/route/default/h", route)
    shown = croft("timers", "route", "show", "h").out
    assert server.asked == "GET /route/default/h?detail=1"
    for part in ("POST http://x/h", "gone", "X-A: b", "15s", "5s, 1m30s", "Signed"):
        assert part in shown
    server.answers("/route/default", {"routes": [route], "cursor": None})
    assert "http://x/h" in croft("timers", "route", "list").out
    assert croft("timers", "route", "list", "--all", "--json").json == route


def test_remove_all_and_move_all(croft: Run, server: Server) -> None:
    path = "/job/default/orders"
    server.answers(path, {"status": "ok", "deleted": 3, "in_flight": 1})
    ended = croft("timers", "remove-all", "-c", "orders", "--before", "1903849200", "--yes")
    assert server.asked == "DELETE /job/default/orders?before=1903849200000"
    assert "Removed: 3. 1 are being delivered" in ended.out
    assert croft("timers", "remove-all", "-c", "orders", "--yes").code == 0
    assert server.asked == "DELETE /job/default/orders?all=1"
    server.answers(path, {"status": "ok", "moved": 2})
    assert croft("timers", "move-all", "-c", "orders", "--shift", "-1h30m", "--state", "pending").out == "Moved: 2.\n"
    assert server.asked == "PATCH /job/default/orders?state=pending"
    assert server.body == {"shift_ms": -5_400_000}
    assert croft("timers", "move-all", "-c", "orders", "--at", "1903849200").code == 0
    assert server.asked == "PATCH /job/default/orders?all=1"
    assert server.body == {"trigger_time": 1_903_849_200_000}


def test_dead_letters(croft: Run, server: Server) -> None:
    dead = {**JOB, "collection": "orders", "attempts": 9, "died_at": 1_900_000_000_000, "reason": "answered 503"}
    server.answers("/dead/default", {"jobs": [dead], "cursor": None})
    assert "answered 503" in croft("timers", "dead", "list", "-c", "orders", "-r", "r").out
    assert server.asked == "GET /dead/default?collection=orders&route=r&limit=100"
    server.answers("/dead/default/replay", {"status": "ok", "replayed": 2})
    assert croft("timers", "dead", "replay", "a", "b/c", "-c", "orders").out == "Sent again: 2.\n"
    assert server.body == {"ids": ["a", "b/c"], "collection": "orders"}
    croft("timers", "dead", "replay", "--from", "1900000000", "--to", "1900000001", "--route", "r")
    assert server.body == {"from": 1_900_000_000_000, "to": 1_900_000_001_000, "route": "r"}
    croft("timers", "dead", "replay", "--all")
    assert server.body == {"from": 0}
