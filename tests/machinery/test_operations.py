"""Query strings as structs: a name or value that is wrong selects nothing."""

import msgspec
import pytest

from undercroft.base.refusals import Refusal
from undercroft.machinery.identity.model import Identity
from undercroft.machinery.operations import Request


class Filter(msgspec.Struct):
    state: str | None = None
    after: int | None = None
    all: bool = False
    limit: int = 100


def read(query: bytes) -> Filter:
    return Request("GET", {}, query, {}, b"", Identity("a@b", (), "t"), 0).query(Filter)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (b"", Filter()),
        (b"state=dead&after=-5&all=1&limit=7", Filter("dead", -5, True, 7)),
        (b"all=true", Filter(all=True)),
        (b"all=0", Filter()),
        (b"state=", Filter("")),
        (b"state=a%20b+c%2B%26", Filter("a b c+&")),
        (b"state=%C3%BC", Filter("ü")),
        (b"&&limit=1&", Filter(limit=1)),
    ],
)
def test_what_is_read(query: bytes, found: Filter) -> None:
    assert read(query) == found


@pytest.mark.parametrize(
    "query",
    [
        b"sate=dead",
        b"State=dead",
        b"state=a&state=b",
        b"after=",
        b"after=soon",
        b"after=1.5",
        b"after=1.0",
        b"limit=1e3",
        b"limit=-1E2",
        b"after=" + b"9" * 5_000,
        b"all=yes please",
        b"limit=",
        b"state=%FF",
        b"state=%00",
        b"\xff=1",
        b"&".join(b"a%d=1" % number for number in range(60)),
    ],
)
def test_what_is_refused(query: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        read(query)
    assert refused.value.code == "query"
    assert len(refused.value.message) < 500
