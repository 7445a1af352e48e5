"""The document's examples, word by word: three entries over real folders, every answer with its keys in their order."""

from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.families.sync.example import Example, refused, worker_pid
from tests.services.croft import Croft
from tests.services.waiting import wait_until
from undercroft.families.sync.names import fid_of

RULES = {
    "rules": [
        {"match": {"path": "/toto"}, "sync": ["A", "B", "C"]},
        {"match": {"path": "/photos/", "mime": ["image/jpeg"]}, "sync": ["A", "B"]},
    ]
}


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Started in the folder in which `example/A` is, as the document has it."""
    folder = tmp_path_factory.mktemp("seed")
    croft = Croft(folder / "croft")
    croft.start()
    try:
        yield Example(croft, folder / "example", ("A", "B", "C"))
    finally:
        croft.stop()
        croft.close()


def test_files(seed: Example) -> None:
    """`toto` is at A and C and not yet at B, which does not run; the photograph is where it should be."""
    seed.share(RULES)
    seed.write("A", "photos/foo.jpg", b"y" * 12_345)
    seed.wait_for("photos/foo.jpg", ["A", "B"], 12_345)
    assert seed.call("PUT", "/entries/B/stop").status_code == 200
    seed.write("A", "toto", b"x" * 256)
    seed.wait_for("toto", ["A", "C"], 256)
    photo = {
        "fid": "0fe87082-01a2-5468-83f6-6171eb061fe4", "filename": "photos/foo.jpg", "size": 12_345,
        "owners": ["A", "B"], "uptodate": ["A", "B"], "mimetype": "image/jpeg",
    }  # fmt: skip
    toto = {
        "fid": "91473751-8e49-5240-b03c-96547fcd86dc", "filename": "toto", "size": 256,
        "owners": ["A", "B", "C"], "uptodate": ["A", "C"], "mimetype": "application/octet-stream",
    }  # fmt: skip
    found = seed.get("/files")
    assert found == {"files": [photo, toto]}
    assert [list(file) for file in found["files"]] == [list(photo)] * 2
    for file in (photo, toto):
        assert list(seed.get(f"/files/{file['fid']}/metadata").items()) == list(file.items())
    assert seed.get("/files?state=behind") == {"files": [toto]}
    assert seed.get("/files?entry=C") == {"files": [toto]}
    assert seed.call("PUT", "/entries/B/start").status_code == 200
    seed.wait_for("toto", ["A", "B", "C"], 256)


def test_a_name_has_one_id_whatever_becomes_of_the_file(seed: Example) -> None:
    """Changed, deleted, made anew elsewhere; another name is another id."""
    seed.share(RULES)
    for entry, content in (("A", b"1"), ("B", b"22")):
        seed.write(entry, "toto", content)
        seed.wait_for("toto", ["A", "B", "C"], len(content))
        assert seed.file("toto")["fid"] == "91473751-8e49-5240-b03c-96547fcd86dc"
    (seed.folder / "C/toto").rename(seed.folder / "C/toto2")
    wait_until(lambda: seed.file("toto2").get("fid") == fid_of("toto2"), "the new name")
    wait_until(lambda: not (seed.folder / "A/toto").exists(), "the old one to go")
    refused(seed.call("GET", f"/files/{fid_of('toto')}/metadata"), 404, f"file {fid_of('toto')} not found")
    seed.write("B", "toto", b"333")
    seed.wait_for("toto", ["A", "B", "C"], 3)


def test_entries(seed: Example) -> None:
    listed = seed.get("/entries")
    assert list(listed) == ["entries"]
    assert [entry["name"] for entry in listed["entries"]] == ["A", "B", "C"]
    for entry in listed["entries"]:
        one = {"name": entry["name"], "driver": "local_storage", "options": {"root": str(seed.folder / entry["name"])}}
        assert list(entry.items()) == list(one.items())
        assert seed.get(f"/entries/{entry['name']}") == one


def test_stop_start_restart_and_status(seed: Example) -> None:
    for verb, status, reason in (
        ("stop", "stopped", "already stopped"), ("start", "active", "already running"), ("restart", "active", None),
    ):  # fmt: skip
        done = seed.call("PUT", f"/entries/A/{verb}", content=b"whatever")
        assert (done.status_code, done.headers["content-type"], done.headers["vary"]) == (
            200,
            "application/json",
            "Accept",
        )
        _is_answer(done.json(), "ok")
        _is_answer(seed.get("/entries/A/status"), status)
        if reason:
            refused(seed.call("PUT", f"/entries/A/{verb}"), 409, f"entry A is {reason}")
            _is_answer(seed.get("/entries/A/status"), status)
    seed.call("PUT", "/entries/A/stop")
    refused(seed.call("PUT", "/entries/A/restart"), 409, "entry A is not running")
    refused(seed.call("GET", "/entries/A/stats"), 409, "entry A is not running")
    _is_answer(seed.get("/entries/A/status"), "stopped")
    assert seed.get("/entries/A")["name"] == "A"
    seed.call("PUT", "/entries/A/start")


def test_the_others_go_on_while_one_is_stopped(seed: Example) -> None:
    """What is done to one name meanwhile comes to it once, as it is in the end."""
    seed.share(RULES)
    seed.call("PUT", "/entries/C/stop")
    for number in range(1, 4):
        seed.write("A", "toto", b"n" * 10 * number)
        seed.wait_for("toto", ["A", "B"], 10 * number)
    assert seed.file("toto")["owners"] == ["A", "B", "C"]
    seed.call("PUT", "/entries/C/start")
    seed.wait_for("toto", ["A", "B", "C"], 30)
    assert (seed.folder / "C/toto").read_bytes() == b"n" * 30


def test_stats(seed: Example) -> None:
    stats = seed.get("/entries/A/stats")
    assert list(stats) == ["info", "name", "status", "time"]
    assert (stats["name"], stats["status"]) == ("A", "ok")
    info = stats["info"]
    assert list(info) == ["age", "cpu", "create_time", "ctime", "mem", "mem_info1", "mem_info2", "started"]
    assert info["age"] == pytest.approx(stats["time"] - info["started"], abs=0.01)
    pid = worker_pid(seed.croft, "A")
    # The system counts from a boot that it knows by the second.
    assert info["create_time"] == pytest.approx(psutil.Process(pid).create_time(), abs=1.5)
    seed.call("PUT", "/entries/A/restart")
    again = seed.get("/entries/A/stats")["info"]
    assert worker_pid(seed.croft, "A") != pid, "times can be equal: a process may live for less than a tick"
    assert again["started"] >= info["started"]


def test_openapi_has_the_keys_of_these_answers(seed: Example) -> None:
    document = seed.croft.http.get("/openapi.json").json()
    fid = fid_of("toto")
    for path, asked in {
        "/files": "/files", "/files/{fid}/metadata": f"/files/{fid}/metadata", "/entries": "/entries",
        "/files/{fid}/versions": f"/files/{fid}/versions", "/entries/{name}": "/entries/A",
        "/entries/{name}/stats": "/entries/A/stats", "/entries/{name}/status": "/entries/A/status",
        "/entries/{name}/progress": "/entries/A/progress", "/rules": "/rules", "/transfers": "/transfers",
        "/conflicts": "/conflicts",
    }.items():  # fmt: skip
        answers = document["paths"][f"/api/v1.0{path}"]["get"]["responses"]
        assert {"200", "400", "401", "403", "404", "409", "503"} <= set(answers)
        _has_keys(seed.get(asked), answers["200"]["content"]["application/json"]["schema"], document)
        problem = {"status": "error", "reason": "why"}
        _has_keys(problem, answers["404"]["content"]["application/json"]["schema"], document)
    assert {"200", "206", "416"} <= set(document["paths"]["/api/v1.0/files/{fid}/content"]["get"]["responses"])


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/stats"), ("GET", "/status"), ("PUT", "/stop"), ("PUT", "/start"), ("PUT", "/restart"),
     ("GET", "/progress"), ("PUT", "/rescan"), ("DELETE", "")],
)  # fmt: skip
def test_an_unknown_entry(seed: Example, method: str, path: str) -> None:
    answer = seed.call(method, f"/entries/nobody{path}")
    refused(answer, 404, "entry nobody not found")
    assert (answer.headers["content-type"], answer.headers["vary"]) == ("application/json", "Accept")
    assert list(answer.json()) == ["status", "reason"]


def _is_answer(body: Any, status: str) -> None:
    assert list(body) == ["name", "status", "time"]
    assert (body["name"], body["status"]) == ("A", status)
    assert isinstance(body["time"], float)


def _has_keys(value: Any, schema: Any, document: Any) -> None:
    """What is there is described, and what is promised is there, all the way down."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            _has_keys(item, schema["items"], document)
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema["required"]) <= set(value) <= set(schema["properties"])
        for name, inner in value.items():
            _has_keys(inner, schema["properties"][name], document)
