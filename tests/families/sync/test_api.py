"""The API of the document, over HTTP, with entries that are real processes."""

import os
import signal
from collections.abc import Callable

import httpx

from tests.families.sync.example import API, Example, refused, worker_pid
from tests.services.croft import Croft
from tests.services.waiting import wait_until
from undercroft.families.sync.names import fid_of


def test_entries_are_those_of_the_document(example: Example) -> None:
    listed = example.get("/entries")["entries"]
    assert [list(entry) for entry in listed] == [["name", "driver", "options"]] * 2
    assert listed[0] == example.get("/entries/A")
    assert listed[0]["options"] == {"root": str(example.folder / "A")}
    refused(example.call("GET", "/entries/C"), 404, "entry C not found")


def test_files_and_their_metadata(example: Example) -> None:
    example.share()
    example.write("A", "toto", b"x" * 256)
    example.write("B", "photos/foo.jpg", b"y" * 12_345)
    example.wait_for("toto", ["A", "B"], 256)
    example.wait_for("photos/foo.jpg", ["A", "B"], 12_345)
    assert example.file("photos/foo.jpg") == {
        "fid": "0fe87082-01a2-5468-83f6-6171eb061fe4",
        "filename": "photos/foo.jpg",
        "size": 12_345,
        "owners": ["A", "B"],
        "uptodate": ["A", "B"],
        "mimetype": "image/jpeg",
    }
    files = example.get("/files")["files"]
    assert [file["fid"] for file in files] == sorted(file["fid"] for file in files)
    assert example.get("/files?offset=1&limit=1")["files"] == files[1:2]
    assert example.get("/files?limit=0")["files"] == example.get("/files?offset=999")["files"] == []
    assert example.get("/files?q=FOO")["files"] == [example.file("photos/foo.jpg")]
    assert example.call("GET", "/files?limit=-1").status_code == 400
    assert example.call("GET", "/files?offset=x").status_code == 400
    refused(example.call("GET", "/files/non-valid-id/metadata"), 404, "file non-valid-id not found")
    content = example.call("GET", f"/files/{fid_of('toto')}/content")
    assert content.content == b"x" * 256
    part = example.call("GET", f"/files/{fid_of('photos/foo.jpg')}/content", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, b"y" * 10)
    assert part.headers["content-range"] == "bytes 10-19/12345"
    for asked, status, told in (
        ("bytes=-0", 416, "bytes */256"), ("bytes=-1", 206, "bytes 255-255/256"),
        ("bytes=-999", 206, "bytes 0-255/256"), ("bytes=256-", 416, "bytes */256"),
        ("bytes=999-1999", 416, "bytes */256"), ("bytes=255-", 206, "bytes 255-255/256"),
        ("bytes=5-2", 200, None), ("bytes=999-5", 200, None),
    ):  # fmt: skip
        answer = example.call("GET", f"/files/{fid_of('toto')}/content", headers={"Range": asked})
        assert (answer.status_code, answer.headers.get("content-range")) == (status, told), asked
    example.write("A", "nothing", b"")
    example.wait_for("nothing", ["A", "B"], 0)
    for asked in ("bytes=-5", "bytes=0-", "bytes=7-"):
        nothing = example.call("GET", f"/files/{fid_of('nothing')}/content", headers={"Range": asked})
        assert (nothing.status_code, nothing.content) == (200, b""), asked


def test_start_stop_and_restart_are_of_real_processes(example: Example) -> None:
    refused(example.call("PUT", "/entries/A/start"), 409, "entry A is already running")
    stopped = example.call("PUT", "/entries/A/stop").json()
    assert list(stopped) == ["name", "status", "time"]
    assert (stopped["name"], stopped["status"]) == ("A", "ok")
    assert example.get("/entries/A/status")["status"] == "stopped"
    refused(example.call("PUT", "/entries/A/stop"), 409, "entry A is already stopped")
    refused(example.call("PUT", "/entries/A/restart"), 409, "entry A is not running")
    refused(example.call("GET", "/entries/A/stats"), 409, "entry A is not running")
    assert example.call("PUT", "/entries/A/start").json()["status"] == "ok"
    before = example.get("/entries/A/stats")["info"]
    assert list(before) == ["age", "cpu", "create_time", "ctime", "mem", "mem_info1", "mem_info2", "started"]
    pid = worker_pid(example.croft, "A")
    assert example.call("PUT", "/entries/A/restart").json()["status"] == "ok"
    # Times can be equal: a process may live for less than a tick of the system.
    assert worker_pid(example.croft, "A") != pid
    assert example.get("/entries/A/stats")["info"]["create_time"] >= before["create_time"]
    for verb in ("start", "stop", "restart"):
        refused(example.call("PUT", f"/entries/C/{verb}"), 404, "entry C not found")
    refused(example.call("GET", "/entries/C/stats"), 404, "entry C not found")
    refused(example.call("GET", "/entries/C/status"), 404, "entry C not found")


