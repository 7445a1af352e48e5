"""Servers that are broken, or somebody else's: each has a reason, none costs more than a little memory."""

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.storages import kinds
from tests.families.sync.storages.kinds import contents, unpaced, write
from tests.services.apache import Apache
from tests.services.talker import Say, Talker
from undercroft.families.sync.drivers import with_defaults
from undercroft.families.sync.storages import (
    Storage,
    asking,
    drive,
    open_storage,
    remote_looking,
    webdav_answers,
)
from undercroft.families.sync.storages.drive import Drive, Stat
from undercroft.families.sync.storages.errors import SourceChanged, Vanished
from undercroft.families.sync.storages.judging import LARGEST, fitting, judged, size_of, time_of
from undercroft.families.sync.storages.webdav_answers import resources

MIB = 2**20
OPEN = b'<D:multistatus xmlns:D="DAV:">'
CLOSE = b"</D:multistatus>"
Talk = Callable[[Say], Talker]


def told(name: str, size: str = "3", *, folder: bool = False, more: str = "") -> bytes:
    kind = "<D:resourcetype><D:collection/></D:resourcetype>" if folder else ""
    length = "" if folder else f"<D:getcontentlength>{size}</D:getcontentlength>"
    return (
        f"<D:response><D:href>/r/{name}</D:href><D:propstat><D:prop>{kind}{length}{more}</D:prop>"
        "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
    ).encode()


@pytest.fixture
def talk() -> Iterator[Talk]:
    made: list[Talker] = []

    def start(say: Say) -> Talker:
        made.append(Talker(say))
        return made[-1].__enter__()

    yield start
    for one in made:
        one.__exit__(None, None, None)


@pytest.fixture
def webdav(talk: Talk) -> Iterator[Callable[[Say], Storage]]:
    opened: list[Storage] = []

    def at(say: Say) -> Storage:
        opened.append(open_storage(("webdav", {"hostname": talk(say).url, "root": "r"})))
        return opened[-1]

    yield at
    for one in opened:
        one.close()


def listing(*files: bytes) -> Say:
    """A server whose root holds these, and nothing else."""
    return lambda method, path: (207, [OPEN, told("", folder=True), *(files if path == "/r/" else ()), CLOSE])


def walked(storage: Storage) -> list[str]:
    return sorted(found.path for found in storage.walk(b"", lambda *_: None))


@pytest.mark.parametrize("size", ["abc", "-5", "1e3", "9" * 5_000, "\u0663", "1_0", " "])
def test_a_size_that_is_none_costs_that_file_alone(webdav: Callable[[Say], Storage], size: str) -> None:
    storage = webdav(listing(told("good"), told("bad", size)))
    assert walked(storage) == ["good"]
    assert storage.skipped == {"bad": "its size is not told, or is none"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("%ff", "\\xff"), ("%00", "?"), ("a//b", "a//b"), ("x%0ay%00/../..", "x\ny?/../.."), ("d" * 256, "d" * 256)],
)
def test_a_name_that_is_none_costs_that_file_alone(webdav: Callable[[Say], Storage], name: str, shown: str) -> None:
    for folder in (False, True):
        storage = webdav(listing(told("good"), told(name, folder=folder)))
        assert walked(storage) == ["good"]
        assert set(storage.skipped) <= {shown}


def test_a_folder_that_is_said_to_hold_itself_is_looked_into_once(webdav: Callable[[Say], Storage]) -> None:
    """And one that is elsewhere never."""
    again = [told("", folder=True), told("/", folder=True), told("in/", folder=True), told("in/../..", folder=True)]
    storage = webdav(lambda method, path: (207, [OPEN, *again, told("in/f"), CLOSE]))
    assert walked(storage) == ["in/f"]


def test_revisions_and_times_that_are_none(webdav: Callable[[Say], Storage]) -> None:
    late = "<D:getlastmodified>Mon, 99999999999999999999 Jan 2020 00:00:00 GMT</D:getlastmodified>"
    storage = webdav(
        listing(
            told("late", more=late),
            told("line", more='<D:getetag>"a&#13;&#10;X: y"</D:getetag>'),
            told("long", more=f"<D:getetag>{'e' * 5_000}</D:getetag>"),
        )
    )
    assert walked(storage) == ["late"]
    assert set(storage.skipped) == {"line", "long"}


