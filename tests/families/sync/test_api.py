"""The API of the document, over HTTP, with entries that are real processes."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.services.croft import Croft
from tests.services.waiting import wait_until
from undercroft.families.sync.names import fid_of

API = "/api/v1.0"
RULES = {
    "rules": [
        {"match": {"path": "/"}, "sync": ["A"]},
        {"match": {"path": "/backedup/", "mime": ["application/pdf"]}, "sync": ["B"]},
    ]
}


class Example:
    """The document's example: entries A and B in `example/A` and `example/B`."""

    def __init__(self, croft: Croft, folder: Path) -> None:
        self.croft = croft
        self.folder = folder
        for name in ("A", "B"):
            (folder / name).mkdir(parents=True)
            options = {"root": str(folder / name)}
            added = self.call("POST", "/entries", json={"name": name, "driver": "local_storage", "options": options})
            assert added.status_code == 201, added.text
            wait_until(lambda name=name: self.get(f"/entries/{name}/status")["status"] == "active", f"{name} to run")

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.croft.http.request(method, API + path, **more)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["vary"] == "Accept"
        return answer.json()

    def share(self, rules: Any = None) -> None:
        both = {"rules": [{"match": {"path": "/"}, "sync": ["A", "B"]}]}
        assert self.call("PUT", "/rules", json=rules or both).json() == {"status": "ok"}
        assert self.call("PUT", "/rules/reload").json() == {"status": "ok"}

    def write(self, entry: str, name: str, content: bytes) -> None:
        path = self.folder / entry / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def file(self, name: str) -> Any:
        return self.call("GET", f"/files/{fid_of(name)}/metadata").json()

    def wait_for(self, name: str, uptodate: list[str], size: int) -> None:
        wait_until(
            lambda: (f := self.file(name)).get("uptodate") == uptodate and f["size"] == size, f"{name} at {uptodate}"
        )


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("sync")
    croft = Croft(folder / "croft")
    croft.start()
    try:
        yield Example(croft, folder / "example")
    finally:
        croft.stop()
        croft.close()


def refused(answer: httpx.Response, status: int, reason: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json() == {"status": "error", "reason": reason}


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
        ("bytes=-999", 206, "bytes 0-255/256"), ("bytes=256-", 200, None), ("bytes=5-2", 200, None),
    ):  # fmt: skip
        answer = example.call("GET", f"/files/{fid_of('toto')}/content", headers={"Range": asked})
        assert (answer.status_code, answer.headers.get("content-range")) == (status, told), asked
    example.write("A", "nothing", b"")
    example.wait_for("nothing", ["A", "B"], 0)
    nothing = example.call("GET", f"/files/{fid_of('nothing')}/content", headers={"Range": "bytes=-5"})
    assert (nothing.status_code, nothing.content) == (200, b"")


def test_content_is_what_was_listed_or_none(example: Example) -> None:
    example.share()
    example.write("A", "report", b"1" * 1_000)
    example.wait_for("report", ["A", "B"], 1_000)
    for name in ("A", "B"):
        assert example.call("PUT", f"/entries/{name}/stop").status_code == 200
    path = f"/files/{fid_of('report')}/content"
    example.write("A", "report", b"2" * 5)
    whole = example.call("GET", path)
    assert (whole.content, whole.headers["content-length"]) == (b"1" * 1_000, "1000"), "B has it still"
    part = example.call("GET", path, headers={"Range": "bytes=990-"})
    assert (part.content, part.headers["content-length"]) == (b"1" * 10, "10")
    example.write("B", "report", b"3" * 1_000)
    refused(example.call("GET", path), 409, "no entry has this file up to date at this moment")
    for name in ("A", "B"):
        assert example.call("PUT", f"/entries/{name}/start").status_code == 200


def test_content_that_comes_up_short_or_changes_on_its_way_is_broken_off(example: Example) -> None:
    example.share()
    size = 30_000_000
    example.write("A", "long", b"1" * size)
    example.wait_for("long", ["A", "B"], size)
    for name in ("A", "B"):
        assert example.call("PUT", f"/entries/{name}/stop").status_code == 200
    for entry, change in (("A", lambda path: os.truncate(path, 100)), ("B", os.utime)):
        with example.croft.http.stream("GET", f"{API}/files/{fid_of('long')}/content") as answer:
            assert (answer.status_code, answer.headers["content-length"]) == (200, str(size))
            change(example.folder / entry / "long")
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()
    for name in ("A", "B"):
        assert example.call("PUT", f"/entries/{name}/start").status_code == 200


def test_ids_are_computed(example: Example) -> None:
    assert example.get("/files/id/toto") == {"toto": "91473751-8e49-5240-b03c-96547fcd86dc"}
    odd = "ü n,i*c?o!d%41é"
    answer = example.call("GET", "/files/id/" + "".join(f"%{byte:02x}" for byte in odd.encode()))
    assert answer.json() == {odd: fid_of(odd)}


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
    assert example.call("PUT", "/entries/A/restart").json()["status"] == "ok"
    assert example.get("/entries/A/stats")["info"]["create_time"] > before["create_time"]
    for verb in ("start", "stop", "restart"):
        refused(example.call("PUT", f"/entries/C/{verb}"), 404, "entry C not found")
    refused(example.call("GET", "/entries/C/stats"), 404, "entry C not found")
    refused(example.call("GET", "/entries/C/status"), 404, "entry C not found")