def test_a_killed_entry_is_back_and_its_files_are_whole(example: Example) -> None:
    example.share()
    content = os.urandom(30_000_000)
    pid = worker_pid(example.croft, "B")
    example.write("A", "large", content)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _is_another(example, pid), "a new process")
    example.wait_for("large", ["A", "B"], len(content))
    assert (example.folder / "B/large").read_bytes() == content


def test_what_is_deleted_can_be_restored(example: Example) -> None:
    example.share()
    example.write("A", "precious", b"gold")
    example.wait_for("precious", ["A", "B"], 4)
    (example.folder / "A/precious").unlink()
    versions = f"/files/{fid_of('precious')}/versions"
    wait_until(lambda: bool(example.call("GET", versions).json().get("versions")), "what was deleted at B")
    assert not (example.folder / "B/precious").exists()
    [kept] = example.get(versions)["versions"]
    assert (kept["entry"], kept["size"]) == ("B", 4)
    back = example.call("POST", f"/files/{fid_of('precious')}/restore", json={"version": kept["id"]})
    assert back.json() == {"status": "ok"}
    wait_until((example.folder / "A/precious").exists, "the file at A")
    assert (example.folder / "A/precious").read_bytes() == b"gold"
    [event] = example.croft.http.get("/undercroft/events?family=sync&limit=1").json()["events"]
    assert (event["action"], event["subject"]) == ("restore file", "precious")


def test_who_did_what_is_written_down(example: Example) -> None:
    example.share()
    example.call("PUT", "/rules/reload")
    example.call("PUT", "/entries/B/restart")
    extra = {"name": "extra", "driver": "local_storage", "options": {"root": str(example.folder / "extra")}}
    (example.folder / "extra").mkdir()
    assert example.call("POST", "/entries", json=extra).status_code == 201
    options = {"options": {"root": str(example.folder / "extra"), "keep_versions": 1}}
    assert example.call("PUT", "/entries/extra", json=options).status_code == 200
    assert example.call("PUT", "/entries/extra/stop").status_code == 200
    assert example.call("PUT", "/entries/extra/start").status_code == 200
    assert example.call("POST", "/entries/extra/deletions", json={"confirm": True}).json()["files"] == 0
    assert example.call("DELETE", "/entries/extra").status_code == 200
    assert example.call("DELETE", "/entries/extra").status_code == 404
    found = example.croft.http.get("/undercroft/events?family=sync&limit=100").json()["events"]
    told = [(event["actor"], event["action"], event["subject"]) for event in found[::-1]]
    me = "admin@localhost"
    assert told[-7:] == [
        (me, "restart entry", "B"), (me, "add entry", "extra"), (me, "change entry", "extra"),
        (me, "stop entry", "extra"), (me, "start entry", "extra"), (me, "confirm deletions", "extra"),
        (me, "remove entry", "extra"),
    ]  # fmt: skip
    assert (me, "change rules", "rules") in told
    assert str(example.folder) not in str(found), "of options their names alone"


def test_who_may(example: Example, start_croft: Callable[..., Croft]) -> None:
    without = httpx.get(example.croft.url + API + "/files", trust_env=False)
    assert without.status_code == 401
    assert set(without.json()) == {"status", "reason"}
    opened = start_croft(environment={"UNDERCROFT_ANONYMOUS": "sync"})
    assert httpx.get(opened.url + API + "/files", trust_env=False).json() == {"files": []}
    entry = {"name": "x", "driver": "local_storage", "options": {"root": "/"}}
    assert httpx.post(opened.url + API + "/entries", json=entry, trust_env=False).status_code == 403


def test_the_server_stops_with_its_entries_and_catches_up(example: Example) -> None:
    """Last: it stops the server."""
    example.share()
    example.croft.stop()
    example.write("A", "while-away", b"1")
    (example.folder / "B/toto").unlink()
    example.croft.start()
    example.wait_for("while-away", ["A", "B"], 1)
    wait_until(lambda: not (example.folder / "A/toto").exists(), "the deletion at A")
    example.croft.kill()
    example.write("B", "while-killed", b"12")
    example.croft.start()
    example.wait_for("while-killed", ["A", "B"], 2)


def _is_another(example: Example, pid: int) -> bool:
    try:
        return worker_pid(example.croft, "B") != pid
    except LookupError:
        return False