@pytest.mark.parametrize("what", ["files", "files of another", "text", "depth", "siblings", "nothing"])
def test_a_list_without_an_end_is_refused_and_takes_little(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(webdav_answers, "MOST_RESOURCES", 1_000)
    monkeypatch.setattr(webdav_answers, "LONGEST_RESOURCE", 100_000)
    blocks: dict[str, Iterable[bytes]] = {
        "files": (b"".join(told(f"{n}-{m}") for m in range(100)) for n in itertools.count()),
        "files of another": itertools.repeat(told("x").replace(b"/r/", b"/other/") * 100),
        "text": itertools.repeat(b"x" * 65_536),
        "depth": itertools.repeat(b"<D:a>" * 10_000),
        "siblings": itertools.repeat(b"<D:a/>" * 10_000),
        "nothing": itertools.repeat(b" " * 65_536),
    }
    talker = talk(lambda method, path: (207, itertools.chain([OPEN, told("", folder=True)], blocks[what])))
    at = drive("webdav", with_defaults("webdav", {"hostname": talker.url, "root": "r"}))
    with pytest.raises(OSError, match=r"no end|more than 1,000 files"):
        list(at.walk())
    assert talker.said < 30 * MIB, "what lies in buffers on the way"
    at.close()


def test_entities_that_multiply_are_refused() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "ha">{entities}]><D:multistatus xmlns:D="DAV:">&e11;</D:multistatus>'
    with pytest.raises(OSError, match="no XML"):
        list(resources([bomb.encode()], b"/r/", "http://x/r/"))


@pytest.mark.parametrize("driver", ["amazon_s3", "dropbox", "a token of Dropbox'", "an error of S3's"])
def test_an_answer_without_an_end_is_given_up(talk: Talk, monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    monkeypatch.setattr(asking, "LONGEST_ANSWER", MIB)
    monkeypatch.setattr(asking, "PAUSES", ())
    status = 418 if "error" in driver else 200
    talker = talk(lambda method, path: (status, itertools.repeat(b"x" * 65_536)))
    at = _asked(driver, talker.url)
    with pytest.raises(OSError, match="without an end"):
        at.open("f") if "error" in driver else list(at.walk())
    assert talker.said < 30 * MIB, "what lies in buffers on the way"
    at.close()


def test_pages_without_an_end_are_given_up(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("s3_bucket", "dropbox_api"):
        monkeypatch.setattr(f"undercroft.families.sync.storages.{module}.MOST_PAGES", 5)
    numbers = itertools.count()
    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>"
    s3 = f"<ListBucketResult>{more}</ListBucketResult>"
    at = _asked("amazon_s3", talk(lambda method, path: (200, [s3.format(next(numbers)).encode()])).url)
    with pytest.raises(OSError, match="without an end"):
        list(at.walk())
    at.close()
    page = json.dumps({"entries": [], "cursor": "c", "has_more": True}).encode()
    at = _asked("dropbox", talk(lambda method, path: (200, [page])).url)
    with pytest.raises(OSError, match="without an end"):
        list(at.walk())
    at.close()


def test_files_without_an_end_are_given_up(webdav: Callable[[Say], Storage], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_looking, "MOST_FILES", 5)
    storage = webdav(listing(*(told(str(n)) for n in range(6))))
    with pytest.raises(OSError, match="more than 5 files"):
        walked(storage)


def test_content_without_an_end_is_no_file(webdav: Callable[[Say], Storage]) -> None:
    """It is read no further than the size that was told."""

    def say(method: str, path: str) -> tuple[int, Iterable[bytes]]:
        if method == "PROPFIND":
            return 207, [OPEN, told("f", str(MIB)), CLOSE]
        return 200, itertools.repeat(b"x" * 65_536)

    assert webdav(say).read("f") is None


FILE: dict[str, Any] = {".tag": "file", "name": "f", "path_lower": "/f", "rev": "1", "size": 3,
                        "client_modified": "2026-01-02T03:04:05Z", "content_hash": "x"}  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        {"entries": 5, "cursor": "c", "has_more": False},
        {"entries": [5], "cursor": "c", "has_more": False},
        {"entries": [FILE], "cursor": 5, "has_more": False},
        {"entries": [FILE], "cursor": "c"},
        [],
        "no",
        *({"entries": [{**FILE, **wrong}], "cursor": "c", "has_more": False} for wrong in (
            {"name": 5}, {"rev": None}, {"size": "abc"}, {"size": 1.5}, {".tag": 5}, {"path_lower": 5},
            {"client_modified": 5},
        )),
    ],
)  # fmt: skip
def test_what_is_no_answer_of_dropbox_is_told(talk: Talk, answer: Any) -> None:
    at = _asked("dropbox", talk(lambda method, path: (200, [json.dumps(answer).encode()])).url)
    with pytest.raises(OSError, match="the answer is not Dropbox'"):
        list(at.walk())
    at.close()


