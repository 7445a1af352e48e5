"""A file's content over HTTP: what was listed, whole and of its length, or nothing."""

import os

import httpx
import pytest

from tests.families.sync.example import API, Example, refused
from undercroft.families.sync.names import fid_of


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
    tag = whole.headers["etag"]
    for condition, status in ((tag, 206), ('"of another version"', 200), ("Sat, 21 Nov 2026 10:00:00 GMT", 200)):
        answer = example.call("GET", path, headers={"Range": "bytes=990-", "If-Range": condition})
        assert (answer.status_code, answer.headers["etag"]) == (status, tag)
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
