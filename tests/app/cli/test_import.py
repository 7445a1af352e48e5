"""`croft timers import`: files of jobs, cut into bulks."""

import io
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.app.cli.conftest import Run, Server
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.timers import loading
from undercroft.app.cli.timers.loading import bulks


def job(number: int) -> bytes:
    return b'{"id":"%d","trigger_time":1903849200000,"route":"r","meta":1.10}' % number


def lines(count: int) -> bytes:
    return b"".join(job(number) + b"\n" for number in range(count))


def test_bulks_of_500_with_every_job_as_written(croft: Run, server: Server, home: Path) -> None:
    (home / "jobs.ndjson").write_bytes(lines(1_200))
    server.answers("/job/default/c", *({"status": "ok", "created": n, "ids": []} for n in (500, 500, 200)))
    ended = croft("timers", "import", "jobs.ndjson", "-c", "c")
    assert ended.code == 0, ended.err
    assert "Created 1200 jobs" in ended.out
    sent = [msgspec.json.decode(call.body, type=list[msgspec.Raw]) for call in server.calls]
    assert [len(bulk) for bulk in sent] == [500, 500, 200]
    assert [bytes(each) for bulk in sent for each in bulk] == [job(n) for n in range(1_200)]
    assert {call.query for call in server.calls} == {""}


def test_an_array_from_a_pipe(croft: Run, server: Server) -> None:
    server.answers("/job/default/default", {"status": "ok", "created": 2, "ids": ["0", "1"]})
    array = b"\n [\n  " + job(0) + b",\n  " + job(1) + b"\n]\n"
    ended = croft("timers", "import", "-", "--upsert", "--late", "fire", "--json", stdin=array)
    assert ended.json == {"created": 2, "failed": []}
    assert server.asked == "POST /job/default/default?upsert=1&late=fire"
    assert server.calls[-1].body == b"[" + job(0) + b"," + job(1) + b"]"


def test_report_names_each_refused_job_by_its_line(croft: Run, server: Server) -> None:
    results = [{"id": "0", "status": "ok"}, {"id": "1", "status": "refused", "error": "no such route", "code": "E006"}]
    server.answers("/job/default/default", {"status": "partial", "created": 1, "results": results})
    content = b"\n" + job(0) + b"\n\n" + job(1) + b"\n"
    ended = croft("timers", "import", "-", "--report", stdin=content)
    assert ended.code == 1
    assert server.asked == "POST /job/default/default?report=1"
    assert "line 4: no such route (E006)" in ended.err
    assert "Created 1 jobs, refused 1" in ended.out
    shown = croft("timers", "import", "-", "--report", "--json", stdin=content).json
    assert shown["failed"] == [{"place": "line 4", "id": "1", "error": "no such route", "code": "E006"}]


def test_a_refused_bulk_says_which_line_and_how_far_it_came(croft: Run, server: Server) -> None:
    refusal = {"error": "job 7 ('507'): there is no route 'r'", "code": "E024"}
    server.answers("/job/default/default", {"status": "ok", "created": 500, "ids": []})
    first = croft("timers", "import", "-", stdin=lines(500))
    assert first.code == 0
    server.answers("/job/default/default", refusal, status=400)
    ended = croft("timers", "import", "-", stdin=lines(500))
    assert ended.code == 1
    assert "line 8: job 7 ('507')" in ended.err
    assert "0 jobs before that bulk were created" in ended.err
    assert "--report" in ended.err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (job(0) + b"\n{oops\n", "line 2 is no job"),
        (b"7\n", "line 1 is no job"),
        (b"[" + job(0) + b", 7]", "job 2 is no job"),
        (b"[" + job(0), "no JSON array"),
        (b'{\n  "id": "x"\n}\n', "line 1 is no job"),
        (b'{"id": "\xff"}', "line 1 is no job"),
    ],
)
def test_what_is_no_job_is_named_by_its_place(content: bytes, says: str, croft: Run, server: Server) -> None:
    ended = croft("timers", "import", "-", stdin=content)
    assert ended.code == 2
    assert says in ended.err
    assert server.calls == []


def test_nothing_makes_no_call(croft: Run, server: Server) -> None:
    for content in (b"", b"\n \n", b"[]"):
        assert croft("timers", "import", "-", "--json", stdin=content).json == {"created": 0, "failed": []}
    assert server.calls == []


def test_bulks_stay_small_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MOST_BYTES", 200)
    found = list(bulks(io.BytesIO(lines(10))))
    assert [len(bulk.places) for bulk in found] == [3, 3, 3, 1]
    assert all(len(bulk.body) <= 202 for bulk in found)
    assert [place for bulk in found for place in bulk.places] == [f"line {n}" for n in range(1, 11)]


Jobs = some.lists(some.dictionaries(some.text(max_size=5), some.integers() | some.text(max_size=5), max_size=3))


@given(Jobs, some.booleans(), some.integers(1, 5))
def test_no_job_is_lost_doubled_or_changed(jobs: list[dict[str, object]], as_array: bool, most: int) -> None:
    encoded = [msgspec.json.encode(each) for each in jobs]
    content = b"[" + b",".join(encoded) + b"]" if as_array else b"\n".join(encoded)
    before = loading.MOST_JOBS
    loading.MOST_JOBS = most
    try:
        found = list(bulks(io.BytesIO(content)))
    finally:
        loading.MOST_JOBS = before
    assert [bytes(each) for bulk in found for each in msgspec.json.decode(bulk.body, type=list[msgspec.Raw])] == encoded
    assert all(0 < len(bulk.places) <= most for bulk in found)
    assert [bulk.read for bulk in found] == sorted(bulk.read for bulk in found)


@given(some.binary(max_size=50))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        for bulk in bulks(io.BytesIO(content)):
            msgspec.json.decode(bulk.body)
    except WrongUsage as refused:
        assert refused.message
