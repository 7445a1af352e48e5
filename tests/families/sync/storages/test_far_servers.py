"""What only an SSH or a WebDAV server has: keys of hosts, links, TLS."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.storages import kinds
from tests.families.sync.storages.kinds import Kind, contents, write
from tests.services.apache import Apache
from tests.services.asyncsshd import AsyncSshd
from tests.services.sshd import Sshd, SshdWithGuest, can_know_others, find_sshd
from undercroft.base.refusals import Refusal
from undercroft.families.sync.drivers import with_defaults
from undercroft.families.sync.model import HIDDEN, visible, with_secrets
from undercroft.families.sync.storages import drive, sftp_connection
from undercroft.families.sync.storages.errors import InTheWay, Vanished

STRANGER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ5b3VyLXN0cmFuZ2VyLWtleS1vZi10aGUtdGVzdHM="


@pytest.fixture
def far(sshd: Sshd, tmp_path: Path) -> Iterator[Kind]:
    kind = kinds.sftp(sshd, tmp_path)
    yield kind
    kind.close()


@pytest.fixture(params=("OpenSSH", "asyncssh") if can_know_others() and find_sshd() else ("asyncssh",))
def guest(request: pytest.FixtureRequest) -> Iterator[tuple[Kind, Path]]:
    """A storage over SFTP with a password, and its folder, in which `private` can't be read.

    OpenSSH's server where this machine lets it have a user of ours, asyncssh's everywhere.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="undercroft-guest-")))
        folder.chmod(0o755)
        root = folder / "root"
        (root / "private" / "below").mkdir(parents=True)
        server: SshdWithGuest | AsyncSshd
        if request.param == "OpenSSH":
            server = SshdWithGuest(find_sshd() or "")
            stack.callback(server.remove)
            server.start()
            os.chown(root, server.number, server.number)
            (root / "private").chmod(0)
        else:
            server = stack.enter_context(AsyncSshd())
        options = _with_password(server, root)
        kind = Kind("sftp", options, set, lambda _: None, {**options, "password": "hunter2"})
        stack.callback(kind.close)
        yield kind, root


def test_a_password_lets_in_and_a_wrong_one_is_told_without_it(guest: tuple[Kind, Path]) -> None:
    kind, root = guest
    storage = kind.open()
    storage.check(0)
    write(storage, "folder/f", b"content")
    assert (root / "folder" / "f").read_bytes() == b"content"
    for wrong in ("hunter2", ""):
        with pytest.raises(Vanished, match="check username, password or private key") as told:
            kind.open(password=wrong).check(0)
        assert "hunter2" not in str(told.value)


def test_a_user_whose_name_none_can_have_is_told(tmp_path: Path) -> None:
    with AsyncSshd() as server:
        kind = Kind("sftp", {**_with_password(server, tmp_path), "username": "\ue000"}, set, lambda _: None, None)
        with pytest.raises(Vanished, match="option username"):
            kind.open().check(0)
        kind.close()


def test_a_folder_that_cant_be_read_is_skipped_for_itself(guest: tuple[Kind, Path]) -> None:
    kind, _ = guest
    storage = kind.open()
    storage.check(0)
    write(storage, "f", b"content")
    assert contents(storage) == {"f": b"content"}
    assert list(storage.skipped) == ["private"]
    assert storage.skipped["private"].startswith("this folder can't be read: ")


def test_a_folder_that_webdav_refuses_is_skipped_for_itself(apache: Apache) -> None:
    kind = kinds.webdav(apache)
    root = apache.files / kind.options["root"]
    (root / "private" / "below").mkdir(parents=True)
    (root / "private").chmod(0)
    try:
        storage = kind.open()
        storage.check(0)
        write(storage, "f", b"content")
        assert contents(storage) == {"f": b"content"}
        assert list(storage.skipped) == ["private"]
    finally:
        (root / "private").chmod(0o755)
        kind.close()


