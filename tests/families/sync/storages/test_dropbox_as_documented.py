"""The drive for Dropbox, against a server of ours that answers as Dropbox' documentation says: none was at hand."""

import errno
import io
import itertools
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from tests.families.sync.storages.drives import NS, making, put, read
from tests.services.dropboxserver import ACCOUNT, BLOCK, DropboxServer
from undercroft.families.sync.storages.dropbox import LISTED_ANEW, Dropbox
from undercroft.families.sync.storages.errors import Changed, SourceChanged, Vanished

MIB = 2**20


@pytest.fixture
def server() -> Iterator[DropboxServer]:
    with DropboxServer() as dropbox:
        dropbox.make_folder("/Papers")
        yield dropbox


@pytest.fixture
def drive_of(server: DropboxServer) -> Iterator[Callable[..., Dropbox]]:
    with making(Dropbox, {**server.options, "root": "/Papers"}) as drive:
        yield drive


@pytest.fixture
def drive(drive_of: Callable[..., Dropbox]) -> Dropbox:
    return drive_of()


def names(drive: Dropbox) -> list[str]:
    return sorted(stat.name for stat in drive.walk())


def test_what_is_put_is_there_with_its_time_in_seconds(server: DropboxServer, drive_of: Callable[..., Dropbox]) -> None:
    drive = drive_of(account=ACCOUNT)
    drive.check()
    made = put(drive, "a folder/ü€ 𝄞.txt", b"0123456789", mtime=1_234_567_890_123_456_789)

    assert made == drive.stat("a folder/ü€ 𝄞.txt")
    assert made.mtime == 1_234_567_890 * NS
    assert list(drive.walk()) == [made]
    assert read(drive, made.name) == b"0123456789"
    assert read(drive, made.name, 7) == b"789"
    assert read(drive, made.name, 10) == b""
    assert server.nodes["/papers/a folder/ü€ 𝄞.txt"].content == b"0123456789"


def test_a_walk_asks_for_what_has_changed_only(server: DropboxServer, drive: Dropbox) -> None:
    server.page = 2
    for name in ("a", "Below/b", "Below/c", "Below/Deep/d"):
        put(drive, name)
    assert names(drive) == ["Below/Deep/d", "Below/b", "Below/c", "a"]
    listed = server.asked["files/list_folder"]

    server.remove("/Papers/Below/c")
    server.put("/Papers/Below/c/now a folder's", b"x")
    server.put("/Papers/a", b"changed")
    drive.delete("Below/b", stat.revision if (stat := drive.stat("Below/b")) else "")
    assert server.asked["files/list_folder"] == listed
    drive_a = {stat.name: stat for stat in drive.walk()}

    assert sorted(drive_a) == ["Below/Deep/d", "Below/c/now a folder's", "a"]
    assert drive_a["a"].size == 7
    assert server.asked["files/list_folder"] == listed


def test_a_folder_that_is_deleted_takes_what_is_below_it(server: DropboxServer, drive: Dropbox) -> None:
    for name in ("gone/a", "gone/deep/b", "gone too"):
        put(drive, name)
    assert len(names(drive)) == 3

    server.remove("/Papers/gone")

    assert names(drive) == ["gone too"]


def test_all_is_listed_anew_where_the_cursor_is_refused_and_after_hours(
    server: DropboxServer, drive_of: Callable[..., Dropbox]
) -> None:
    now = [1_000.0]
    drive = drive_of(clock=lambda: now[0])
    put(drive, "a")
    assert names(drive) == ["a"]
    server.forget_cursors()
    put(drive, "b")
    assert names(drive) == ["a", "b"]
    listed = server.asked["files/list_folder"]

    now[0] += LISTED_ANEW
    assert names(drive) == ["a", "b"]

    assert server.asked["files/list_folder"] == listed + 1


