"""Entries and rules in the settings: carried out when they are others than before, and only then."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.services.croft import Croft
from tests.services.waiting import wait_until
from undercroft.families.sync.declaring import read_entries, read_rules

API = "/api/v1.0"


def test_what_is_declared_stands_until_the_api_says_otherwise_until_it_is_declared_anew(
    start_croft: Callable[..., Croft], tmp_path: Path
) -> None:
    for name in ("A", "B", "C"):
        (tmp_path / name).mkdir()
    entries = {name: {"driver": "local_storage", "options": {"root": str(tmp_path / name)}} for name in ("A", "B")}
    both = [{"match": {"path": "/"}, "sync": ["A", "B"]}]
    croft = start_croft(environment=_declaring(entries, both))
    wait_until(lambda: _rules(croft) == both, "the rules")
    (tmp_path / "A/f").write_bytes(b"1")
    wait_until((tmp_path / "B/f").exists, "the file at B")
    only = [{"match": {"path": "/only"}, "sync": ["B"]}]
    assert croft.http.put(API + "/rules", json={"rules": only}).status_code == 200
    over_api = {"name": "C", "driver": "local_storage", "options": {"root": str(tmp_path / "C")}}
    assert croft.http.post(API + "/entries", json=over_api).status_code == 201
    croft.restart()
    wait_until(lambda: _status(croft, "C") == "active", "C, added over the API")
    assert _rules(croft) == only, "the settings are those of before"
    croft.stop()
    croft.environment.update(_declaring({"A": entries["A"], "in A": _inside(entries["A"])}, []))
    croft.start()
    wait_until(lambda: _rules(croft) == [], "the new rules")
    wait_until(lambda: _names(croft) == ["A", "C"], "B to be gone, and what lies in A not to be there")
    assert "entry_not_declared" in croft.log_tail()
    assert (tmp_path / "B/f").exists()


@pytest.mark.parametrize(
    "value",
    ["{", "[]", {"a": 1}, {"a": {}}, {"a": {"driver": 1}}, {"a": {"driver": "local_storage", "more": 1}}, "[" * 50_000],
)
def test_entries_that_cannot_be(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_entries(value)


def test_an_entry_that_is_wrong_is_logged_and_keeps_nothing_else_from_running(
    start_croft: Callable[..., Croft], tmp_path: Path
) -> None:
    """By its driver, its options, its name; or because its folder is not there."""
    root = str(tmp_path / "good")
    (tmp_path / "good").mkdir()
    wrong: dict[str, Any] = {
        "driver": {"driver": "floppy"}, "unknown": {"driver": "local_storage", "options": {"root": root, "rot": 1}},
        "missing": {"driver": "local_storage"}, "kind": {"driver": "local_storage", "options": {"root": 1}},
        "a:b": {"driver": "local_storage", "options": {"root": root}},
    }  # fmt: skip
    gone = {"driver": "local_storage", "options": {"root": str(tmp_path / "nowhere")}}
    good = {"driver": "local_storage", "options": {"root": root}}
    croft = start_croft(environment=_declaring({**wrong, "gone": gone, "good": good}, []))
    wait_until(lambda: _status(croft, "good") == "active", "the one that can be")
    wait_until(lambda: _status(croft, "gone") == "stopped", "the one whose folder is not there")
    assert _names(croft) == ["gone", "good"]
    for name in wrong:
        assert f'"entry": "{name}"' in croft.log.read_text()
    assert croft.log.read_text().count("entry_not_declared") == len(wrong)


@pytest.mark.parametrize("value", ["{", {}, [{"sync": []}], [{"match": {"path": "x"}, "sync": []}], "[" * 50_000])
def test_rules_that_cannot_be(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_rules(value)


def _declaring(entries: dict[str, Any], rules: list[Any]) -> dict[str, str]:
    return {"UNDERCROFT_SYNC_ENTRIES": json.dumps(entries), "UNDERCROFT_SYNC_RULES": json.dumps(rules)}


def _inside(entry: Any) -> Any:
    return {**entry, "options": {"root": entry["options"]["root"] + "/inner"}}


def _rules(croft: Croft) -> Any:
    return croft.http.get(API + "/rules").json()["rules"]


def _names(croft: Croft) -> list[str]:
    return sorted(entry["name"] for entry in croft.http.get(API + "/entries").json()["entries"])


def _status(croft: Croft, name: str) -> Any:
    return croft.http.get(API + f"/entries/{name}/status").json().get("status")
