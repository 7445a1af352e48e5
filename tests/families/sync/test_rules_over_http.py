"""Rules over HTTP: stored as they are given, shown at once, applied by a reload."""

import json
from typing import Any

import pytest

from tests.families.sync.example import Example
from tests.services.waiting import wait_until

RULES = {
    "rules": [
        {"match": {"path": "/"}, "sync": ["A"]},
        {"match": {"path": "/backedup/", "mime": ["application/pdf"]}, "sync": ["B"]},
    ]
}
BOTH = {"rules": [{"match": {"path": "/"}, "sync": ["A", "B"]}]}


def test_a_list_is_shown_as_it_was_given(example: Example) -> None:
    """In its order, nothing added, nothing put together; also where a condition is absent or empty."""
    given: dict[str, Any] = {
        "rules": [
            {"match": {"path": "/z"}, "sync": ["B", "A"]}, {"match": {}, "sync": []},
            {"match": {"path": "/z"}, "sync": ["A"]}, {"match": {"mime": []}, "sync": ["B"]},
            {"match": {"path": "/é %41/", "mime": ["text/plain", "image/*"]}, "sync": ["A", "A"]},
        ]
    }  # fmt: skip
    assert example.call("PUT", "/rules", json=given).json() == {"status": "ok"}
    assert example.get("/rules") == given
    assert example.call("PUT", "/rules", json={"rules": []}).json() == {"status": "ok"}
    assert example.get("/rules") == {"rules": []}


def test_what_is_stored_counts_after_a_reload_and_not_before(example: Example) -> None:
    """Of what is there and of what appears; a reload that changes nothing says the same, whatever its body."""
    example.share({"rules": []})
    example.write("A", "docs/early.txt", b"1")
    example.wait_for("docs/early.txt", ["A"], 1)
    assert example.call("PUT", "/rules", json=BOTH).json() == {"status": "ok"}
    example.write("A", "docs/later.txt", b"1")
    example.wait_for("docs/later.txt", ["A"], 1)
    assert [example.file(f"docs/{name}.txt")["owners"] for name in ("early", "later")] == [["A"], ["A"]]
    for body in (b"", b"\xff no JSON", b"{}"):
        assert example.call("PUT", "/rules/reload", content=body).json() == {"status": "ok"}
    for name in ("early", "later"):
        example.wait_for(f"docs/{name}.txt", ["A", "B"], 1)
        assert (example.folder / f"B/docs/{name}.txt").read_bytes() == b"1"


def test_rules_and_what_is_applied_outlive_the_server(example: Example) -> None:
    example.share()
    assert example.call("PUT", "/rules", json=RULES).status_code == 200
    example.croft.kill()
    example.croft.start()
    assert example.get("/rules") == RULES
    example.write("A", "after-the-kill", b"1")
    example.wait_for("after-the-kill", ["A", "B"], 1)


def test_by_path_and_by_kind(example: Example) -> None:
    """Every rule that matches counts, both conditions of one have to; who made a file holds it anyway."""
    matches: list[Any] = [
        {"path": "/foo"}, {"path": "/only/"}, {"mime": ["image/*"]}, {"path": "/x", "mime": ["text/plain"]},
    ]  # fmt: skip
    rules = [{"match": match, "sync": ["A", "B"]} for match in matches]
    example.share({"rules": rules})
    at_b = ["foo/bar", "only/below", "a.png", "deep/b.JPG", "x/a.txt"]
    alone = ["foobar", "only.txt", "x/a.pdf", "y/a.txt", "xa.txt", "without-a-kind"]
    for name in (*at_b, *alone):
        example.write("A", name, b"1")
    for name in at_b:
        example.wait_for(name, ["A", "B"], 1)
    for name in alone:
        example.wait_for(name, ["A"], 1)
        assert example.file(name)["owners"] == ["A"], name
        assert not (example.folder / "B" / name).exists()


def test_a_source_that_no_rule_names_holds_what_it_made(example: Example) -> None:
    example.share({"rules": [{"match": {"path": "/"}, "sync": ["B"]}]})
    example.write("A", "made-by-a", b"1")
    wait_until(lambda: example.file("made-by-a").get("uptodate") is not None, "the file")
    wait_until(lambda: set(example.file("made-by-a")["uptodate"]) == {"A", "B"}, "a copy at B")
    assert sorted(example.file("made-by-a")["owners"]) == ["A", "B"]
    assert example.call("PUT", "/rules/reload").json() == {"status": "ok"}
    assert example.file("made-by-a")["owners"] == ["B"], "now B has it, and the rules say B"
    assert (example.folder / "A/made-by-a").read_bytes() == b"1"
    example.write("B", "made-by-a", b"22")
    example.wait_for("made-by-a", ["B"], 2)
    assert (example.folder / "A/made-by-a").read_bytes() == b"1", "nobody looks after it"
    example.share()
    example.wait_for("made-by-a", ["A", "B"], 2)
    wait_until(lambda: (example.folder / "A/made-by-a").read_bytes() == b"22", "the copy at A")


