"""`croft sync`, verb by verb, against a real server with real folders; and what a terminal shows of transfers."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.cli.conftest import Ended, Run, Server
from tests.services.croft import Croft
from tests.services.waiting import wait_until
from undercroft.families.sync.names import fid_of

PROGRAM = Path(sys.executable).with_name("croft")
EVERYWHERE = {"rules": [{"match": {"path": "/"}, "sync": ["office", "laptop"]}]}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Croft]:
    server = Croft(tmp_path_factory.mktemp("sync"))
    server.start()
    yield server
    server.stop()
    server.close()


@pytest.fixture
def folders(house: Croft) -> Path:
    folder = house.data.parent / "folders"
    for name in ("office", "laptop"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def sync(croft: Run, house: Croft, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("UNDERCROFT_URL", house.url)
    monkeypatch.setenv("UNDERCROFT_TOKEN", house.token)

    def run(*arguments: object, **more: bytes) -> Ended:
        return croft("sync", *arguments, **more)

    return run


def test_from_nothing_to_files_in_two_folders(sync: Run, house: Croft, folders: Path) -> None:
    assert "croft sync entries add" in sync("status").out, "says what to do first"
    assert sync("status", "--json").json == []
    for name in ("office", "laptop"):
        added = sync("entries", "add", name, folders / name, "-o", 'ignore=["*.tmp"]', "--json")
        assert added.json["options"] == {"ignore": ["*.tmp"], "root": str(folders / name)}, added.err
    listed = sync("entries", "list")
    assert listed.out.splitlines()[0].split() == ["ENTRY", "DRIVER", "OPTIONS"]
    assert f'{{"ignore":["*.tmp"],"root":"{folders}'[:40] in listed.out, "as JSON, once"
    assert [entry["name"] for entry in sync("entries", "list", "--json").json["entries"]] == ["office", "laptop"]
    for _ in "again":
        assert sync("rules", "share", "office", "laptop", "--json").json == {"status": "ok"}
    assert sync("rules", "show", "--json").json == EVERYWHERE
    assert sync("rules", "show").out.splitlines()[1].split() == ["/", "any", "office,", "laptop"]
    (folders / "office/report.txt").write_text("one")
    wait_until((folders / "laptop/report.txt").exists, "the file")
    wait_until(lambda: _is_everywhere(house), "it to be up to date")
    assert sync("files", "REPORT", "--entry", "laptop").out.splitlines()[1].split() == [
        "report.txt",
        "3",
        "office,",
        "laptop",
    ]
    assert sync("files", "--behind").out.split() == ["FILE", "BYTES", "UP", "TO", "DATE", "NOT", "YET"]
    [file] = sync("files", "--json").json["files"]
    assert json.loads(sync("files", "--all", "--json").out) == file, "one on each line"


def test_status_says_why(sync: Run, house: Croft, folders: Path) -> None:
    states = {state["name"]: state for state in sync("status", "--json").json}
    assert {name: state["status"] for name, state in states.items()} == {"office": "active", "laptop": "active"}
    assert (states["office"]["files"], states["office"]["behind"]) == (1, 0)
    missing = folders / ("missing" * 9)
    assert sync("entries", "add", "gone", missing).code == 0
    wait_until(lambda: "reason" in _get(house, "/entries/gone/status"), "the reason")
    assert f"the root {missing} can't be opened: No such file or directory" in sync("status").out
    assert sync("entries", "remove", "gone", "--json").json == {"status": "ok"}


def test_stop_start_restart_change_rescan(sync: Run, house: Croft, folders: Path) -> None:
    assert sync("entries", "stop", "laptop").out == "Entry laptop is stopped.\n"
    refused = sync("entries", "stop", "laptop")
    assert refused.code == 1
    assert "entry laptop is already stopped" in refused.err
    assert sync("entries", "restart", "laptop").code == 1
    assert sync("entries", "start", "laptop", "--json").json["status"] == "ok"
    assert sync("entries", "restart", "laptop").out == "Entry laptop runs anew.\n"
    changed = sync("entries", "change", "laptop", "-o", "keep_versions=90", "--json")
    assert changed.json["options"] == {"ignore": ["*.tmp"], "root": str(folders / "laptop"), "keep_versions": 90}
    assert '"keep_versions": 91' in sync("entries", "change", "laptop", "-o", "keep_versions=91").out
    assert sync("entries", "change", "laptop").code == 2
    assert "'bandwidth' is a whole number" in sync("entries", "change", "laptop", "-o", "bandwidth=much").err
    wait_until(lambda: _get(house, "/entries/laptop/progress")["scanned_at"] is not None, "it to be there again")
    assert sync("entries", "rescan", "laptop").out == "Entry laptop is looked through.\n"
    for verb in ("stop", "rescan", "remove", "confirm"):
        ended = sync("entries", verb, "nobody")
        assert (ended.code, "entry nobody not found" in ended.err) == (1, True), verb


def test_rules_from_a_file(sync: Run, home: Path) -> None:
    (home / "rules.json").write_text('{"rules": [{"match": {"mime": ["image/*"]}, "sync": ["office"]}]}')
    tried = sync("rules", "set", "rules.json", "--dry-run")
    assert tried.out.splitlines()[1].split() == ["report.txt", "laptop"]
    assert tried.out.endswith("1 files would change their places.\n")
    assert sync("rules", "set", "rules.json", "--dry-run", "--json").json["count"] == 1
    assert sync("rules", "show", "--json").json == EVERYWHERE
    assert sync("rules", "set", "rules.json").out == "1 files change their places.\n"
    assert sync("rules", "show").out.splitlines()[1].split() == ["/", "image/*", "office"]
    (home / "rules.json").write_text(json.dumps(EVERYWHERE))
    assert sync("rules", "set", "rules.json", "--json").json["count"] == 1
    (home / "wrong.json").write_text('{"rules": [{"match": {}, "sync": ["nobody"]}]}')
    wrong = sync("rules", "set", "wrong.json")
    assert (wrong.code, "rule 1: there is no entry 'nobody'" in wrong.err) == (1, True)
    (home / "wrong.json").write_bytes(b"\xff")
    assert sync("rules", "set", "wrong.json").code == 2
    assert sync("rules", "show", "--json").json == EVERYWHERE


def test_versions_restore_and_conflicts(sync: Run, house: Croft, folders: Path) -> None:
    wait_until(lambda: _is_everywhere(house), "it to be up to date")
    (folders / "office/stays").write_text("")
    (folders / "office/report.txt").unlink()
    wait_until(lambda: bool(_get(house, f"/files/{fid_of('report.txt')}/versions").get("versions")), "what was deleted")
    [kept] = sync("versions", "report.txt", "--json").json["versions"]
    assert sync("versions", "report.txt").out.splitlines()[1].split()[:3] == [kept["id"], "laptop", "3"]
    assert sync("restore", "report.txt", "--version", "none").code == 1
    assert sync("restore", "report.txt").out == f"report.txt is being put back as it was in version {kept['id']}.\n"
    wait_until((folders / "office/report.txt").exists, "the file")
    for verb in ("restore", "versions"):
        never = sync(verb, "never")
        assert (never.code, "croft: file never not found\n" in never.err) == (1, True), never.err
    sync("entries", "stop", "laptop")
    (folders / "office/report.txt").write_text("by office")
    wait_until(lambda: _get(house, "/files?q=report.txt")["files"][0]["size"] == 9, "the change")
    (folders / "laptop/report.txt").write_text("by the laptop")
    sync("entries", "start", "laptop")
    wait_until(lambda: bool(_get(house, "/conflicts")["conflicts"]), "the conflict")
    assert [met["filename"] for met in sync("conflicts", "--json").json["conflicts"]] == ["report.txt"]
    assert sync("conflicts", "--limit", 1, "--json").json == sync("conflicts", "--json").json
    assert sync("conflicts", "--limit", 1_001).code == 2
    shown = sync("conflicts").out.splitlines()
    assert shown[0].split() == ["WHEN", "FILE", "THE", "OTHER", "IS", "KEPT", "AS"]
    assert "report.txt" in shown[1]
    assert "report.conflict-office-" in shown[1]


@pytest.mark.parametrize("undo", [False, True])
def test_a_wave_is_confirmed_or_undone(sync: Run, house: Croft, folders: Path, undo: bool) -> None:
    for number in range(20):
        (folders / f"office/wave{number}").write_text("1")
    wait_until(lambda: (folders / "laptop/wave19").exists() and _is_everywhere(house), "all to be everywhere")
    sync("entries", "stop", "office")
    for path in (folders / "office").iterdir():
        path.unlink() if path.is_file() else None
    sync("entries", "start", "office")
    wait_until(lambda: _get(house, "/entries/office/progress")["held"] >= 20, "them to wait")
    ended = sync("entries", "confirm", "office", *(["--undo"] if undo else []))
    assert ended.out.endswith(f"deletions are {'undone' if undo else 'carried out'}.\n")
    wait_until(
        lambda: (folders / "office/wave3").exists() is undo and (folders / "laptop/wave3").exists() is undo, "that"
    )


def test_transfers_are_listed(croft: Run, server: Server) -> None:
    under_way = {"transfers": [{"entry": "laptop", "filename": "film\x1b.mkv", "done": 1, "size": 4}]}
    server.answers("/api/v1.0/transfers", under_way)
    assert croft("sync", "transfers").out.splitlines()[1].split() == ["film\\x1b.mkv", "laptop", "25", "%"]
    assert croft("sync", "transfers", "--json").json == under_way
    assert croft("sync", "transfers", "--watch", "--json").json == under_way


def test_a_terminal_shows_how_far_they_are_until_all_have_come(server: Server, home: Path) -> None:
    steps = [[{"entry": "laptop", "filename": "film.mkv", "done": done, "size": 4}] for done in (1, 3)]
    shown = _watched(server, *steps)
    assert b"laptop" in shown
    assert b"25%" in shown
    assert b"75%" in shown
    assert shown.rstrip().endswith(b"Nothing large is under way.")


def test_a_name_neither_steers_the_terminal_nor_ends_the_watch(server: Server, home: Path) -> None:
    names = ["a[/b].bin", "[red]c", "d\x1b]0;mine\x07\ne"]
    shown = _watched(server, [{"entry": "laptop", "filename": name, "done": 1, "size": 4} for name in names])
    for told in (b"a[/b].bin", b"[red]c", rb"d\x1b]0;mine\x07 e"):
        assert told + " → laptop".encode() in shown
    assert shown.rstrip().endswith(b"Nothing large is under way.")


def test_what_has_arrived_has_no_bar_any_more(server: Server, home: Path) -> None:
    both = [{"entry": "laptop", "filename": name, "done": 1, "size": 4} for name in ("first", "second")]
    shown = _watched(server, both, *[[{**both[1], "done": done}] for done in (2, 3)])
    assert b"75%" in shown
    assert shown.rindex(b"first") < shown.index(b"75%")


def test_a_long_name_leaves_the_bars_their_room(server: Server, home: Path) -> None:
    names = ("short", "n" * 240)
    shown = _watched(server, [{"entry": "laptop", "filename": name, "done": 1, "size": 4} for name in names])
    assert shown.count(b"25%") >= 2
    assert "n… ".encode() in shown


def _watched(server: Server, *steps: list[dict[str, Any]]) -> bytes:
    """What is shown until all have come, on a terminal of its own: a bar is drawn on nothing else."""
    server.answers("/api/v1.0/transfers", *({"transfers": step} for step in (*steps, [])))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    program = subprocess.Popen(
        [PROGRAM, "sync", "transfers", "--watch"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65_536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert program.wait(30) == 0, shown
    return shown


def _is_everywhere(house: Croft) -> bool:
    """There are files, and none is behind."""
    return bool(_get(house, "/files")["files"]) and not _get(house, "/files?state=behind")["files"]


def _get(house: Croft, path: str) -> Any:
    return house.http.get("/api/v1.0" + path).json()