@pytest.mark.parametrize("size", [0, 4 * MIB, 4 * MIB + 1, 13 * MIB])
def test_content_of_any_size_arrives(server: DropboxServer, drive: Dropbox, size: int) -> None:
    content = bytes(itertools.islice(itertools.cycle(b"undercroft "), size))

    made = put(drive, "large", content)

    assert read(drive, "large") == content
    assert made.size == size
    assert server.asked["files/upload_session/append_v2"] == max(0, -(-size // BLOCK) - 1)


def test_sending_takes_little_memory(server: DropboxServer, drive: Dropbox, monkeypatch: pytest.MonkeyPatch) -> None:
    class Zeros(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(min(size, MIB))

    # The server is in this process, and shall keep none of it.
    monkeypatch.setattr(server, "_append", lambda argument, body: None)
    monkeypatch.setattr(server, "_finish", lambda argument, body: {"other": "none"})
    drive.check()
    tracemalloc.start()
    with pytest.raises(OSError, match="tells no name"):
        drive.put("large", Zeros(), 26 * MIB, 0, "")  # type: ignore[arg-type]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 20 * MIB


def test_a_source_that_ends_early_leaves_nothing(server: DropboxServer, drive: Dropbox) -> None:
    with pytest.raises(SourceChanged):
        drive.put("large", io.BytesIO(bytes(6 * MIB)), 12 * MIB, 0, "")

    assert [key for key, node in server.nodes.items() if node.content is not None] == []


@pytest.mark.parametrize("size", [7, 6 * MIB])
def test_one_of_two_that_write_at_once_is_told(drive_of: Callable[..., Dropbox], size: int) -> None:
    first, second = drive_of(), drive_of()
    base = put(first, "a").revision
    put(second, "a", b"second", base=base)

    for verb in (
        lambda: put(first, "a", b"f" * size, base=base),
        lambda: put(first, "a", b"f" * size),
        lambda: first.delete("a", base),
        lambda: first.move("a", base, "b"),
        lambda: first.copy("a", base, "b"),
    ):
        with pytest.raises(Changed):
            verb()
    assert read(first, "a") == b"second"
    assert first.stat("b") is None


@pytest.mark.parametrize(
    ("call", "size"),
    [("upload", 7), *((f"upload_session/{call}", 9 * MIB) for call in ("start", "append_v2", "finish"))],
)
def test_a_write_whose_answer_is_lost_is_known_as_ours(
    server: DropboxServer, drive: Dropbox, call: str, size: int
) -> None:
    server.lose[f"files/{call}"] = 1

    made = put(drive, "a", bytes(size))

    assert made == drive.stat("a")
    assert server.nodes["/papers/a"].content == bytes(size)


def test_a_move_a_copy_and_a_deletion_whose_answers_are_lost_are_done(server: DropboxServer, drive: Dropbox) -> None:
    made = put(drive, "a")
    server.lose.update({"files/move_v2": 1, "files/copy_v2": 1, "files/delete_v2": 1})

    moved = drive.move("a", made.revision, "moved")
    copied = drive.copy("moved", moved.revision, "copied")
    drive.delete("moved", moved.revision)

    assert names(drive) == ["copied"]
    assert drive.stat("copied") == copied


def test_what_changes_while_it_is_moved_is_put_back(
    server: DropboxServer, drive: Dropbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = put(drive, "a")
    make_way = drive._make_way

    def slow(name: str) -> None:
        make_way(name)
        server.put("/Papers/a", b"meanwhile " + made.revision.encode())

    monkeypatch.setattr(drive, "_make_way", slow)
    for verb in (drive.copy, drive.move):
        with pytest.raises(Changed):
            verb("a", made.revision, "b")
        made = made._replace(revision=server.nodes["/papers/a"].rev)

    assert names(drive) == ["a"]


@pytest.mark.parametrize(
    ("there", "asked"),
    [("a", "A"), ("Photos/a", "photos/b"), ("Photos/Deep/a", "Photos/deep/b"), ("é", "e\u0301"), ("ÄÖ/x", "äÖ/y")],
)
def test_names_that_dropbox_takes_for_one_are_refused_for_each_file(
    server: DropboxServer, drive_of: Callable[..., Dropbox], there: str, asked: str
) -> None:
    made = put(drive_of(), there)
    fresh, walked = drive_of(), drive_of()
    assert names(walked) == [there]
    put(walked, "other")
    other = put(fresh, "other 2")

    for drive in (fresh, walked):
        for verb in (
            lambda drive=drive: put(drive, asked),
            lambda drive=drive: drive.copy("other 2", other.revision, asked),
            lambda drive=drive: drive.move("other 2", other.revision, asked),
        ):
            with pytest.raises(OSError) as refused:
                verb()
            assert refused.value.errno == errno.EILSEQ
        assert drive.stat(asked) is None
        assert drive.stat(there) == made


def test_letters_that_dropbox_composes_are_refused_and_leave_nothing(drive: Dropbox) -> None:
    with pytest.raises(OSError) as refused:
        put(drive, "e\u0301")

    assert refused.value.errno == errno.EILSEQ
    assert names(drive) == []


def test_a_name_whose_case_alone_changes_is_moved_in_two_steps(drive: Dropbox) -> None:
    made = put(drive, "readme")

    moved = drive.move("readme", made.revision, "README")

    assert names(drive) == ["README"]
    assert drive.stat("README") == moved
    assert drive.stat("readme") is None


@pytest.mark.parametrize("name", ["a//b", "./x", "x/..", "/x", "x/", "", "a\x00b", "x" * 256, "trailing ", "\udcff"])
def test_names_that_dropbox_does_not_take_are_refused(server: DropboxServer, drive: Dropbox, name: str) -> None:
    with pytest.raises((OSError, UnicodeEncodeError)) as refused:
        put(drive, name)

    assert not isinstance(refused.value, OSError) or refused.value.errno == errno.EILSEQ
    assert [key for key, node in server.nodes.items() if node.content is not None] == []


def test_an_empty_folder_makes_way_and_one_with_a_file_does_not(server: DropboxServer, drive: Dropbox) -> None:
    server.make_folder("/Papers/a/empty")
    put(drive, "a")
    put(drive, "b/inside")

    with pytest.raises(IsADirectoryError):
        put(drive, "b")
    with pytest.raises(NotADirectoryError):
        put(drive, "a/below")
    assert names(drive) == ["a", "b/inside"]


def test_what_is_no_file_is_not_listed(server: DropboxServer, drive: Dropbox) -> None:
    server.put("/Papers/paper", b"x", is_downloadable=False)
    server.put("/Papers/link", b"x", symlink_info={"target": "/etc/passwd"})
    server.put("/Elsewhere", b"x")
    put(drive, ".undercroft/versions/1")
    put(drive, "a")

    assert names(drive) == ["a"]


def test_a_token_that_ends_is_renewed(server: DropboxServer, drive_of: Callable[..., Dropbox]) -> None:
    now = [0.0]
    drive = drive_of(clock=lambda: now[0])
    put(drive, "a")
    assert server.asked["/oauth2/token"] == 1

    server.tokens.clear()
    assert read(drive, "a") == b"content"
    now[0] += 14_400
    assert drive.stat("a")

    assert server.asked["/oauth2/token"] == 3


def test_a_busy_dropbox_is_waited_for_as_long_as_it_says(
    server: DropboxServer, drive_of: Callable[..., Dropbox]
) -> None:
    pauses: list[float] = []
    drive = drive_of(pauses)
    put(drive, "a")
    busy = (429, {"retry-after": "7"}, b'{"error_summary": "too_many_write_operations/..", "error": {}}')
    server.answers["files/upload"] += [busy, (503, {}, b"")]

    put(drive, "b")
    assert pauses == [7, 1]

    server.answers["files/upload"].append((429, {"retry-after": "300"}, b"{}"))
    with pytest.raises(OSError, match="300 seconds"):
        put(drive, "c")
    assert pauses == [7, 1]


@pytest.mark.parametrize(
    ("tags", "number"),
    [
        ("path/insufficient_space", errno.ENOSPC),
        ("path/disallowed_name", errno.EILSEQ),
        ("path/no_write_permission", errno.EACCES),
        ("path/operation_suppressed", errno.EIO),
    ],
)
def test_what_dropbox_refuses_is_an_error_that_says_so(
    server: DropboxServer, drive: Dropbox, tags: str, number: int
) -> None:
    server.answers["files/upload"].append((409, {}, f'{{"error_summary": "{tags}/.", "error": {{}}}}'.encode()))

    with pytest.raises(OSError, match=tags) as refused:
        put(drive, "a")

    assert refused.value.errno == number


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"refresh_token": "a-wrong-token"}, "refresh_token"),
        ({"access_secret": "a-wrong-secret"}, "access_secret"),
        ({"refresh_token": "", "access_token": "a-wrong-token"}, "new one"),
        ({"refresh_token": "", "access_token": "a-wrong\ntoken"}, "options"),
        ({"refresh_token": "", "access_token": ""}, "set refresh_token"),
        ({"root": "/Nowhere"}, "/Nowhere"),
        ({"account": "bob@example.com"}, "bob@example.com"),
        ({"api_url": "ftp://127.0.0.1"}, "options"),
    ],
)
def test_what_has_to_be_mended_is_said_without_a_secret(
    server: DropboxServer, drive_of: Callable[..., Dropbox], wrong: dict[str, str], text: str
) -> None:
    with pytest.raises(Vanished) as said:
        drive_of(**wrong).check()

    assert text in str(said.value)
    told = {**server.options, **wrong}
    shown = f"{said.value!r} {said.value}"
    assert not [
        name
        for name in ("access_secret", "refresh_token", "access_token")
        if told.get(name) and told[name] != name and told[name] in shown
    ]


def test_a_token_that_may_not_write_is_told_of_its_scope(server: DropboxServer, drive: Dropbox) -> None:
    error = b'{".tag": "missing_scope", "required_scope": "files.content.write"}'
    body = b'{"error_summary": "missing_scope/..", "error": ' + error + b"}"
    server.answers["files/upload"] += [(401, {}, body)] * 2

    with pytest.raises(Vanished, match=r"files\.content\.write"):
        drive.check()


@pytest.mark.parametrize(
    "body",
    [b"welcome", b"{}", b"[]", b'{"entries": [{"path_lower": "/papers/a"}], "cursor": "c", "has_more": false}'],
)
def test_what_is_no_dropbox_is_told(server: DropboxServer, drive: Dropbox, body: bytes) -> None:
    server.answers["files/list_folder"].append((200, {}, body))

    with pytest.raises(OSError, match="api_url"):
        list(drive.walk())


def test_a_folder_is_asked_about_once(server: DropboxServer, drive_of: Callable[..., Dropbox]) -> None:
    put(drive_of(), "folder/a")
    drive = drive_of()
    put(drive, "folder/b")
    asked = server.asked["files/get_metadata"]

    put(drive, "folder/c")

    assert server.asked["files/get_metadata"] == asked + 1
