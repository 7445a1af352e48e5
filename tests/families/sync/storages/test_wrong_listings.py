"""Servers that list what can't be: twice, from elsewhere, without an end. Nothing of it leads out of a root, ends a
process, or is taken for the end of a list."""

import itertools
import json
import socket
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.storages.test_broken_servers import CLOSE, OPEN, Talk, talk, told
from tests.services.asyncsshd import AsyncSshd
from undercroft.families.sync.drivers import with_defaults
from undercroft.families.sync.storages import Storage, asking, drive, open_storage, real_folders, s3_bucket
from undercroft.families.sync.storages.drive import Drive
from undercroft.families.sync.storages.errors import Changed, Vanished
from undercroft.families.sync.storages.judging import moment_of

__all__ = ["talk"]

FILE, FOLDER = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755
PLACE = "01HZZZZZZZZZZZZZZZZZZZZZZZ"


def walked(storage: Storage) -> list[str]:
    return sorted(found.path for found in storage.walk(b"", lambda *_: None))


# SFTP


@contextmanager
def sftp(tells: Callable[[bytes], Iterable[tuple[bytes, int, int]]], root: Path) -> Iterator[Storage]:
    with AsyncSshd() as server:
        server.tells = tells
        options = {"hostname": "127.0.0.1", "port": server.port, "username": server.user, "password": server.password}
        storage = open_storage(("sftp", {**options, "host_key": server.host_key, "root": str(root)}))
        yield storage
        storage.close()


def test_names_that_lead_out_of_an_sftp_folder_are_none(tmp_path: Path) -> None:
    names = [b"../../etc/passwd", b"/etc/passwd", b"..", b".", b"", b"a/b", b"nul\0", b"good", b"\xff", b"good"]
    listing = [(name, mode, 3) for mode in (FOLDER, FILE) for name in names]

    with sftp(lambda path: listing if path == bytes(tmp_path) else [(b"in", FILE, 3)], tmp_path) as storage:
        assert walked(storage) == ["\\xff", "good"], "what is told last of a name counts"
        assert storage.skipped == {}


def test_sizes_and_modes_that_are_none_cost_that_file_alone(tmp_path: Path) -> None:
    listing = [(b"good", FILE, 3), (b"large", FILE, 2**64 - 1), (b"strange", 0, 3), (b"device", stat.S_IFBLK, 3)]
    with sftp(lambda path: listing, tmp_path) as storage:
        assert walked(storage) == ["good"]
        assert set(storage.skipped) == {"large", "strange", "device"}


def test_an_sftp_folder_that_holds_itself_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sftp(lambda path: [(b"again" * 50, FOLDER, 0), (b"f", FILE, 3)], tmp_path) as storage:
        found = walked(storage)
        assert {name.rpartition("/")[2] for name in found} == {"f"}
        assert len(found) < 10, "a path has so many bytes"

    monkeypatch.setattr(real_folders, "MOST_FOLDERS", 20)
    with (
        sftp(lambda path: [(b"a", FOLDER, 0), (b"b", FOLDER, 0)], tmp_path) as storage,
        pytest.raises(OSError, match="more than 20 folders: does one of them hold itself"),
    ):
        walked(storage)


def test_what_lies_among_kept_versions_and_cant_be_told_is_none(tmp_path: Path) -> None:
    """Of names that no message holds the entry's process would end, again and again."""
    listing = [(f"{PLACE}.ok".encode(), FILE, 3), (f"{PLACE}.\udcff".encode(errors="surrogateescape"), FILE, 3)]
    listing += [(f"{PLACE}.large".encode(), FILE, 2**64 - 1), (f"../{PLACE}".encode(), FILE, 3)]
    with sftp(lambda path: listing, tmp_path) as storage:
        assert [one.place for one in storage.versions()] == [f"{PLACE}.ok"]


# WebDAV


def test_webdav_folders_without_an_end_are_given_up(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_folders, "MOST_FOLDERS", 20)

    def say(method: str, path: str) -> tuple[int, list[bytes]]:
        name = path.removeprefix("/r/")
        return 207, [OPEN, *(told(f"{name}{more}", folder=True) for more in ("", "a/", "b/")), CLOSE]

    at = drive("webdav", with_defaults("webdav", {"hostname": talk(say).url, "root": "r"}))
    with pytest.raises(OSError, match="more than 20 folders"):
        list(at.walk())
    at.close()


