"""What holds for every path of the API: names in it, numbers after `?`, methods, headers, how it says no."""

from collections.abc import Callable

import httpx
import pytest

from tests.families.sync.example import API, Example, refused
from tests.services.croft import Croft
from tests.services.waiting import wait_until
from undercroft.families.sync.names import fid_of


def test_ids_are_computed(example: Example) -> None:
    assert example.get("/files/id/toto") == {"toto": "91473751-8e49-5240-b03c-96547fcd86dc"}
    odd = "ü n,i*c?o!d%41é"
    answer = example.call("GET", "/files/id/" + "".join(f"%{byte:02x}" for byte in odd.encode()))
    assert answer.json() == {odd: fid_of(odd)}
    assert example.get("/files/id/a%2Fb") == {"a/b": fid_of("a/b")}
    assert example.get("/files/id/metadata") == {"metadata": fid_of("metadata")}


@pytest.mark.parametrize("name", ["R€p1", "®èp2", "%41", "two words", "a+b", "é".encode().decode("latin-1")])
def test_a_name_in_a_path_is_decoded_once(example: Example, name: str) -> None:
    folder = example.folder / name
    folder.mkdir()
    entry = {"name": name, "driver": "local_storage", "options": {"root": str(folder)}}
    assert example.call("POST", "/entries", json=entry).json() == entry
    path = "/entries/" + "".join(f"%{byte:02X}" for byte in name.encode())
    assert example.get(path) == entry
    wait_until(lambda: example.get(path + "/status")["status"] == "active", "it to run")
    assert example.get(path + "/stats")["name"] == name
    assert example.call("PUT", path + "/stop").json()["name"] == name
    refused(example.call("PUT", path + "/stop"), 409, f"entry {name} is already stopped")
    assert example.call("DELETE", path).json() == {"status": "ok"}
    refused(example.call("GET", path), 404, f"entry {name} not found")


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=10001", "limit=x", "limit=", "limit=1.5", "limit=true", "limit=%2B1", "limit=1_0", "limit=1e3",
     "limit=1&limit=1", "offset=-1", "offset=x", "offset=1.5", "offset=9007199254740992",
     "offset=99999999999999999999", "offset=%D9%A3", "state=old", "strange=1", "q=%00", "q=%FF",
     "limit=" + "9" * 5_000],
)  # fmt: skip
def test_a_page_that_cannot_be(example: Example, query: str) -> None:
    answer = example.call("GET", f"/files?{query}")
    assert (answer.status_code, answer.headers["vary"]) == (400, "Accept")
    assert list(answer.json()) == ["status", "reason"]
    assert answer.json()["reason"]


@pytest.mark.parametrize("path", ["/files", "/transfers", "/entries", "/rules", "/conflicts"])
def test_a_parameter_that_no_list_has(example: Example, path: str) -> None:
    answer = example.call("GET", path + "?strange=1")
    assert answer.status_code == 400
    assert "there is no parameter 'strange'" in answer.json()["reason"]


def test_pages_and_filters(example: Example) -> None:
    """20 unless told otherwise; together the pages are all, each once, in the order of ids; also while more come."""
    example.share()
    for number in range(30):
        example.write("A", f"pages/{number}.txt", b"x" * number)
    for number in range(30):
        example.wait_for(f"pages/{number}.txt", ["A", "B"], number)
    whole = example.get("/files?limit=10000&q=pages/")["files"]
    assert len(whole) == 30
    assert [file["fid"] for file in whole] == sorted(file["fid"] for file in whole)
    assert example.get("/files?q=PAGES/")["files"] == whole[:20]
    pages = [example.get(f"/files?q=pages/&offset={at}&limit=7")["files"] for at in range(0, 42, 7)]
    assert [file for page in pages for file in page] == whole
    assert (len(pages[4]), pages[5]) == (2, [])
    assert example.get("/files?offset=9007199254740991") == example.get("/files?limit=0") == {"files": []}
    assert example.get("/files?entry=A&q=pages/&limit=100")["files"] == whole
    assert example.get("/files?entry=nobody") == example.get("/files?state=behind") == {"files": []}
    assert example.get("/files?state=synced&q=pages/2.txt")["files"] == [example.file("pages/2.txt")]
    assert example.get("/files?q=%25") == example.get("/files?q=pages_") == {"files": []}, "no wildcards"
    first = example.get("/files?offset=0&limit=10")["files"]
    last = max(file["fid"] for file in first)
    later = next(name for name in (f"more {n}" for n in range(99)) if fid_of(name) > last)
    example.write("A", later, b"")
    example.wait_for(later, ["A", "B"], 0)
    assert example.get("/files?offset=0&limit=10")["files"] == first, "what comes further on moves no page before it"


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/files", "GET"), ("/files/x/metadata", "GET"), ("/files/x/content", "GET"), ("/files/x/versions", "GET"),
     ("/files/x/restore", "POST"), ("/files/id/x", "GET"), ("/entries", "GET, POST"),
     ("/entries/A", "DELETE, GET, PUT"), ("/entries/A/stats", "GET"), ("/entries/A/status", "GET"),
     ("/entries/A/progress", "GET"), ("/entries/A/stop", "PUT"), ("/entries/A/start", "PUT"),
     ("/entries/A/restart", "PUT"), ("/entries/A/rescan", "PUT"), ("/entries/A/deletions", "POST"),
     ("/rules", "GET, PUT"), ("/rules/reload", "GET, PUT"), ("/rules/preview", "POST"), ("/transfers", "GET"),
     ("/conflicts", "GET"), ("/events", "GET")],
)  # fmt: skip
def test_other_methods_are_refused_and_the_right_ones_named(example: Example, path: str, allow: str) -> None:
    for method in {"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"} - set(allow.split(", ")):
        answer = example.call(method, path)
        assert (answer.status_code, answer.headers["allow"], answer.headers["vary"]) == (405, allow, "Accept"), method
        assert list(answer.json()) == ["status", "reason"]
    assert example.get("/entries/A/status")["status"] == "active", "nothing was stopped on the way"


@pytest.mark.parametrize("path", ["/nothing", "/files/x", "/files/id", "/entries/A/nothing", "/rules/x", "//files"])
def test_there_is_nothing_elsewhere(example: Example, path: str) -> None:
    answer = example.call("GET", path)
    assert (answer.status_code, answer.headers["vary"]) == (404, "Accept")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"status": "error", "reason": "there is nothing at this path; /docs lists what there is"}


@pytest.mark.parametrize(
    "fid", ["non-valid-id", "758644be-7d76-52f9-ad5e-add997549664", "%20", "..%2F..", "é", "x" * 3_000]
)
@pytest.mark.parametrize("what", ["metadata", "content", "versions"])
def test_unknown_files(example: Example, fid: str, what: str) -> None:
    shown = httpx.URL(f"http://x/{fid}").path[1:]
    refused(example.call("GET", f"/files/{fid}/{what}"), 404, f"file {shown} not found")


def test_conflicts_have_a_limit(example: Example) -> None:
    assert example.get("/conflicts?limit=0") == example.get("/conflicts") == {"conflicts": []}
    for query in ("limit=-1", "limit=1001", "limit=x", "offset=1"):
        assert example.call("GET", f"/conflicts?{query}").status_code == 400


def test_a_body_that_is_too_large(example: Example) -> None:
    answer = example.call("PUT", "/rules", content=b" " * (32 * 2**20 + 1))
    assert (answer.status_code, answer.headers["vary"]) == (413, "Accept")
    assert list(answer.json()) == ["status", "reason"]


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