def test_a_dry_run_changes_nothing(example: Example) -> None:
    example.share()
    example.write("A", "backedup/y.pdf", b"pdf")
    example.write("A", "else", b"1")
    for name, size in (("backedup/y.pdf", 3), ("else", 1)):
        example.wait_for(name, ["A", "B"], size)
    before = example.get("/files?limit=1000")
    preview = example.call("POST", "/rules/preview", json=RULES).json()
    assert {"filename": "else", "gains": [], "loses": ["B"]} in preview["files"]
    assert preview["count"] >= len(preview["files"])
    assert "backedup/y.pdf" not in [file["filename"] for file in preview["files"]]
    assert example.get("/rules") == BOTH
    assert example.get("/files?limit=1000") == before
    wrong = example.call("POST", "/rules/preview", json={"rules": [{"match": {}, "sync": ["C"]}]})
    assert (wrong.status_code, wrong.json()["reason"]) == (400, "rule 1: there is no entry 'C'")


def test_rules_are_stored_and_applied_by_reload(example: Example) -> None:
    example.share()
    example.write("A", "backedup/x.pdf", b"pdf")
    example.wait_for("backedup/x.pdf", ["A", "B"], 3)
    assert example.call("PUT", "/rules", json=RULES).json() == {"status": "ok"}
    assert example.get("/rules") == RULES
    example.write("A", "still-both", b"1")
    example.wait_for("still-both", ["A", "B"], 1)
    assert example.call("PUT", "/rules/reload").json() == {"status": "ok"}
    assert example.file("still-both")["owners"] == ["A"]
    assert example.file("backedup/x.pdf")["owners"] == ["A", "B"]
    assert (example.folder / "B/still-both").read_bytes() == b"1", "no rule deletes anything"
    example.share()
    assert example.file("still-both")["uptodate"] == ["A", "B"]


WRONG = [
    b"", b"[]", b"{}", b"null", b'"x"', b"\xff", b"[" * 50_000, b'{"rules": 1}', b'{"rules": null}', b'{"rules": [1]}',
    b'{"rules": [], "more": 1}', b'{"rules": [{"sync": []}]}', b'{"rules": [{"match": null, "sync": []}]}',
    b'{"rules": [{"match": {}, "sync": ["C"]}]}', b'{"rules": [{"match": {}, "sync": "A"}]}',
    b'{"rules": [{"match": {}, "sync": [null]}]}', b'{"rules": [{"match": {}, "sync": [], "ban": []}]}',
    b'{"rules": [{"match": {"path": 1}, "sync": []}]}', b'{"rules": [{"match": {"path": "x"}, "sync": []}]}',
    b'{"rules": [{"match": {"path": ""}, "sync": []}]}', b'{"rules": [{"match": {"path": "/\\u0000"}, "sync": []}]}',
    b'{"rules": [{"match": {"path": "/\\ud800"}, "sync": []}]}', b'{"rules": [{"match": {"mime": "a/b"}, "sync": []}]}',
    b'{"rules": [{"match": {"mime": ["pdf"]}, "sync": []}]}', b'{"rules": [{"match": {"mime": ["*/*"]}, "sync": []}]}',
    json.dumps({"rules": [{"match": {}, "sync": []}] * 10_001}).encode(),
    json.dumps({"rules": [{"match": {"path": "/" * 2_051}, "sync": []}]}).encode(),
    json.dumps({"rules": [{"match": {"path": "/" + "é" * 1_025}, "sync": []}]}).encode(),
    json.dumps({"rules": [{"match": {"mime": ["a/" + "b" * 254]}, "sync": []}]}).encode(),
    json.dumps({"rules": [{"match": {"mime": ["a/b"] * 1_001}, "sync": []}]}).encode(),
    json.dumps({"rules": [{"match": {}, "sync": ["A"] * 1_001}]}).encode(),
]  # fmt: skip


@pytest.mark.parametrize("body", WRONG, ids=range(len(WRONG)))
def test_wrong_rules_change_nothing(example: Example, body: bytes) -> None:
    before = example.get("/rules")
    answer = example.call("PUT", "/rules", content=body)
    assert answer.status_code == 400
    assert list(answer.json()) == ["status", "reason"]
    assert answer.json()["status"] == "error"
    assert answer.json()["reason"]
    assert example.get("/rules") == before