@pytest.mark.parametrize("wrong", [{"expires_in": "soon"}, {"access_token": 5}, {"access_token": None}])
def test_a_token_that_is_none_is_told(talk: Talk, wrong: dict[str, Any]) -> None:
    token = {"access_token": "t", "expires_in": 60, **wrong}
    talker = talk(lambda method, path: (200, [json.dumps(token).encode()]))
    at = drive("dropbox", with_defaults("dropbox", {"refresh_token": "r", "api_url": talker.url}))
    with pytest.raises(OSError, match="Dropbox"):
        list(at.walk())
    at.close()


def test_a_token_that_no_header_holds_is_told(talk: Talk) -> None:
    token = json.dumps({"access_token": "t\r\nX-Evil: 1", "expires_in": 60}).encode()
    talker = talk(lambda method, path: (200, [token]))
    at = drive("dropbox", with_defaults("dropbox", {"refresh_token": "r", "api_url": talker.url}))
    with pytest.raises(Vanished) as reason:
        list(at.walk())
    assert "Evil" not in str(reason.value)
    at.close()


@pytest.mark.parametrize(
    ("about", "path", "reason"),
    [
        (Stat("good", 3, "r", 0), "good", ""),
        (Stat("\udcff", 3, "r", 0), "\\xff", "UTF-8"),
        (Stat("\ud800", 3, "r", 0), "?", "UTF-8"),
        (Stat("a\0b", 3, "r", 0), "a?b", "NUL"),
        (Stat("..", 3, "r", 0), "..", ".."),
        (Stat("f", LARGEST + 1, "r", 0), "f", "size"),
        (Stat("f", 3, "r\0", 0), "f", "revision"),
        (Stat("f", 3, "\ud800", 0), "f", "revision"),
        (Stat("f", 3, "r" * 1_001, 0), "f", "revision"),
        (Stat("f", 0, "", 0, "a link"), "f", "a link"),
    ],
)
def test_what_is_told_of_a_file_is_judged(about: Stat, path: str, reason: str) -> None:
    found, why = judged(about, False)
    assert found == path
    assert (reason in why) if reason else not why
    found.encode()


def test_numbers_and_times_are_what_can_be_kept() -> None:
    assert [size_of(said) for said in ("0", "17", "", "+1", "0x1", "9" * 18)] == [0, 17, -1, -1, -1, 10**18 - 1]
    assert [fitting(one) for one in (5, 2**70, -(2**70))] == [5, LARGEST, -LARGEST]
    assert time_of("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777 * 10**9
    assert [time_of(said) for said in ("", "no", "Mon, 1 Jan 99999 00:00:00 GMT", "\0")] == [0, 0, 0, 0]


def test_a_name_that_webdav_has_and_cant_be_asked_for_is_skipped(apache: Apache) -> None:
    kind = kinds.webdav(apache)
    root = os.fsencode(apache.files / kind.options["root"])
    Path(os.fsdecode(root + b"/\xff")).write_bytes(b"x")
    Path(os.fsdecode(root + b"/\xfe")).mkdir()
    storage = kind.open()
    storage.check(0)
    write(storage, "f", b"content")
    assert contents(storage) == {"f": b"content"}
    assert set(storage.skipped) == {"\\xff", "\\xfe"}
    with pytest.raises(OSError, match="does not take this name"):
        storage.look("\\xff")
    with pytest.raises(OSError, match="does not take this name"):
        storage.read("\\xff")
    kind.close()


def test_a_kept_version_that_comes_in_part_is_not_given_its_name(
    apache: Apache, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = kinds.webdav(apache)
    storage = kind.open()
    storage.check(0)
    first = write(storage, "f", b"one").revision
    replaced = write(storage, "f", b"two", first).replaced
    assert replaced is not None
    with monkeypatch.context() as cut, pytest.raises(SourceChanged, match="another length"):
        cut.setattr("undercroft.families.sync.storages.webdav.Reading.blocks", lambda _: iter([b"o"]))
        storage.restore("f", replaced.place, unpaced)
    assert contents(storage) == {"f": b"two"}
    storage.restore("f", replaced.place, unpaced)
    assert contents(storage) == {"f": b"one"}
    kind.close()


def _asked(driver: str, url: str) -> Drive:
    match driver:
        case "dropbox":
            options = {"access_token": "t", "api_url": url, "content_url": url}
        case "a token of Dropbox'":
            driver, options = "dropbox", {"refresh_token": "r", "access_key": "k", "api_url": url}
        case _:
            driver, options = (
                "amazon_s3",
                {"bucket": "b", "aws_access_key": "a", "aws_secret_key": "s", "endpoint": url},
            )
    return drive(driver, with_defaults(driver, options))
