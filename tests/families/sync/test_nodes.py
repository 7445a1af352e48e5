"""Two nodes on one PostgreSQL: one runs the entries, the other says so, and takes over when that one is killed."""

import os
from collections.abc import Callable
from pathlib import Path

from tests.services.croft import Croft
from tests.services.waiting import wait_until

API = "/api/v1.0"


def test_another_node_takes_the_entries_over(
    postgres_url: str, start_croft: Callable[..., Croft], tmp_path: Path
) -> None:
    environment = {"UNDERCROFT_DATABASE": postgres_url}
    one = start_croft(environment=environment)
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
        entry = {"name": name, "driver": "local_storage", "options": {"root": str(tmp_path / name)}}
        assert one.http.post(API + "/entries", json=entry).status_code == 201
    other = start_croft(environment=environment)
    rules = {"rules": [{"match": {"path": "/"}, "sync": ["A", "B"]}]}
    assert other.http.put(API + "/rules", json=rules).json() == {"status": "ok"}
    assert one.http.put(API + "/rules/reload").json() == {"status": "ok"}
    wait_until(lambda: other.http.get(API + "/entries/A/status").json()["status"] == "active", "A to run, seen there")
    for method, path in (
        ("PUT", "/entries/A/stop"), ("PUT", "/rules/reload"), ("PUT", "/entries/A/rescan"), ("GET", "/entries/A/stats"),
    ):  # fmt: skip
        answer = other.http.request(method, API + path)
        assert answer.status_code == 503
        assert answer.json() == {"status": "error", "reason": "the entries run on another node; ask that one"}
    for name in ("first", "stays"):  # a root that is found empty would wait for a confirmation
        (tmp_path / "A" / name).write_bytes(b"1")
    wait_until(lambda: _uptodate(other) == [["A", "B"]] * 2, "the files at B, told by the other node")
    options = {"root": str(tmp_path / "B"), "bandwidth": 1_000_000}
    assert one.http.put(API + "/entries/B", json={"options": options}).status_code == 200
    large = os.urandom(4_000_000)
    (tmp_path / "A/large").write_bytes(large)
    wait_until(lambda: bool(one.http.get(API + "/transfers").json()["transfers"]), "a large one to be on its way")
    one.kill()
    assert not (tmp_path / "B/large").exists()
    (tmp_path / "A/second").write_bytes(b"2")
    (tmp_path / "B/first").unlink()
    wait_until((tmp_path / "B/second").exists, "the file at B, by the other node", 60)
    wait_until(lambda: not (tmp_path / "A/first").exists(), "the deletion at A")
    wait_until((tmp_path / "B/large").exists, "the large one, whole", 30)
    assert (tmp_path / "B/large").read_bytes() == large
    assert other.http.put(API + "/entries/A/restart").json()["status"] == "ok"
    other.kill()
    other.start()
    assert other.http.put(API + "/entries/A/restart").json()["status"] == "ok", "it does not wait for itself"


def _uptodate(croft: Croft) -> list[list[str]]:
    return [file["uptodate"] for file in croft.http.get(API + "/files").json()["files"]]
