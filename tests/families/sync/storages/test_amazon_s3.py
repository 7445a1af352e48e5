"""What is S3's own: parts, conditions and servers without them, lost answers, keys, folders' marks, refusals."""

import errno
import io
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.families.sync.storages.drives import NS, making, put, read
from tests.services.proxy import Proxy
from tests.services.receiver import Answer, Receiver
from tests.services.s3server import REGION, S3Server
from undercroft.families.sync.storages import amazon_s3, s3_bucket, s3_parts
from undercroft.families.sync.storages.amazon_s3 import AmazonS3
from undercroft.families.sync.storages.drive import Stat
from undercroft.families.sync.storages.errors import Changed, SourceChanged, Vanished
from undercroft.families.sync.storages.s3_signing import NOTHING, Keys, signed

MIB = 2**20


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.create_bucket()


@pytest.fixture
def drive_of(s3: S3Server, bucket: str) -> Iterator[Callable[..., AmazonS3]]:
    told = {"bucket": bucket, "aws_access_key": s3.key, "aws_secret_key": s3.secret, "endpoint": s3.url}
    with making(AmazonS3, {**told, "root": "all/files"}) as drive:
        yield drive


@pytest.fixture
def drive(drive_of: Callable[..., AmazonS3]) -> AmazonS3:
    return drive_of()


