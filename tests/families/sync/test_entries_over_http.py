"""Entries over HTTP: which can be, what becomes of their options, what runs and what does not."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.families.sync.example import Example, refused
from tests.services.waiting import wait_until

BUCKET = {"bucket": "b", "aws_access_key": "k", "aws_secret_key": "s"}


@pytest.mark.parametrize("root", ["/", "example", "example/A", "example/A/inner", "croft/data"])
def test_roots_stand_apart(example: Example, root: str) -> None:
    entry = {"name": "x", "driver": "local_storage", "options": {"root": str(example.folder.parent / root)}}
    answer = example.call("POST", "/entries", json=entry)
    assert answer.status_code == 400
    assert "a folder apart" in answer.json()["reason"]


@pytest.mark.parametrize("root", ["/proc", "/proc/self", "/sys/kernel", "/dev", "/etc", "/etc/../etc/", "link"])
def test_the_systems_own_folders_are_no_roots(example: Example, tmp_path: Path, root: str) -> None:
    (tmp_path / "link").symlink_to("/dev")
    entry = {"name": "x", "driver": "local_storage", "options": {"root": str(tmp_path / root)}}
    answer = example.call("POST", "/entries", json=entry)
    assert answer.status_code == 400
    assert "the system's own" in answer.json()["reason"]
    assert len(example.get("/entries")["entries"]) == 2


@pytest.mark.parametrize(
    "body",
    [{"name": "A", "driver": "local_storage", "options": {"root": "/tmp"}}, {"name": "", "driver": "local_storage"},
     {"name": "a:b", "driver": "local_storage", "options": {"root": "/tmp"}}, {"name": "x", "driver": "floppy"},
     {"name": "x", "driver": "local_storage"}, {"name": "x", "driver": "local_storage", "options": {"root": 1}},
     {"name": "x", "driver": "local_storage", "options": {"root": "/tmp", "more": 1}},
     {"name": "x" * 10_000, "driver": "local_storage", "options": {"root": "/tmp"}},
     {"name": "x", "driver": "local_storage", "options": {"root": "/a\x00b"}}],
)  # fmt: skip
def test_wrong_entries_are_refused(example: Example, body: Any) -> None:
    answer = example.call("POST", "/entries", content=json.dumps(body))
    assert answer.status_code in (400, 409)
    assert answer.json()["status"] == "error"
    assert len(example.get("/entries")["entries"]) == 2


@pytest.mark.parametrize(
    ("driver", "options", "reason"),
    [
        ("local_storage", {}, "local_storage needs the option 'root'"),
        ("sftp", {"hostname": "h"}, "sftp needs the option 'username'"),
        ("webdav", {"root": "x"}, "webdav needs the option 'hostname'"),
        ("amazon_s3", {"bucket": "b", "aws_access_key": "k"}, "amazon_s3 needs the option 'aws_secret_key'"),
        ("local_storage", {"root": "/x", "rot": 1}, "local_storage has no option 'rot'; it has root, ignore, bandwidth,"
         " chunk_size, delete_share, keep_versions, keep_bytes"),
        ("local_storage", {"root": 7}, "the option 'root' is a text"),
        ("local_storage", {"root": "/x", "bandwidth": "1"}, "the option 'bandwidth' is a whole number"),
        ("local_storage", {"root": "/x", "bandwidth": 1.5}, "the option 'bandwidth' is a whole number"),
        ("local_storage", {"root": "/x", "chunk_size": True}, "the option 'chunk_size' is a whole number"),
        ("local_storage", {"root": "/x", "delete_share": None}, "the option 'delete_share' is a number"),
        ("local_storage", {"root": "/x", "ignore": "*.tmp"}, "the option 'ignore' is a list of texts"),
        ("local_storage", {"root": "/x", "keep_bytes": 0.5}, "the option 'keep_bytes' is a whole number"),
        ("local_storage", {"root": "/x", "keep_bytes": 2**60}, f"the option 'keep_bytes' is 0 to {2**50}"),
        ("amazon_s3", {**BUCKET, "path_style": 1}, "the option 'path_style' is true or false"),
        ("sftp", {"hostname": "h", "username": "u", "port": 0}, "the option 'port' is 1 to 65535"),
        ("floppy", {}, "there is no driver 'floppy'; there are amazon_s3, dropbox, local_storage, sftp, webdav"),
    ],
)  # fmt: skip
def test_options_are_checked_against_the_driver(example: Example, driver: str, options: Any, reason: str) -> None:
    answer = example.call("POST", "/entries", json={"name": "x", "driver": driver, "options": options})
    refused(answer, 400, reason + ("; this value can't be used" if " is a " in reason or " is true " in reason else ""))
    assert [entry["name"] for entry in example.get("/entries")["entries"]] == ["A", "B"]


def test_changed_options_count_at_once_and_what_was_kept_hidden_stays(example: Example) -> None:
    root = str(example.folder / "A")
    wrong = example.call("PUT", "/entries/A", json={"options": {"root": root, "bandwidth": "much"}})
    assert wrong.status_code == 400
    refused(example.call("PUT", "/entries/C", json={"options": {"root": root}}), 404, "entry C not found")
    assert example.get("/entries/A")["options"] == {"root": root}
    changed = example.call("PUT", "/entries/A", json={"options": {"root": root, "ignore": ["*.tmp"]}})
    assert changed.json() == example.get("/entries/A")
    assert changed.json()["options"] == {"root": root, "ignore": ["*.tmp"]}
    assert example.call("PUT", "/entries/A", json=changed.json()).json() == changed.json(), "what was fetched"
    for other in ({"name": "B"}, {"driver": "sftp"}):
        answer = example.call("PUT", "/entries/A", json={**changed.json(), **other, "options": {"root": root}})
        refused(answer, 400, "an entry's name and driver stay; remove it, and add one that has others")
    assert example.get("/entries/A") == changed.json()
    example.share()
    example.write("A", "left.tmp", b"1")
    example.write("A", "taken.txt", b"1")
    example.wait_for("taken.txt", ["A", "B"], 1)
    assert not (example.folder / "B/left.tmp").exists()
    secret = {"hostname": "127.0.0.1", "port": 9, "username": "u", "password": "hidden from all"}
    added = example.call("POST", "/entries", json={"name": "far", "driver": "sftp", "options": secret})
    assert added.json()["options"] == {**secret, "password": "***"}
    back = example.call("PUT", "/entries/far", json={"options": {**added.json()["options"], "bandwidth": 9}})
    assert back.json()["options"] == {**secret, "password": "***", "bandwidth": 9}
    assert "hidden from all" not in example.call("GET", "/entries").text + example.croft.log.read_text()
    assert example.call("DELETE", "/entries/far").json() == {"status": "ok"}
    example.call("PUT", "/entries/A", json={"options": {"root": root}})


@pytest.mark.parametrize("root", ["file", "file/below", "x" * 300, "loop"])
def test_a_root_that_can_be_no_folder_is_refused(example: Example, tmp_path: Path, root: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    entry = {"name": "x", "driver": "local_storage", "options": {"root": str(tmp_path / root)}}
    answer = example.call("POST", "/entries", json=entry)
    assert answer.status_code == 400
    assert "folder" in answer.json()["reason"]
    assert len(answer.text) < 400
    refused(example.call("GET", "/entries/x"), 404, "entry x not found")


def test_a_root_that_is_not_there_stops_its_entry_with_a_reason(example: Example) -> None:
    root = example.folder / "missing"
    entry = {"name": "late", "driver": "local_storage", "options": {"root": str(root)}}
    assert example.call("POST", "/entries", json=entry).status_code == 201
    wait_until(lambda: example.get("/entries/late/status")["status"] == "stopped", "it to stop")
    assert str(root) in example.get("/entries/late/status")["reason"]
    refused(example.call("GET", "/entries/late/stats"), 409, "entry late is not running")
    assert example.get("/entries/A/status")["status"] == "active"
    root.mkdir()
    assert example.call("PUT", "/entries/late/start").json()["status"] == "ok"
    wait_until(lambda: example.get("/entries/late/progress")["scanned_at"] is not None, "it to have looked")
    assert list(example.get("/entries/late/status")) == ["name", "status", "time"], "no reason any more"
    assert example.call("DELETE", "/entries/late").status_code == 200
    assert root.is_dir()


def test_an_entry_that_a_rule_names_stays(example: Example) -> None:
    example.share()
    refused(
        example.call("DELETE", "/entries/B"), 409,
        "entry B is named by a rule; take it out and reload the rules first",
    )  # fmt: skip
    assert example.get("/entries/B/status")["status"] == "active"


def test_progress_and_what_is_left_alone(example: Example) -> None:
    example.share()
    example.write("A", "seen", b"1")
    example.wait_for("seen", ["A", "B"], 1)
    (example.folder / "A/link").symlink_to("seen")
    assert example.call("PUT", "/entries/A/rescan").json()["status"] == "ok"
    wait_until(lambda: example.get("/entries/A/progress")["skipped_count"] == 1, "the link to be found")
    progress = example.get("/entries/A/progress")
    assert list(progress) == [
        "name", "files", "behind", "held", "skipped_count", "skipped", "failed", "scanned_at", "away",
        "kept_bytes", "drops_early",
    ]  # fmt: skip
    assert progress["skipped"][0][0] == "link"
    assert (progress["behind"], progress["held"], progress["failed"], progress["away"]) == (0, 0, {}, None)
    assert progress["files"] == len(example.get("/files?entry=A&limit=1000")["files"])
    (example.folder / "A/link").unlink()


def test_a_wave_of_deletions_is_counted_whole_and_decided_over_http(example: Example) -> None:
    """More than a page of them: all are told, and all come back."""
    example.share()
    example.call("PUT", "/entries/B/stop")
    names = [f"wave/{number}" for number in range(1_100)]
    for name in names:
        example.write("A", name, b"")
    wait_until(lambda: example.get("/entries/A/progress")["files"] >= 1_100, "all to be seen", 60)
    example.call("PUT", "/entries/A/stop")
    for path in (example.folder / "A/wave").iterdir():
        path.unlink()
    example.call("PUT", "/entries/A/start")
    wait_until(lambda: example.get("/entries/A/progress")["held"] == 1_100, "all to wait", 60)
    example.call("PUT", "/entries/B/start")
    refused(example.call("POST", "/entries/A/deletions", json={}), 400,
            "the body can't be read: Object missing required field `confirm`")  # fmt: skip
    assert example.call("POST", "/entries/A/deletions", json={"confirm": True}).json() == {
        "status": "ok",
        "files": 1_100,
    }
    assert example.get("/entries/A/progress")["held"] == 0
    wait_until(lambda: example.get("/files?q=wave/") == {"files": []}, "them to go", 60)


def test_large_files_on_their_way_are_told(example: Example) -> None:
    example.share()
    root = str(example.folder / "B")
    example.call("PUT", "/entries/B", json={"options": {"root": root, "bandwidth": 1_000_000}})
    example.write("A", "large", b"1" * 30_000_000)
    wait_until(lambda: bool(example.get("/transfers")["transfers"]), "it to be on its way")
    [one] = example.get("/transfers")["transfers"]
    assert list(one) == ["entry", "filename", "done", "size"]
    assert (one["entry"], one["filename"], one["size"]) == ("B", "large", 30_000_000)
    assert 0 <= one["done"] <= one["size"]
    assert example.file("large")["uptodate"] == ["A"]
    assert not (example.folder / "B/large").exists()
    example.call("PUT", "/entries/B", json={"options": {"root": root}})
    example.wait_for("large", ["A", "B"], 30_000_000)
    wait_until(lambda: example.get("/transfers") == {"transfers": []}, "nothing to be on its way")


def test_what_happens_is_told_as_it_happens(example: Example) -> None:
    """Server-sent events, begun by a comment: files that change, entries that come, go, stop and start."""
    example.share()
    with example.croft.http.stream("GET", "/api/v1.0/events") as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        lines = answer.iter_lines()
        assert next(lines) == ": listening"
        example.write("A", "told", b"1")
        assert _next_event(lines, "files", lambda data: data["filenames"] == ["told"])["count"] == 1
        for verb, status in (("stop", "stopped"), ("start", "active"), ("restart", "active")):
            assert example.call("PUT", f"/entries/B/{verb}").status_code == 200
            assert _next_event(lines, "entries", lambda data: True) == {"name": "B", "status": status}
        (example.folder / "B").rename(example.folder / "gone")
        assert _next_event(lines, "entries", lambda data: True) == {"name": "B", "status": "stopped"}
        (example.folder / "D").mkdir()
        options = {"root": str(example.folder / "D")}
        example.call("POST", "/entries", json={"name": "D", "driver": "local_storage", "options": options})
        assert _next_event(lines, "entries", lambda data: True) == {"name": "D", "status": "active"}
        example.call("DELETE", "/entries/D")
        assert _next_event(lines, "entries", lambda data: True) == {"name": "D", "status": "removed"}


def test_who_is_let_in_no_more_hears_nothing_more(example: Example) -> None:
    example.share()
    made = example.croft.http.post("/undercroft/tokens", json={"name": "for a while"}).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    with httpx.stream("GET", f"{example.croft.url}/api/v1.0/events", headers=headers, trust_env=False) as answer:
        lines = answer.iter_lines()
        assert next(lines) == ": listening"
        example.write("A", "before", b"1")
        assert _next_event(lines, "files", lambda data: data["filenames"] == ["before"])
        assert example.croft.http.delete(f"/undercroft/tokens/{made['id']}").status_code == 200
        example.write("A", "secret", b"1")
        assert "secret" not in "".join(lines), "and it has ended"


def _next_event(lines: Iterator[str], kind: str, wanted: Callable[[Any], bool]) -> Any:
    for line in lines:
        if line == f"event: {kind}":
            data = json.loads(next(lines).removeprefix("data: "))
            if wanted(data):
                return data
    raise AssertionError("the stream has ended")
