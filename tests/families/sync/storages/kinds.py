"""Every kind of storage, with a real server behind it, as the tests of what all have in common see it."""

import io
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

from tests.services.apache import Apache
from tests.services.dropboxserver import DropboxServer
from tests.services.s3server import S3Server
from tests.services.sshd import Sshd
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.operations import Put
from undercroft.families.sync.reconcile import Content
from undercroft.families.sync.storages import Owner, Storage, open_storage
from undercroft.families.sync.storages.storage import Pace, Placed

REMOTE = ("sftp", "webdav", "amazon_s3", "dropbox")
KINDS = ("local_storage", *REMOTE)
NOON = 1_700_000_000 * 10**9


class Kind:
    """One place. `options`: of an entry that keeps its files there; `port`: of its server, None for none."""

    def __init__(
        self,
        driver: str,
        options: dict[str, Any],
        names: Callable[[], set[str]],
        remove: Callable[[str], None],
        wrong: dict[str, Any] | None,
    ) -> None:
        self.driver = driver
        self.options = options
        self.names = names
        """What others see there, without what is ours."""
        self.remove = remove
        """A folder or file below the root, or the root itself (""), by somebody who is not us."""
        self.wrong = wrong
        """Options that nobody is let in with."""
        self.folder = Path(tempfile.mkdtemp(prefix="undercroft-kind-"))
        self._opened: list[Storage] = []

    def open(self, owner: Owner | None = None, **others: Any) -> Storage:
        """Opened, checked by nobody yet."""
        storage = open_storage((self.driver, {**self.options, **others}), self.folder / "spool", owner)
        self._opened.append(storage)
        return storage

    def at_port(self, port: int) -> dict[str, Any]:
        """The options that lead to this port instead: a line to the server, which can be cut."""
        match self.driver:
            case "sftp":
                return {"port": port}
            case "webdav":
                return {"hostname": f"http://127.0.0.1:{port}"}
            case "dropbox":
                return {"api_url": f"http://127.0.0.1:{port}", "content_url": f"http://127.0.0.1:{port}"}
            case _:
                return {"endpoint": f"http://127.0.0.1:{port}"}

    @property
    def port(self) -> int:
        """Its server's."""
        if self.driver == "sftp":
            return int(self.options["port"])
        url = next(self.options[name] for name in ("endpoint", "api_url", "hostname") if name in self.options)
        return int(url.rpartition(":")[2])

    def close(self) -> None:
        for storage in self._opened:
            storage.close()
        shutil.rmtree(self.folder)


def local(folder: Path) -> Kind:
    root = folder / "root"
    root.mkdir()
    return Kind("local_storage", {"root": str(root)}, lambda: _names(root), lambda name: _remove(root / name), None)


def sftp(server: Sshd, folder: Path) -> Kind:
    root = folder / "root"
    root.mkdir()
    options = server.options(root)
    wrong = {**options, "username": "nobody-here"}
    return Kind("sftp", options, lambda: _names(root), lambda name: _remove(root / name), wrong)


def webdav(server: Apache) -> Kind:
    root = server.make_folder(os.urandom(8).hex())
    options = server.options(root.name)
    wrong = {**options, "password": "hunter2"}
    return Kind("webdav", options, lambda: _names(root), lambda name: _remove(root / name), wrong)


def amazon_s3(server: S3Server) -> Kind:
    bucket = server.create_bucket()
    options = {
        "bucket": bucket,
        "aws_access_key": server.key,
        "aws_secret_key": server.secret,
        "endpoint": server.url,
        "root": "all files",
    }

    def keys() -> set[str]:
        return {one["Key"] for one in server.client().list_objects_v2(Bucket=bucket).get("Contents", [])}

    def names() -> set[str]:
        found = {key.removeprefix("all files/") for key in keys()}
        return {name for name in found if not name.startswith(OWN_FOLDER)}

    def remove(name: str) -> None:
        for key in (key for key in keys() if key.startswith(f"all files/{name}")):
            server.client().delete_object(Bucket=bucket, Key=key)

    return Kind("amazon_s3", options, names, remove, {**options, "aws_secret_key": "hunter2hunter2"})


def dropbox(server: DropboxServer) -> Kind:
    """Played by a server of ours: see there."""
    server.make_folder("/all files")
    options = {**server.options, "root": "all files"}

    def names() -> set[str]:
        found = {node.shown.removeprefix("/all files/") for node in server.nodes.values() if node.content is not None}
        return {name for name in found if not name.startswith(OWN_FOLDER)}

    wrong = {**options, "refresh_token": "hunter2"}
    return Kind("dropbox", options, names, lambda name: server.remove(f"/all files/{name}".rstrip("/")), wrong)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _names(root: Path) -> set[str]:
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith(OWN_FOLDER)}


def write(storage: Storage, path: str, content: bytes, base: str = "", keep_as: str = "") -> Placed:
    """What a worker does with a file that is to come."""
    put = wanted(path, content, base, keep_as)
    token = storage.receive(put, Bytes(content), lambda _: None)
    storage.make_durable([token])
    placed = storage.put_in_place(put, token)
    storage.make_names_durable([path])
    return placed


def unpaced(_size: int) -> Pace:
    return lambda _: None


def wanted(path: str, content: bytes, base: str = "", keep_as: str = "") -> Put:
    return Put(path, 1, Content(blake3(content).hexdigest(), len(content), NOON, 0o644), base, keep_as, ())


def contents(storage: Storage) -> dict[str, bytes]:
    """All that is there: path → content."""
    return {found.path: read(storage, found.path) for found in storage.walk(b"", lambda *_: None)}


def read(storage: Storage, path: str, start: int = 0) -> bytes:
    with storage.open_source(path) as source:
        source.seek(start)
        return b"".join(iter(lambda: source.read(70_000), b""))


def revision(storage: Storage, path: str) -> str:
    found = storage.look(path)
    assert found, f"{path} is there"
    return found


class Bytes(io.RawIOBase):
    """Content to read from, which may end too early."""

    def __init__(self, content: bytes, ends_at: int | None = None) -> None:
        self._content = content if ends_at is None else content[:ends_at]
        self._fails = ends_at is not None
        self._at = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        block = self._content[self._at : self._at + size]
        self._at += len(block)
        if not block and self._fails:
            raise ConnectionResetError("the line was cut")
        return block


class Unread(Bytes):
    def read(self, size: int = -1) -> bytes:
        raise AssertionError("it is read, although that is in vain")