def test_a_server_that_keeps_less_than_it_was_sent_is_told(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with AsyncSshd() as server:
        kind = Kind("sftp", _with_password(server, tmp_path / "root"), set, lambda _: None, None)
        storage = kind.open()
        storage.check(0)
        first = write(storage, "f", b"one").revision
        server.forgets = True
        for base, name in ((first, "f"), ("", "g")):
            with pytest.raises(OSError, match="did not keep all that was sent"):
                write(storage, name, b"other", base)
        assert contents(storage) == {"f": b"one"}
        kind.close()


def test_what_a_server_can_t_make_durable_gets_no_name(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with AsyncSshd() as server:
        kind = Kind("sftp", _with_password(server, tmp_path / "root"), set, lambda _: None, None)
        storage = kind.open()
        storage.check(0)
        server.cant_sync = True
        with pytest.raises(OSError, match="the disk has failed"):
            write(storage, "f", b"content")
        assert contents(storage) == {}
        kind.close()


def test_a_folder_may_take_longer_to_list_than_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp_connection, "ANSWER_WITHIN", 2.0)
    root = tmp_path / "root"
    root.mkdir()
    for number in range(500):
        (root / f"{number:03}").touch()
    with AsyncSshd() as server:
        kind = Kind("sftp", _with_password(server, root), set, lambda _: None, None)
        storage = kind.open()
        server.pause = 0.5
        assert len(list(storage.walk(b"", lambda *_: None))) == 500
        kind.close()


def _with_password(server: SshdWithGuest | AsyncSshd, root: Path) -> dict[str, Any]:
    return {
        "hostname": "127.0.0.1",
        "port": server.port,
        "username": server.user,
        "password": server.password,
        "host_key": server.host_key,
        "root": str(root),
    }


def fingerprint(sshd: Sshd) -> str:
    told = subprocess.run(
        ["ssh-keygen", "-lf", sshd.folder / "host_key.pub"], capture_output=True, text=True, check=True
    )
    return told.stdout.split()[1]


def test_a_host_is_known_by_its_key_its_fingerprint_or_a_file(sshd: Sshd, far: Kind, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key}\n")
    far.open().check(0)
    far.open(host_key=fingerprint(sshd)).check(0)
    far.open(host_key="", known_hosts=str(known)).check(0)


@pytest.mark.parametrize("key", ["SHA256:0000000000000000000000000000000000000000000", ""])
def test_a_strange_host_is_refused_and_its_fingerprint_told(sshd: Sshd, far: Kind, key: str, tmp_path: Path) -> None:
    (tmp_path / "nobody").write_text("")
    with pytest.raises(Vanished) as told:
        far.open(host_key=key, known_hosts=str(tmp_path / "nobody")).check(0)
    assert fingerprint(sshd) in str(told.value)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"private_key_path": "/nowhere/at/all"}, "private_key_path"),
        ({"private_key": "no key at all"}, "private key"),
        ({"host_key": "no key"}, "host_key"),
        ({"root": "/nowhere/at/all"}, "no folder"),
    ],
)
def test_what_has_to_be_mended_is_said(far: Kind, options: dict[str, str], word: str) -> None:
    with pytest.raises(Vanished) as told:
        far.open(**options).check(0)
    assert word in str(told.value)


@pytest.mark.parametrize("kind_of_file", ["endless", "fifo", "large", "folder"])
def test_a_file_that_an_option_names_is_a_regular_one_of_up_to_a_mebibyte(kind_of_file: str, tmp_path: Path) -> None:
    path = Path("/dev/zero") if kind_of_file == "endless" else tmp_path / kind_of_file
    if kind_of_file == "fifo":
        os.mkfifo(path)
    elif kind_of_file == "large":
        path.write_bytes(bytes(2**20 + 1))
    elif kind_of_file == "folder":
        path.mkdir()
    far = {"hostname": "127.0.0.1", "port": 1, "username": "u"}
    places: list[tuple[str, str, dict[str, Any]]] = [
        ("sftp", "known_hosts", far),
        ("sftp", "private_key_path", far),
        ("webdav", "ca_file", {"hostname": "https://127.0.0.1:1"}),
    ]
    for driver, option, options in places:
        with pytest.raises(Vanished, match=option):
            drive(driver, with_defaults(driver, {**options, option: str(path)})).check()


