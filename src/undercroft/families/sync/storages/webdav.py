"""A folder that a WebDAV server shows (RFC 4918): Apache, Nextcloud, and others.

Content is uploaded under a temporary name and takes its own by MOVE: PUT itself is whole on some servers only. That the
one which is replaced is the one that was expected is asked for in the request (the `If` header, by ETag) and looked up
just before, for servers that know no such condition. Where a server says what sum it has made of what it has got
(ownCloud's OC-Checksum, Nextcloud's X-Hash), that is compared, else the length.
"""

import contextlib
import errno
import hashlib
import io
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from undercroft.base.ids import sortable_id
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.storages.drive import Stat
from undercroft.families.sync.storages.errors import Changed, Vanished
from undercroft.families.sync.storages.judging import folder_unfit, size_of, time_of
from undercroft.families.sync.storages.long_requests import Outgoing, paced_blocks
from undercroft.families.sync.storages.others_roots import MARK, REASON
from undercroft.families.sync.storages.real_folders import RealFolders, Waiting, is_left
from undercroft.families.sync.storages.told_headers import told_headers
from undercroft.families.sync.storages.webdav_answers import Resource
from undercroft.families.sync.storages.webdav_aside import Aside
from undercroft.families.sync.storages.webdav_client import Download, WebdavClient
from undercroft.families.sync.storages.webdav_copying import INCOMING, Copies