def keys(s3: S3Server, bucket: str) -> list[str]:
    return [one["Key"] for one in s3.client().list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_a_signature_is_that_of_the_documentation() -> None:
    """The example "GET Object" of "Authenticating Requests (AWS Signature Version 4)"."""
    example = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")

    host, headers = "examplebucket.s3.amazonaws.com", {"range": "bytes=0-9"}
    sent = signed(example, "GET", host, "/test.txt", "", headers, NOTHING, 1_369_353_600)

    assert sent["authorization"].endswith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")


def test_a_name_is_the_key_below_the_root(s3: S3Server, bucket: str, drive: AmazonS3) -> None:
    names = [
        "trail ",
        " lead/ x",
        "q?a%41+b&=#;'*(!)~",
        "ü€/𝄞",
        "e\u0301",
        "é",
        "back\\slash",
        "a:b@c,d",
        "..x",
        "tab\t",
        "\x01",
    ]
    for name in names:
        put(drive, name)

    assert sorted(keys(s3, bucket)) == sorted(f"all/files/{name}" for name in names)
    assert sorted(stat.name for stat in drive.walk()) == sorted(names)
    assert all(read(drive, name) == b"content" for name in names)


@pytest.mark.parametrize("name", ["a//b", "./x", "x/..", "/x", "x/", "", "é" * 510, "\udcff"])
def test_what_s3_might_fold_is_refused(s3: S3Server, bucket: str, drive: AmazonS3, name: str) -> None:
    for verb in (lambda: put(drive, name), lambda: drive.stat(name), lambda: drive.open(name)):
        with pytest.raises((OSError, UnicodeEncodeError)) as refused:
            verb()
        assert not isinstance(refused.value, OSError) or refused.value.errno == errno.EILSEQ
    assert keys(s3, bucket) == []


def test_the_time_of_a_change_is_kept_as_rclone_keeps_it(s3: S3Server, bucket: str, drive: AmazonS3) -> None:
    moments = {"a": 1_234_567_890_123_456_789, "before 1970": -5, "b": 0}
    for name, mtime in moments.items():
        put(drive, name, mtime=mtime)
    other = {"Metadata": {"mtime": "not a time"}}
    s3.client().put_object(Bucket=bucket, Key="all/files/other's", Body=b"x", **other)

    there = {name: stat.mtime for name in moments if (stat := drive.stat(name))}
    meta = s3.client().head_object(Bucket=bucket, Key="all/files/a")["Metadata"]
    arrived = drive.stat("other's")

    assert there == moments
    assert meta["mtime"] == "1234567890.123456789"
    assert arrived and arrived.mtime > 10**18


def test_folders_marks_are_no_files(s3: S3Server, bucket: str, drive: AmazonS3) -> None:
    for key in ("all/files/", "all/files/marked", "all/files/marked!", "all/files/slash/", "all/filesystem"):
        s3.client().put_object(Bucket=bucket, Key=key, Body=b"")
    put(drive, "marked/inside")
    put(drive, "empty", b"")

    assert sorted(stat.name for stat in drive.walk()) == ["empty", "marked!", "marked/inside"]
    assert drive.stat("marked") is None
    assert drive.stat("empty") is not None


def test_a_walk_takes_many_pages_and_passes_over_what_is_ours(drive: AmazonS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_bucket, "PAGE", 3)
    names = [f"{first}{number}" for first in ("!", "a", "𝄞") for number in range(4)]
    for name in names + [f".undercroft/versions/{number}" for number in range(8)]:
        put(drive, name, b"x")

    assert sorted(stat.name for stat in drive.walk()) == sorted(names)


def test_what_fails_in_parts_leaves_nothing(s3: S3Server, bucket: str, drive: AmazonS3) -> None:
    seen: list[Stat | None] = []

    class Looking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.append(drive.stat("large"))
            return super().read(size)

    with pytest.raises(SourceChanged):
        drive.put("large", Looking(bytes(6 * MIB)), 12 * MIB, 0, "")

    assert len(seen) > 2 and set(seen) == {None}
    assert "Uploads" not in s3.client().list_multipart_uploads(Bucket=bucket)
    assert [key for key in keys(s3, bucket) if "large" in key] == []


def test_parts_make_one_file_and_hold_to_what_they_replace(drive: AmazonS3) -> None:
    content = bytes(range(256)) * (11 * MIB // 256)

    made = put(drive, "large", content)
    with pytest.raises(Changed):
        put(drive, "large", content[::-1])
    with pytest.raises(Changed):
        put(drive, "large", content[::-1], base="another")

    assert drive.stat("large") == made
    assert read(drive, "large", 5 * MIB + 3) == content[5 * MIB + 3 :]
    assert read(drive, "large", len(content)) == b""
    assert put(drive, "large", b"small", base=made.revision) == drive.stat("large")


def test_sending_takes_little_memory(drive: AmazonS3) -> None:
    class Zeros(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(min(size, MIB))

    drive.check()
    tracemalloc.start()
    drive.put("large", Zeros(), 26 * MIB, 0, "")  # type: ignore[arg-type]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 15 * MIB


@pytest.mark.parametrize("size", [7, 6 * MIB])
def test_a_write_whose_answer_is_lost_is_known_as_ours(
    s3: S3Server, drive_of: Callable[..., AmazonS3], size: int
) -> None:
    """The second try finds what the first has put, and must not take it for somebody else's."""
    with Proxy(s3.port) as proxy:
        drive = drive_of(endpoint=proxy.url)
        drive.check()
        source = _Cutting(proxy, size)

        made = drive.put("a", source, size, 0, "")
        assert drive.stat("a") == made

        proxy.replies_to_lose = 1
        drive.delete("a", made.revision)
        assert drive.stat("a") is None


def test_a_server_that_stays_away_is_an_error_that_heals(s3: S3Server, drive_of: Callable[..., AmazonS3]) -> None:
    with Proxy(s3.port) as proxy:
        drive = drive_of(endpoint=proxy.url)
        made = put(drive, "a")
        proxy.cut()
        for verb in (lambda: drive.stat("a"), lambda: put(drive, "b"), lambda: list(drive.walk())):
            with pytest.raises(ConnectionError, match=r"tried again|does it run"):
                verb()
        proxy.mend()

        assert drive.stat("a") == made


def test_one_of_two_that_write_at_once_is_told(drive_of: Callable[..., AmazonS3]) -> None:
    first, second = drive_of(), drive_of()
    base = put(first, "a").revision
    put(second, "a", b"second", base=base)

    for verb in (
        lambda: put(first, "a", b"first", base=base),
        lambda: first.delete("a", base),
        lambda: first.move("a", base, "b"),
        lambda: first.copy("a", base, "b"),
    ):
        with pytest.raises(Changed):
            verb()
    assert read(first, "a") == b"second"
    assert first.stat("b") is None


def test_a_move_that_comes_too_late_leaves_no_copy(
    drive_of: Callable[..., AmazonS3], monkeypatch: pytest.MonkeyPatch
) -> None:
    drive, other = drive_of(), drive_of()
    base = put(drive, "a").revision
    copy = drive._copied

    def slow_copy(source: str, base: str, name: str) -> Stat:
        made = copy(source, base, name)
        put(other, "a", b"meanwhile", base=base)
        return made

    monkeypatch.setattr(drive, "_copied", slow_copy)
    with pytest.raises(Changed):
        drive.move("a", base, "b")

    assert [stat.name for stat in drive.walk()] == ["a"]
    assert read(drive, "a") == b"meanwhile"


def test_what_s3_does_not_copy_at_once_is_copied_in_parts(drive: AmazonS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amazon_s3, "COPIED_AT_ONCE", MIB)
    monkeypatch.setattr(s3_parts, "COPIED_PART", 5 * MIB)
    content = bytes(range(256)) * (11 * MIB // 256)
    made = put(drive, "large", content, mtime=123 * NS)

    copied = drive.copy("large", made.revision, "copied")

    assert copied == drive.stat("copied")
    assert copied.mtime == 123 * NS
    assert read(drive, "copied") == content


def test_content_that_was_stored_compressed_comes_as_it_is(s3: S3Server, bucket: str, drive: AmazonS3) -> None:
    s3.client().put_object(Bucket=bucket, Key="all/files/a", Body=b"\x1f\x8bnot", ContentEncoding="gzip")

    assert read(drive, "a") == b"\x1f\x8bnot"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"aws_secret_key": "not-the-secret"}, "aws_access_key and aws_secret_key"),
        ({"aws_access_key": "not-the-key"}, "aws_access_key and aws_secret_key"),
        ({"aws_access_key": "not\nthe-key"}, "options"),
        ({"aws_secret_key": "\ud800"}, "aws_secret_key"),
        ({"bucket": "no-such-bucket"}, "no bucket no-such-bucket"),
        ({"bucket": "../x"}, "bucket"),
        ({"bucket": "a\x00b"}, "bucket"),
        ({"endpoint": "ftp://127.0.0.1"}, "options"),
        ({"endpoint": "http://[::"}, "endpoint"),
        ({"root": "a/../b"}, "root"),
        ({"region": "x\ny"}, "options"),
    ],
)
def test_what_has_to_be_mended_is_said_without_a_secret(
    s3: S3Server, drive_of: Callable[..., AmazonS3], wrong: dict[str, str], text: str
) -> None:
    with pytest.raises(Vanished) as said:
        drive_of(**wrong).check()

    assert text in str(said.value)
    told = {**{"aws_access_key": s3.key, "aws_secret_key": s3.secret}, **wrong}
    shown = f"{said.value!r} {said.value}"
    assert not [name for name in ("aws_access_key", "aws_secret_key") if told[name] in shown]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>welcome<br></html>",
        b"<r><Contents><Key>a</Key></Contents></r>",
        b"<r><Contents><Key>a</Key><Size>1</Size><LastModified>now</LastModified></Contents></r>",
        b"\xff" * 9,
    ],
)
def test_what_is_no_s3_is_told(receiver: Receiver, drive_of: Callable[..., AmazonS3], body: bytes) -> None:
    receiver.answer("/b", Answer(200, body), Answer(200, body))

    with pytest.raises(OSError, match="option endpoint"):
        list(drive_of(endpoint=receiver.url("")).walk())