# S3


def listed(*keys: str, more: str = "", **other: str) -> bytes:
    said = {"Size": "3", "ETag": "e", "LastModified": "2026-01-02T03:04:05Z", **other}
    rest = "".join(f"<{name}>{value}</{name}>" for name, value in said.items())
    contents = "".join(f"<Contents><Key>{key}</Key>{rest}</Contents>" for key in keys)
    return f"<ListBucketResult>{contents}{more}</ListBucketResult>".encode()


def truncated(token: str) -> str:
    return f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"


@pytest.fixture
def s3_saying(talk: Talk) -> Iterator[Callable[..., Storage]]:
    opened: list[Storage] = []

    def at(*pages: bytes) -> Storage:
        turns = itertools.cycle(pages)
        options = {"bucket": "b", "aws_access_key": "a", "aws_secret_key": "s", "root": "all"}
        url = talk(lambda method, path: (200, [next(turns)])).url
        opened.append(open_storage(("amazon_s3", {**options, "endpoint": url})))
        return opened[-1]

    yield at
    for one in opened:
        one.close()


@pytest.mark.parametrize(
    "pages",
    [
        [listed("all/1", more=truncated("t"))],
        [listed("all/1", more=truncated("t")), listed("all/2", more=truncated("u"))],
        [listed("all/1", more=truncated(""))],
        [listed("all/1", more="<IsTruncated>true</IsTruncated>")],
        [b"<html><body>Log in first</body></html>"],
        [b"<Error><Code>SlowDown</Code></Error>"],
    ],
    ids=["again", "in turns", "no token", "none told", "another server", "an error"],
)
def test_a_part_of_a_list_is_not_taken_for_all_of_it(s3_saying: Callable[..., Storage], pages: list[bytes]) -> None:
    with pytest.raises(OSError, match=r"without an end|a part of a list|not S3's"):
        walked(s3_saying(*pages))