class Webdav:
    names_are_bytes = False

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._opened: WebdavClient | None = None
        self._folders = RealFolders(self)
        self._aside = Aside(lambda: self._client, self._folders)
        self._copies = Copies(lambda name: about.size if (about := self.stat(name)) else None)
        self._knows_conditions = True

    def require_name(self, name: str) -> None:
        self._client.address(name)

    def check(self) -> None:
        root = self._client.find("")
        if root is None or not root.is_folder:
            raise Vanished(f"there is no folder at {self._client.url}")
        probe = f"{INCOMING}/{sortable_id()}"
        try:
            self._upload(probe, io.BytesIO(), 0, 0)
            self._client.do("DELETE", probe, {})
        except PermissionError:
            raise Vanished(f"the folder at {self._client.url} may not be written") from None
        for one in self.files_in(INCOMING):
            if is_left(one.name):
                self._client.do("DELETE", one.name, {})
        self._aside.clear()

    def walk(self) -> Iterator[Stat]:
        """Folder by folder: many servers answer no deeper question."""
        self._folders.forget()
        waiting = Waiting(self._client.url)
        for folder in waiting:
            try:
                _, *inner = self._client.list_folder(folder)
            except FileNotFoundError:
                if not folder:
                    raise Vanished(f"there is no folder at {self._client.url} any more") from None
                continue
            except PermissionError as error:
                if not folder:
                    raise
                yield Stat(folder, 0, "", 0, f"this folder can't be read: {error.strerror}")
                continue
            if folder and any(one.name == f"{folder}/{OWN_FOLDER}" for one in inner) and self._is_marked(folder):
                yield Stat(folder, 0, "", 0, REASON)
                continue
            for one in inner:
                if not one.is_folder:
                    yield _stat(one)
                elif unfit := folder_unfit(one.name, self.names_are_bytes):
                    yield Stat(one.name, 0, "", 0, unfit)
                else:
                    waiting.add(one.name)

    def files_in(self, folder: str) -> Iterator[Stat]:
        try:
            _, *inner = self._client.list_folder(folder)
        except FileNotFoundError:
            return
        yield from (_stat(one) for one in inner if not one.is_folder)

    def stat(self, name: str) -> Stat | None:
        found = self._client.find(name)
        return None if found is None or found.is_folder else _stat(found)

    def open(self, name: str, start: int = 0) -> "Reading":
        download = self._client.get(name, start)
        try:
            return Reading(_stat(self._told_of(name, download, start)), download)
        except BaseException:
            download.close()
            raise

    def put(self, name: str, source: BinaryIO, size: int, mtime: int, base: str) -> Stat:
        arriving = f"{INCOMING}/{sortable_id()}"
        try:
            self._upload(arriving, source, size, mtime)
            arrived = self.stat(arriving)
            if arrived is None or arrived.size != size:
                raise OSError(errno.EIO, f"{self._client.url} did not keep all that was sent; it is tried again")
            if base:
                self._conditional("MOVE", arriving, self._expect(name, base), name, size, over=True)
            else:
                self._onto_nothing("MOVE", arriving, name, None, size)
        except BaseException:
            with contextlib.suppress(OSError, Changed, Vanished):
                self._client.do("DELETE", arriving, {})
            raise
        about = self.stat(name)
        if about is None or (about.size, about.mtime) != (arrived.size, arrived.mtime):
            return Stat(name, size, "", mtime)
        return about

    def move(self, source: str, base: str, name: str) -> Stat:
        before = self._expect(source, base)
        self._onto_nothing("MOVE", source, name, before, before.size)
        self._folders.prune(source)
        return (self.stat(name) or Stat(name, before.size, "", before.mtime))._replace(name=name)

    def copy(self, source: str, base: str, name: str) -> Stat:
        before = self._expect(source, base)

        def copy(to: str, over: bool) -> None:
            if over:
                self._folders.above(to, lambda: self._conditional("COPY", source, before, to, before.size, over=True))
            else:
                self._onto_nothing("COPY", source, to, before, before.size)

        def move(made: str) -> None:
            self._onto_nothing("MOVE", made, name, None, before.size)

        self._copies.make(source, base, before.size, name, copy, move)
        about = self.stat(name)
        if about is None or about.size != before.size:
            raise Changed("it was changed while it was kept")
        return about._replace(name=name)

    def delete(self, name: str, base: str) -> None:
        before = self._expect(name, base)
        self._conditional("DELETE", name, before, None, before.size)
        self._folders.prune(name)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    # Parts

    @property
    def _client(self) -> WebdavClient:
        if self._opened is None:
            self._opened = WebdavClient(self._options)
        return self._opened

    def _is_marked(self, folder: str) -> bool:
        """Where the mark may not be looked for the folder is somebody's."""
        try:
            return self._client.find(f"{folder}/{MARK}") is not None
        except PermissionError:
            return True

    def _told_of(self, name: str, download: Download, start: int) -> Resource:
        headers = told_headers(download.response.headers)
        size = size_of(headers.get("content-length", ""))
        if size < 0:  # it is sent as it comes
            about = self._client.find(name)
            size = 0 if about is None else about.size
        elif download.response.status == 206:
            size += start
        return Resource(name, False, size, headers.get("etag", ""), time_of(headers.get("last-modified", "")))

    def _upload(self, name: str, source: Any, size: int, mtime: int) -> None:
        """Raises OSError where the server says that it has got something else."""
        headers = {
            "content-type": "application/octet-stream",
            "x-oc-mtime": str(mtime // 10**9),  # who knows it keeps the time of the change
            "x-hash": "sha1",
        }

        def send() -> None:
            source.seek(0)
            digest = hashlib.sha1(usedforsecurity=False)
            body = Outgoing(_blocks(source, digest), size, source.read)
            said = self._client.do("PUT", name, headers, size, body)
            if _sum_of(said) not in ("", digest.hexdigest()):
                raise OSError(errno.EIO, f"{self._client.url} has got something else than was sent; it is tried again")

        self._folders.above(name, send)

    def _onto_nothing(self, method: str, source: str, name: str, before: Resource | None, size: int) -> None:
        self._folders.onto_nothing(name, lambda: self._conditional(method, source, before, name, size))

    def _conditional(
        self, method: str, name: str, before: Resource | None, to: str | None, size: int, *, over: bool = False
    ) -> None:
        """`before`: what has to be there still. A server that knows no conditions says no to all of them.

        An ETag that is weak, as that of what is a second old, meets none.
        """
        headers = {} if to is None else {"destination": self._client.address(to), "overwrite": "T" if over else "F"}
        if before is None or not before.etag.startswith('"') or not self._knows_conditions:
            self._client.do(method, name, headers, size)
            return
        condition = f"<{self._client.address(before.name)}> ([{before.etag}])"
        try:
            self._client.do(method, name, {**headers, "if": condition}, size)
        except Changed:
            now = self._client.find(before.name)
            if now is None or _revision(now) != _revision(before):
                raise
            if to is not None and not over and self._client.find(to) is not None:
                raise
            self._client.do(method, name, headers, size)
            self._knows_conditions = False

    def _expect(self, name: str, base: str) -> Resource:
        about = self._client.find(name)
        if about is None or about.is_folder or _revision(about) != base:
            raise Changed("it was changed meanwhile")
        return about

    # Folders

    def is_folder(self, name: str) -> bool | None:
        there = self._client.find(name)
        return None if there is None else there.is_folder

    def make_folder(self, name: str) -> None:
        try:
            self._client.do("MKCOL", name + "/", {})
        except OSError:
            if self._client.find(name) is None:  # else another lane has just made it
                raise

    def list_folder(self, name: str) -> list[tuple[str, bool]]:
        itself, *inner = self._client.list_folder(name)
        return [(one.name, one.is_folder) for one in inner] if itself.is_folder else [(name, False)]

    def remove_folder(self, name: str) -> bool:
        return self._aside.remove(name)


class Reading:
    def __init__(self, about: Stat, download: Download) -> None:
        self.stat = about
        self._download = download

    def blocks(self) -> Iterator[bytes]:
        return self._download.blocks()

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *_: object) -> None:
        self._download.close()


def _stat(one: Resource) -> Stat:
    return Stat(one.name, one.size, _revision(one), one.mtime)


def _revision(one: Resource) -> str:
    """A weak ETag becomes a strong one when its second is over: to read all again for that would be too much."""
    return one.etag.removeprefix("W/") or f"{one.size}.{one.mtime}"


def _blocks(source: Any, digest: Any) -> Iterator[bytes]:
    for block in paced_blocks(source.read):
        digest.update(block)
        yield block


def _sum_of(said: Mapping[str, str]) -> str:
    """The SHA-1 of what the server has got, in hex; "" where it says none, or another sum."""
    kind, _, told = said.get("oc-checksum", "").partition(":")
    return (told if kind.upper() == "SHA1" else said.get("x-hash-sha1", "")).strip().lower()