@pytest.fixture
def drive_without_conditions() -> Iterator[AmazonS3]:
    """As many servers were until 2024; here the real one, which does not get to see the conditions."""
    server = S3Server(believing=True)
    try:
        server.start()
        with _WithoutConditions(server.port) as proxy:
            told = {"bucket": server.create_bucket(), "aws_access_key": "a", "aws_secret_key": "b", "region": REGION}
            with making(AmazonS3, {**told, "endpoint": proxy.url}) as drive:
                yield drive()
    finally:
        server.remove()


def test_where_no_condition_is_heeded_a_look_just_before_does(
    drive_without_conditions: AmazonS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = drive_without_conditions
    base = put(drive, "a").revision

    for verb in (
        lambda: put(drive, "a"),
        lambda: put(drive, "a", base="another"),
        lambda: drive.delete("a", "another"),
        lambda: drive.move("a", "another", "b"),
    ):
        with pytest.raises(Changed):
            verb()
    moved = drive.move("a", base, "b")
    # Nor does this one know of a part of a file, and sends it all.
    assert read(drive, "b", 4) == b"ent"
    # And a listing it begins anew where it should go on.
    monkeypatch.setattr(s3_bucket, "PAGE", 3)
    for name in ("!", ".undercroft/versions/1", ".undercroft/versions/2"):
        put(drive, name)
    assert [stat.name for stat in drive.walk()] == ["!", "b"]
    drive.delete("b", moved.revision)

    assert drive.stat("b") is None


class _Cutting(io.BytesIO):
    """Once its last bytes are read, the next answer is lost: that to the write."""

    def __init__(self, proxy: Proxy, size: int) -> None:
        super().__init__(bytes(size))
        self._proxy, self._size = proxy, size

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(size)
        if self.tell() == self._size:
            self._proxy.replies_to_lose = 1
        return block


class _WithoutConditions(Proxy):
    def _pass_on(self, source: socket.socket, sink: socket.socket, is_reply: bool) -> None:
        super()._pass_on(source, sink if is_reply else _Blind(sink), is_reply)  # type: ignore[arg-type]


class _Blind:
    def __init__(self, sink: socket.socket) -> None:
        self._sink = sink

    def sendall(self, data: bytes) -> None:
        for name in (b"If-Match", b"If-None-Match", b"Range", b"start-after"):
            data = data.replace(name, b"X" + name[1:])
        self._sink.sendall(data)

    def shutdown(self, how: int) -> None:
        self._sink.shutdown(how)

    def close(self) -> None:
        self._sink.close()


# What is left behind


def cut(*_: object) -> None:
    raise TimeoutError(errno.ETIMEDOUT, "no answer")


@pytest.fixture
def uploads(s3: S3Server, bucket: str) -> Callable[[], list[str]]:
    return lambda: [one["Key"] for one in s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def test_parts_that_a_killed_process_left_go_when_nobody_can_be_at_them(
    s3: S3Server,
    bucket: str,
    drive_of: Callable[..., AmazonS3],
    uploads: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3.client().create_multipart_upload(Bucket=bucket, Key="all/files/another's")
    with monkeypatch.context() as killed:  # nothing of what it would do in the end is done
        killed.setattr(s3_bucket.Bucket, "complete", cut)
        killed.setattr(s3_bucket.Bucket, "abort", cut)
        with pytest.raises(TimeoutError):
            put(drive_of(), "large", b"x" * (6 * MIB))
    assert sorted(uploads()) == ["all/files/another's", "all/files/large"]
    drive_of().check()
    assert len(uploads()) == 2, "somebody may be at it still"

    monkeypatch.setattr(s3_parts, "is_left", lambda name: True)
    elsewhere = s3.client().create_multipart_upload(Bucket=bucket, Key="elsewhere")["UploadId"]
    other = f'["elsewhere", "{elsewhere}"]'.encode()
    for key, body in ((f"{NOTES}odd", b"{"), (f"{NOTES}other", other), (f"{NOTES}over", OVER)):
        s3.client().put_object(Bucket=bucket, Key=key, Body=body)
    with monkeypatch.context() as away:
        away.setattr(s3_bucket.Bucket, "abort", cut)
        drive_of().check()
        assert len(uploads()) == 3
    drive_of().check()
    assert sorted(uploads()) == ["all/files/another's", "elsewhere"]
    assert keys(s3, bucket) == []


def test_what_has_come_in_parts_leaves_nothing_but_itself(
    s3: S3Server, bucket: str, drive: AmazonS3, uploads: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(drive, "large", b"x" * (6 * MIB))
    with pytest.raises(SourceChanged):
        drive.put("cut", io.BytesIO(b"x" * 6 * MIB), 7 * MIB, 5 * NS, "")
    assert (keys(s3, bucket), uploads()) == (["all/files/large"], [])


NOTES = "all/files/.undercroft/uploads/"
OVER = b'["all/files/f", "an upload that has come to its end"]'
KEPT = ".undercroft/versions/"


@pytest.mark.parametrize("first, second", [(f"{KEPT}1", f"{KEPT}2"), ("f.conflict-A", "f.conflict-A-1")])
def test_a_copy_that_was_given_up_and_made_all_the_same_is_the_one_that_was_wanted(
    s3: S3Server, bucket: str, drive: AmazonS3, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    made = put(drive, "f")
    with giving_up(monkeypatch), pytest.raises(TimeoutError):
        drive.copy("f", made.revision, first)
    if first.startswith(KEPT):
        other = put(drive, "g")
        assert drive.copy("g", other.revision, second.replace("2", "3")).name == f"{KEPT}3"

    told = drive.copy("f", made.revision, second)
    assert told.name == first
    assert f"all/files/{second}" not in keys(s3, bucket)
    assert read(drive, first) == b"content"
    assert drive.stat(first) is not None and told.revision == getattr(drive.stat(first), "revision", "")
    with pytest.raises(Changed):
        drive.copy("f", made.revision, first)


def test_a_move_that_was_given_up_is_gone_on_with(
    s3: S3Server, bucket: str, drive: AmazonS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = put(drive, "f")
    with giving_up(monkeypatch), pytest.raises(TimeoutError):
        drive.move("f", made.revision, f"{KEPT}1")
    assert drive.move("f", made.revision, f"{KEPT}2").name == f"{KEPT}1"
    assert keys(s3, bucket) == [f"all/files/{KEPT}1"]

    made = put(drive, "g")
    with giving_up(monkeypatch), pytest.raises(TimeoutError):
        drive.move("g", made.revision, "h")
    assert drive.move("g", made.revision, "h").name == "h"
    assert read(drive, "h") == b"content"
    assert drive.stat("g") is None


def test_another_file_under_that_name_is_no_copy(drive: AmazonS3, monkeypatch: pytest.MonkeyPatch) -> None:
    made = put(drive, "f")
    with giving_up(monkeypatch, before=True), pytest.raises(TimeoutError):
        drive.move("f", made.revision, "g")
    put(drive, "g", b"another")
    with pytest.raises(Changed):
        drive.move("f", made.revision, "g")
    assert (read(drive, "f"), read(drive, "g")) == (b"content", b"another")


def test_a_copy_whose_answer_was_lost_is_not_refused_as_another_s(
    s3: S3Server, bucket: str, drive: AmazonS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = put(drive, "f")
    really = s3_bucket.Bucket.copy

    def twice(self: s3_bucket.Bucket, source: str, key: str, headers: s3_bucket.Headers, size: int) -> str:
        really(self, source, key, headers, size)
        raise Changed(key)  # which is what the second of two says

    monkeypatch.setattr(s3_bucket.Bucket, "copy", twice)
    assert drive.copy("f", made.revision, "beside").revision == getattr(drive.stat("beside"), "revision", "")
    assert sorted(keys(s3, bucket)) == ["all/files/beside", "all/files/f"]


@contextmanager
def giving_up(monkeypatch: pytest.MonkeyPatch, *, before: bool = False) -> Iterator[None]:
    """S3 is not waited for any more, and makes the copy all the same, or `before` it began."""
    really = s3_bucket.Bucket.copy

    def copy(self: s3_bucket.Bucket, source: str, key: str, headers: s3_bucket.Headers, size: int) -> str:
        if not before:
            really(self, source, key, headers, size)
        raise TimeoutError(errno.ETIMEDOUT, "no answer")

    with monkeypatch.context() as slow:
        slow.setattr(s3_bucket.Bucket, "copy", copy)
        yield
