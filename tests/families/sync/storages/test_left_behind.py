"""What a server keeps of what was cut short is brought back, or taken away, and nobody's content with it."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.storages import kinds
from tests.families.sync.storages.kinds import Kind, contents, revision, write
from tests.services.apache import Apache
from tests.services.sshd import Sshd
from undercroft.base.ids import earliest_id, sortable_id
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.operations import Delete
from undercroft.families.sync.storages.errors import Changed
from undercroft.families.sync.storages.webdav_client import WebdavClient

DAYS_AGO = earliest_id(int((time.time() - 8 * 86_400) * 1_000))
Do = Callable[..., Any]


@pytest.fixture
def far(apache: Apache) -> Any:
    kind = kinds.webdav(apache)
    yield kind
    kind.close()


@pytest.fixture
def root(apache: Apache, far: Kind) -> Path:
    return apache.files / far.options["root"]


@pytest.mark.parametrize("again", [False, True], ids=["", "made anew"])
def test_what_comes_into_a_folder_that_is_being_removed_is_kept(
    far: Kind, root: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    storage = far.open()
    storage.check(0)
    write(storage, "folder/f", b"content")
    really = WebdavClient.do

    def do(client: WebdavClient, method: str, name: str, *arguments: Any) -> Any:
        is_ours = (method, name) == ("MOVE", "folder/")
        if is_ours:
            _make(root / "folder/below", b"just before")
        answer = really(client, method, name, *arguments)
        if is_ours and again:
            _make(root / "folder/below", b"just after")
        return answer

    monkeypatch.setattr(WebdavClient, "do", do)
    storage.delete(Delete("folder/f", 1, revision(storage, "folder/f")))
    found = contents(storage)
    assert found.pop("folder/below/new") == (b"just after" if again else b"just before")
    assert list(found.values()) == ([b"just before"] if again else [])
    assert all(name.startswith("folder/below/new.conflict-here-") for name in found)
    assert list((root / OWN_FOLDER / "emptied").iterdir()) == []


def test_what_a_killed_process_left_aside_is_shown_again(far: Kind, root: Path) -> None:
    far.open().check(0)
    aside = root / OWN_FOLDER / "emptied"
    for name in (DAYS_AGO, sortable_id(), "somebody's own"):
        (aside / name / "below").mkdir(parents=True)
        (aside / name / "below/f").write_bytes(b"content")
    (aside / (DAYS_AGO[:-1] + "1") / "below").mkdir(parents=True)
    for folder in (aside, *aside.rglob("*")):
        folder.chmod(0o777)  # the server is another user
    storage = far.open()
    storage.check(0)
    assert contents(storage) == {f"emptied.conflict-here-{DAYS_AGO}/below/f": b"content"}
    assert len(list(aside.iterdir())) == 2


@pytest.mark.parametrize("refusal", [OSError(errno.EACCES, "locked"), Changed("another has come meanwhile")])
def test_what_can_t_be_shown_again_keeps_nobody_from_the_rest(
    far: Kind, root: Path, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    far.open().check(0)
    names = [DAYS_AGO[:-1] + end for end in "123"]
    for name in names:
        _make(root / OWN_FOLDER / "emptied" / name, b"content")
    (root / OWN_FOLDER / "emptied").chmod(0o777)
    really = WebdavClient.do

    def do(client: WebdavClient, method: str, name: str, *arguments: Any) -> Any:
        if names[0] in name and method != "PROPFIND":
            raise refusal
        return really(client, method, name, *arguments)

    monkeypatch.setattr(WebdavClient, "do", do)
    storage = far.open()
    storage.check(0)
    assert set(contents(storage)) == {f"emptied.conflict-here-{name}/new" for name in names[1:]}


@pytest.mark.parametrize("driver", ["sftp", "webdav"])
def test_what_arrived_in_part_long_ago_is_taken_away(
    driver: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if driver == "sftp":
        sshd: Sshd = request.getfixturevalue("sshd")
        kind, root = kinds.sftp(sshd, tmp_path), tmp_path / "root"
    else:
        kind, root = request.getfixturevalue("far"), request.getfixturevalue("root")
    kind.open().check(0)
    incoming = root / OWN_FOLDER / "incoming"
    young = earliest_id(int((time.time() - 2 * 86_400) * 1_000))  # a slow line may be at it still
    for name in (DAYS_AGO, young, "somebody's own"):
        (incoming / name).write_bytes(b"part")
        os.utime(incoming / name, (0, 0))  # a file's own time says nothing of when it came
    kind.open().check(0)
    assert {path.name for path in incoming.iterdir()} == {young, "somebody's own"}
    if driver == "sftp":
        kind.close()


def _make(folder: Path, content: bytes) -> None:
    """With a file `new`; the server, which is another user, may take it out."""
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    (folder / "new").write_bytes(content)


SUMS = [
    ({"oc-checksum": "SHA1:{}"}, True),
    ({"x-hash-sha1": "{}"}, True),
    ({"oc-checksum": "MD5:00", "x-hash-sha1": "{}"}, True),
    ({"oc-checksum": "MD5:00"}, True),
    ({"oc-checksum": "sha1:" + "0" * 40}, False),
    ({"x-hash-sha1": "0" * 40}, False),
]


@pytest.mark.parametrize(("said", "is_right"), SUMS)
def test_the_sum_that_a_server_says_is_compared(
    far: Kind, monkeypatch: pytest.MonkeyPatch, said: dict[str, str], is_right: bool
) -> None:
    storage = far.open()
    storage.check(0)
    really = WebdavClient.do
    right = "040F06FD774092478D450774F5BA30C5DA78ACC8"  # of b"content"

    def do(client: WebdavClient, method: str, *arguments: Any) -> Any:
        answer = really(client, method, *arguments)
        return answer if method != "PUT" else {**answer, **{name: text.format(right) for name, text in said.items()}}

    monkeypatch.setattr(WebdavClient, "do", do)
    if is_right:
        write(storage, "f", b"content")
        return
    with pytest.raises(OSError, match="something else than was sent"):
        write(storage, "f", b"content")
    assert contents(storage) == {}