def test_rules_are_stored_and_applied_by_reload(example: Example) -> None:
    example.share()
    example.write("A", "backedup/x.pdf", b"pdf")
    example.wait_for("backedup/x.pdf", ["A", "B"], 3)
    assert example.call("PUT", "/rules", json=RULES).json() == {"status": "ok"}
    assert example.get("/rules") == RULES
    example.write("A", "still-both", b"1")
    example.wait_for("still-both", ["A", "B"], 1)
    preview = example.call("POST", "/rules/preview", json=RULES).json()
    assert {"filename": "still-both", "gains": [], "loses": ["B"]} in preview["files"]
    assert example.call("PUT", "/rules/reload").json() == {"status": "ok"}
    assert example.file("still-both")["owners"] == ["A"]
    assert example.file("backedup/x.pdf")["owners"] == ["A", "B"]
    assert (example.folder / "B/still-both").read_bytes() == b"1", "no rule deletes anything"
    example.share()
    assert example.file("still-both")["uptodate"] == ["A", "B"]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"rules": 1}', b'{"rules": [{"match": {}, "sync": ["C"]}]}',
     b'{"rules": [{"match": {"path": 1}, "sync": []}]}', b'{"rules": [{"match": {"path": "x"}, "sync": []}]}',
     b'{"rules": [{"match": {"mime": ["pdf"]}, "sync": []}]}', b'{"rules": [{"sync": []}]}',
     b'{"rules": [{"match": {"path": "/\\u0000"}, "sync": []}]}', b"[" * 50_000],
)  # fmt: skip
def test_wrong_rules_change_nothing(example: Example, body: bytes) -> None:
    before = example.get("/rules")
    answer = example.call("PUT", "/rules", content=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"status", "reason"}
    assert example.get("/rules") == before


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


def test_unknown_paths_and_methods(example: Example) -> None:
    assert example.call("GET", "/nothing").status_code == 404
    assert set(example.call("GET", "/nothing").json()) == {"status", "reason"}
    assert example.call("DELETE", "/files").status_code == 405


def test_a_killed_entry_is_back_and_its_files_are_whole(example: Example) -> None:
    example.share()
    content = os.urandom(30_000_000)
    created = example.get("/entries/B/stats")["info"]["create_time"]
    example.write("A", "large", content)
    pid = next(
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdigit() and _command(process)[-2:] == [str(_socket(example)), "B"]
    )
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _created(example) > created, "a new process")
    example.wait_for("large", ["A", "B"], len(content))
    assert (example.folder / "B/large").read_bytes() == content


def test_what_is_deleted_can_be_restored(example: Example) -> None:
    example.share()
    example.write("A", "precious", b"gold")
    example.wait_for("precious", ["A", "B"], 4)
    (example.folder / "A/precious").unlink()
    versions = f"/files/{fid_of('precious')}/versions"
    wait_until(lambda: bool(example.get(versions)["versions"]), "what was deleted at B")
    assert not (example.folder / "B/precious").exists()
    [kept] = example.get(versions)["versions"]
    assert (kept["entry"], kept["size"]) == ("B", 4)
    back = example.call("POST", f"/files/{fid_of('precious')}/restore", json={"version": kept["id"]})
    assert back.json() == {"status": "ok"}
    wait_until((example.folder / "A/precious").exists, "the file at A")
    assert (example.folder / "A/precious").read_bytes() == b"gold"
    [event] = example.croft.http.get("/undercroft/events?family=sync&limit=1").json()["events"]
    assert (event["action"], event["subject"]) == ("restore file", "precious")


def test_the_roots_lead_to_the_docs(example: Example) -> None:
    for path in ("/api", "/api/", API, API + "/"):
        answer = httpx.get(example.croft.url + path, trust_env=False)
        assert (answer.status_code, answer.headers["location"]) == (302, "/docs")
    assert example.croft.http.get("/docs").status_code == 200


def test_pages_of_other_sites_are_let_in_where_settings_name_them(
    example: Example, start_croft: Callable[..., Croft]
) -> None:
    mine, other = {"Origin": "https://files.example.com"}, {"Origin": "https://evil.example.com"}
    closed = example.call("GET", "/files", headers=mine)
    assert not [name for name in closed.headers if name.startswith("access-control")]
    assert example.call("OPTIONS", "/files", headers=mine).status_code == 405
    opened = start_croft(environment={"UNDERCROFT_SYNC_ORIGINS": "https://files.example.com,https://two.example.com"})
    for method, status in (("OPTIONS", 204), ("GET", 401)):
        answer = httpx.request(method, opened.url + API + "/files", headers=mine, trust_env=False)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == mine["Origin"]
        assert answer.headers["access-control-allow-methods"] == "PUT, GET, POST, DELETE, OPTIONS"
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        assert "Origin" in answer.headers["vary"]
    assert opened.http.get(API + "/files", headers=mine).json() == {"files": []}
    strange = opened.http.get(API + "/files", headers=other)
    assert "access-control-allow-origin" not in strange.headers
    elsewhere = httpx.options(opened.url + "/job/a/b", headers=mine, trust_env=False)
    assert "access-control-allow-origin" not in elsewhere.headers


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


def _socket(example: Example) -> Path:
    return example.croft.data / "sync.sock"


def _command(process: Path) -> list[str]:
    try:
        return (process / "cmdline").read_text().rstrip("\0").split("\0")
    except OSError:
        return []


def _created(example: Example) -> float:
    answer = example.call("GET", "/entries/B/stats")
    return float(answer.json()["info"]["create_time"]) if answer.status_code == 200 else 0.0