def test_known_hosts_that_are_none_are_told(far: Kind, tmp_path: Path) -> None:
    for content in (b"[127.0.0.1\n", b"\xff\xfe"):
        (tmp_path / "hosts").write_bytes(content)
        with pytest.raises(Vanished, match="known_hosts"):
            far.open(host_key="", known_hosts=str(tmp_path / "hosts")).check(0)


def test_links_are_not_followed(far: Kind, tmp_path: Path) -> None:
    root, outside = Path(far.options["root"]), tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"elsewhere")
    storage = far.open()
    storage.check(0)
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "file")
    assert contents(storage) == {}
    assert set(storage.skipped) == {"folder", "file"}
    assert storage.look("file") is None
    with pytest.raises(InTheWay):
        write(storage, "folder/new", b"through the link")
    assert {path.name for path in outside.iterdir()} == {"file"}


def test_over_tls_and_not_with_whom_nobody_vouches_for(apache: Apache) -> None:
    root = apache.make_folder("over tls")
    options = with_defaults("webdav", {**apache.options(root.name), "hostname": apache.tls_url})
    trusting = drive("webdav", {**options, "ca_file": str(apache.ca_file)})
    trusting.check()
    trusting.close()
    with pytest.raises(OSError):
        drive("webdav", options).check()


@pytest.mark.parametrize(
    "hostname", ["ftp://x", "https://user:hunter2@x/", "https://x/?q=1", "https:///x", "https://[x"]
)
def test_an_address_that_is_none_is_told_without_what_is_in_it(hostname: str) -> None:
    with pytest.raises(Vanished) as told:
        drive("webdav", with_defaults("webdav", {"hostname": hostname})).check()
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("root", ["..", "a/../..", "./a"])
def test_a_root_leads_nowhere_else(root: str) -> None:
    with pytest.raises(Vanished, match="option root"):
        drive("webdav", with_defaults("webdav", {"hostname": "x", "root": root})).check()


def test_what_is_no_certificate_is_told(apache: Apache, tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    for file in ("ca", "nowhere"):
        options = with_defaults("webdav", {"hostname": apache.tls_url, "ca_file": str(tmp_path / file)})
        with pytest.raises(Vanished, match="ca_file"):
            drive("webdav", options).check()


def test_secrets_are_hidden_and_may_come_back_so() -> None:
    options = {"hostname": "x", "username": "ann", "password": "hunter2"}
    shown = visible("sftp", options)
    assert shown == {"hostname": "x", "username": "ann", "password": HIDDEN}
    assert with_secrets("sftp", {**shown, "username": "bob"}, options) == {**options, "username": "bob"}


@pytest.mark.parametrize(
    ("driver", "secret", "changed"),
    [("dropbox", "access_token", {"api_url": "http://other"}), ("dropbox", "access_token", {"content_url": "http://o"}),
     ("dropbox", "refresh_token", {"content_url": "http://other"}), ("sftp", "password", {"hostname": "other"}),
     ("sftp", "password", {"port": 23}), ("sftp", "password", {"host_key": "SHA256:other"}),
     ("sftp", "password", {"known_hosts": "/other"}), ("webdav", "token", {"hostname": "other"}),
     ("webdav", "password", {"ca_file": "/other"}), ("amazon_s3", "aws_secret_key", {"endpoint": "other"})],
)  # fmt: skip
def test_a_hidden_secret_goes_to_nobody_else(driver: str, secret: str, changed: dict[str, str]) -> None:
    options = {"hostname": "x", "root": "r", secret: "hunter2"}
    shown = visible(driver, options)
    assert with_secrets(driver, {**shown, "root": "s"}, options)[secret] == "hunter2"
    with pytest.raises(Refusal, match=f"give that anew, not as .*{re.escape(HIDDEN)}") as told:
        with_secrets(driver, {**shown, **changed}, options)
    assert secret in told.value.message
    assert with_secrets(driver, {**shown, **changed, secret: "new"}, options)[secret] == "new"