def test_a_list_that_grows_without_an_end_is_given_up(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of what is kept in mind until the end, such as empty objects."""
    monkeypatch.setattr(s3_bucket, "MOST_LISTED", 30)
    monkeypatch.setattr(s3_bucket, "MOST_PAGES", 90)
    pages = [listed(*(f"all/{page}-{n}" for n in range(10)), more=truncated(f"{page}"), Size="0") for page in range(99)]
    turns = itertools.count()
    talker = talk(lambda method, path: (200, [pages[next(turns)]]))
    told = {"bucket": "b", "aws_access_key": "a", "aws_secret_key": "s", "root": "all", "endpoint": talker.url}
    at = drive("amazon_s3", with_defaults("amazon_s3", told))
    with pytest.raises(OSError, match="without an end"):
        list(at.walk())
    assert len(talker.asked) == 4
    at.close()


def test_keys_from_elsewhere_are_none_and_odd_ones_cost_themselves(s3_saying: Callable[..., Storage]) -> None:
    keys = ["all/good", "all/good", "elsewhere/x", "other", "all/../../up", "all//x", "all/" + "d/" * 600_000 + "f"]
    storage = s3_saying(listed(*keys))
    assert set(walked(storage)) == {"good"}
    assert len(storage.skipped) == 3
    assert all(len(name) < 3_000 for name in storage.skipped)
    assert sum("longer than the 1024 bytes" in reason for reason in storage.skipped.values()) == 1


@pytest.mark.parametrize("said", ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "yesterday", "", "-1"])
def test_a_moment_of_arrival_that_is_none_costs_nothing(s3_saying: Callable[..., Storage], said: str) -> None:
    assert walked(s3_saying(listed("all/good", LastModified=said))) == ["good"]


@pytest.mark.parametrize("wrong", [{"Size": "x"}, {"Size": "-3"}, {"ETag": ""}, {"ETag": "&#10;"}])
def test_an_object_that_tells_no_size_or_no_etag_costs_itself(
    s3_saying: Callable[..., Storage], wrong: dict[str, str]
) -> None:
    storage = s3_saying(listed("all/f", **wrong))
    assert walked(storage) == []
    assert set(storage.skipped) == {"f"}


def test_moments() -> None:
    assert moment_of("2026-01-02T03:04:05Z") == moment_of("2026-01-02T03:04:05") == 1_767_323_045 * 10**9
    assert moment_of("0001-01-01T00:00:00+23:59") < 0 < moment_of("9999-12-31T23:59:59-23:59")


# Dropbox


def dropbox(talk: Talk, *entries: dict[str, Any], **page: Any) -> Drive:
    said = json.dumps({"entries": entries, "cursor": "c", "has_more": False, **page}).encode()
    url = talk(lambda method, path: (200, [said])).url
    return drive("dropbox", with_defaults("dropbox", {"access_token": "t", "api_url": url, "content_url": url}))


def entry(path: str, name: str, **other: Any) -> dict[str, Any]:
    about = {".tag": "file", "rev": "1", "size": 3, "client_modified": "0000-01-02T03:04:05Z", "content_hash": "x"}
    return {**about, "name": name, "path_lower": path, **other}


def test_folders_of_dropbox_may_be_of_any_depth(talk: Talk) -> None:
    deep = "/d" * 1_500
    at = dropbox(talk, entry(f"{deep}/f", "F"), entry("/d" * 5_000_000 + "/g", "g"))
    assert [one.name for one in at.walk()] == [f"{deep[1:]}/F"]
    at.close()


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ""])
def test_what_lies_in_a_folder_of_dropbox_is_in_it(talk: Talk, name: str) -> None:
    at = dropbox(talk, entry("/x", name))
    assert list(at.files_in("folder")) == []
    at.close()


def test_a_folder_of_dropbox_that_is_listed_without_an_end_is_given_up(talk: Talk) -> None:
    for what in (lambda at: at.files_in("folder"), lambda at: at.walk()):
        at = dropbox(talk, entry("/x", "x"), has_more=True)
        with pytest.raises(OSError, match="without an end"):
            list(what(at))
        at.close()


# What is said in headers

ODD = {
    "no ASCII": b'ETag: "\xff"\r\nX-Amz-Meta-Name: caf\xc3\xa9\r\nServer: \xff',
    "a year without a date": b"Last-Modified: Sat, 01 Jan 0000 00:00:00 GMT",
    "the last moment": b"Last-Modified: Fri, 31 Dec 9999 23:59:59 -2359",
    "no number": b"Content-Range: bytes 0-2/\xb2\r\nRetry-After: \xb2",
    "what Dropbox says": b'Dropbox-API-Result: {"name": "\xff"}',
}


@pytest.mark.parametrize("said", ODD)
@pytest.mark.parametrize("driver", ["webdav", "amazon_s3", "dropbox"])
def test_headers_that_are_none_end_no_process(driver: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PAUSES", ())
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" + ODD[said] + b"\r\n\r\nabc") as url:
        options = {
            "webdav": {"hostname": url},
            "amazon_s3": {"bucket": "b", "aws_access_key": "a", "aws_secret_key": "s", "endpoint": url},
            "dropbox": {"access_token": "t", "api_url": url, "content_url": url},
        }[driver]
        at = drive(driver, with_defaults(driver, options))
        for ask in (at.check, lambda: list(at.walk()), lambda: at.stat("f"), lambda: at.open("f").__exit__(None)):
            try:
                ask()
            except (OSError, Vanished, Changed) as told:
                assert not isinstance(told, UnicodeError)
        at.close()


def test_metadata_that_somebody_wrote_in_their_letters_costs_nothing() -> None:
    with saying(b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: "e"\r\nX-Amz-Meta-Name: caf\xc3\xa9\r\n\r\n') as url:
        given = {"bucket": "b", "aws_access_key": "a", "aws_secret_key": "s", "endpoint": url}
        at = s3_bucket.Bucket(given, asking.Asking())
        assert at.head("f") == s3_bucket.Held(3, "e", 0, {})


@contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """To whatever is asked, byte for byte."""

    def answer_all() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                if connection.recv(65_536):
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer_all, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
