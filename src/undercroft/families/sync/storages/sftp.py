"""A folder that an SSH server shows (SFTP version 3, as OpenSSH speaks it).

Names are bytes there. Times are whole seconds, so a revision is a size and a second; one that is not over yet is marked
as young, and looked at again. What arrives takes its name by a rename that replaces (posix-rename), or by one that does
not where nothing may be there; what is replaced is kept by a hard link, where the server can, else by copying.
Of what was sent the length is asked for before it takes its name: the protocol as OpenSSH speaks it has no checksum.
"""

import contextlib
import errno
import io
import os
import posixpath
import stat
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

import asyncssh

from undercroft.base.ids import sortable_id
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.storages.drive import YOUNG, Stat
from undercroft.families.sync.storages.errors import Changed, Vanished
from undercroft.families.sync.storages.judging import folder_unfit
from undercroft.families.sync.storages.others_roots import MARK, REASON
from undercroft.families.sync.storages.real_folders import RealFolders, Waiting, is_left
from undercroft.families.sync.storages.sftp_connection import (
    ANSWER_WITHIN,
    DURABLE,
    Connection,
    Refused,
    SharedConnection,
    Unsupported,
)
from undercroft.families.sync.storages.shared_lines import SharedLines

BLOCK = 2**20
OWN = OWN_FOLDER.encode()
INCOMING = f"{OWN_FOLDER}/incoming"
MOST_IN_A_FOLDER = 1_000_000


class Sftp:
    names_are_bytes = True

    def __init__(self, options: dict[str, Any], lines: SharedLines | None = None) -> None:
        """`lines`: of those who only read; None for a connection of its own."""
        self._connection = Connection(options) if lines is None else SharedConnection(options, lines)
        self._root = options["root"].encode(errors="surrogateescape").rstrip(b"/") or (
            b"/" if options["root"] else b"."
        )
        self._folders = RealFolders(self)
        self._ahead: float | None = None

    def require_name(self, name: str) -> None:
        self._at(name)

    def check(self) -> None:
        about = self._lstat(self._root, follow=True)
        where = f"{self._root.decode(errors='replace')} at {self._connection.where}"
        if about is None or not stat.S_ISDIR(about.permissions or 0):
            raise Vanished(f"there is no folder {where}")
        probe = f"{INCOMING}/{sortable_id()}"
        try:
            self._write(probe, io.BytesIO(), time.time_ns())
            self._run(self._sftp.remove(self._at(probe)))
        except PermissionError:
            raise Vanished(f"the folder {where} may not be written") from None
        for one in self.files_in(INCOMING):
            if is_left(one.name):
                self._run(self._sftp.remove(self._at(one.name)))

    def walk(self) -> Iterator[Stat]:
        self._folders.forget()
        waiting = Waiting(self._connection.where)
        for folder in waiting:
            try:
                entries = self._connection.listed(self._at(folder), MOST_IN_A_FOLDER)
            except FileNotFoundError:
                if not folder:
                    raise Vanished(f"the root at {self._connection.where} is not there any more") from None
                continue
            except (PermissionError, Refused) as error:
                if not folder:
                    raise
                yield Stat(folder, 0, "", 0, f"this folder can't be read: {error.strerror}")
                continue
            if folder and any(entry.filename == OWN for entry in entries) and self._is_marked(folder):
                yield Stat(folder, 0, "", 0, REASON)
                continue
            for entry in entries:
                yield from self._told_of(folder, entry, waiting)

    def files_in(self, folder: str) -> Iterator[Stat]:
        try:
            entries = self._connection.listed(self._at(folder), MOST_IN_A_FOLDER)
        except FileNotFoundError:
            return
        for entry in entries:
            if stat.S_ISREG(entry.attrs.permissions or 0):
                yield self._stat(f"{folder}/{_name_of(entry)}", entry.attrs)

    def stat(self, name: str) -> Stat | None:
        about = self._lstat(self._at(name))
        return None if about is None or not stat.S_ISREG(about.permissions or 0) else self._stat(name, about)

    def open(self, name: str, start: int = 0) -> "Reading":
        about = self.stat(name)
        if about is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        file = self._run(self._sftp.open(self._at(name), asyncssh.FXF_READ, encoding=None))
        return Reading(self._stat(name, self._run(file.stat())), self._connection, file, start)

    def put(self, name: str, source: BinaryIO, size: int, mtime: int, base: str) -> Stat:
        arriving = f"{INCOMING}/{sortable_id()}"
        if base.removesuffix(YOUNG) == f"{size}.{mtime // 10**9}":
            mtime += 10**9  # else nobody could tell it from the one that it replaces
        try:
            self._write(arriving, source, mtime)
            if base:
                self._expect(name, base)
                self._run(self._sftp.posix_rename(self._at(arriving), self._at(name)))
            else:
                self._folders.onto_nothing(name, lambda: self._rename(arriving, name))
        except BaseException:
            with contextlib.suppress(OSError, Vanished):
                self._run(self._sftp.remove(self._at(arriving)))
            raise
        about = self.stat(name)
        if about is None or (about.size, about.mtime // 10**9) != (size, mtime // 10**9):
            return Stat(name, size, "", mtime)
        return about

    def move(self, source: str, base: str, name: str) -> Stat:
        self._expect(source, base)
        self._folders.onto_nothing(name, lambda: self._rename(source, name))
        self._folders.prune(source)
        return self.stat(name) or Stat(name, 0, "", 0)

    def copy(self, source: str, base: str, name: str) -> Stat:
        about = self._expect(source, base)
        try:
            self._folders.above(name, lambda: self._run(self._sftp.link(self._at(source), self._at(name))))
        except FileNotFoundError:
            raise Changed("it vanished meanwhile") from None
        except OSError:  # a server that knows no links, or a name that is taken
            if self._lstat(self._at(name)) is not None:
                raise Changed("there is another under this name meanwhile") from None
            with self.open(source) as reading:
                return self.put(name, _Joined(reading.blocks()), about.size, about.mtime, "")  # type: ignore[arg-type]
        return about._replace(name=name)

    def delete(self, name: str, base: str) -> None:
        self._expect(name, base)
        self._run(self._sftp.remove(self._at(name)))
        self._folders.prune(name)

    def close(self) -> None:
        self._connection.close()

    # Parts

    def _told_of(self, folder: str, entry: asyncssh.SFTPName, waiting: Waiting) -> Iterator[Stat]:
        """`waiting`: folders that are to be looked into as well."""
        if entry.filename == OWN:
            return
        name = f"{folder}/{_name_of(entry)}" if folder else _name_of(entry)
        mode = entry.attrs.permissions or 0
        if stat.S_ISREG(mode):
            yield self._stat(name, entry.attrs)
        elif not stat.S_ISDIR(mode):
            yield Stat(name, 0, "", 0, "a link or special file is not synchronised")
        elif unfit := folder_unfit(name, self.names_are_bytes):
            yield Stat(name, 0, "", 0, unfit)
        else:
            waiting.add(name)

    def _is_marked(self, folder: str) -> bool:
        try:
            return self._lstat(self._at(f"{folder}/{MARK}")) is not None
        except (PermissionError, Refused):  # where it may not be looked for the folder is somebody's
            return True

    @property
    def _sftp(self) -> asyncssh.SFTPClient:
        return self._connection.sftp

    def _run(self, work: Any) -> Any:
        return self._connection.run(work)

    def _at(self, name: str) -> bytes:
        if "\x00" in name:
            raise OSError(errno.EILSEQ, os.strerror(errno.EILSEQ))
        return posixpath.join(self._root, name.encode(errors="surrogateescape")) if name else self._root

    def _lstat(self, path: bytes, *, follow: bool = False) -> asyncssh.SFTPAttrs | None:
        sftp = self._sftp
        try:
            found: asyncssh.SFTPAttrs = self._run(sftp.stat(path) if follow else sftp.lstat(path))
            return found
        except FileNotFoundError:
            return None

    def _stat(self, name: str, about: asyncssh.SFTPAttrs) -> Stat:
        seconds, size = about.mtime or 0, about.size or 0
        young = YOUNG if seconds >= time.time() + (self._ahead or 0) - 1 else ""
        return Stat(name, size, f"{size}.{seconds}{young}", seconds * 10**9)

    def _expect(self, name: str, base: str) -> Stat:
        about = self.stat(name)
        if about is None or about.revision.removesuffix(YOUNG) != base.removesuffix(YOUNG):
            raise Changed("it was changed meanwhile")
        return about

    def _write(self, name: str, source: Any, mtime: int) -> None:
        flags = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL
        file = self._folders.above(name, lambda: self._run(self._sftp.open(self._at(name), flags, encoding=None)))
        try:
            at = 0
            while block := source.read(BLOCK):
                self._run(file.write(block, at))
                at += len(block)
            about = self._run(file.stat())
            if about.size != at:
                raise OSError(errno.EIO, f"{self._connection.where} did not keep all that was sent; it is tried again")
            if self._ahead is None:  # how the server's clock goes, told by the file that it has just made
                self._ahead = (about.mtime or 0) + 0.5 - time.time()
            self._run(file.utime(ns=(mtime, mtime)))
            with contextlib.suppress(Unsupported):  # a server that can't say when it is durable
                self._connection.run(file.fsync(), within=ANSWER_WITHIN + at / DURABLE)
        finally:
            self._run(file.close())

    def _rename(self, source: str, name: str) -> None:
        """A plain one: OpenSSH's does nothing where there is something; not every server's does. Raises Changed."""
        if self._lstat(self._at(name)) is None:
            try:
                self._run(self._sftp.rename(self._at(source), self._at(name)))
                return
            except Refused:
                if self._lstat(self._at(name)) is None:
                    raise
        raise Changed("there is another under this name meanwhile")

    # Folders

    def is_folder(self, name: str) -> bool | None:
        about = self._lstat(self._at(name))
        return None if about is None else stat.S_ISDIR(about.permissions or 0)

    def make_folder(self, name: str) -> None:
        with contextlib.suppress(Refused):  # another lane has just made it
            self._run(self._sftp.mkdir(self._at(name)))

    def list_folder(self, name: str) -> list[tuple[str, bool]]:
        entries = self._connection.listed(self._at(name), MOST_IN_A_FOLDER)
        return [(f"{name}/{_name_of(one)}", stat.S_ISDIR(one.attrs.permissions or 0)) for one in entries]

    def remove_folder(self, name: str) -> bool:
        try:
            self._run(self._sftp.rmdir(self._at(name)))
        except (FileNotFoundError, Refused):
            return False
        return True


class Reading:
    def __init__(self, about: Stat, connection: Connection, file: Any, start: int) -> None:
        self.stat = about
        self._connection = connection
        self._file = file
        self._at = start

    def blocks(self) -> Iterator[bytes]:
        while block := self._connection.run(self._file.read(BLOCK, self._at)):
            self._at += len(block)
            yield block

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._connection.run(self._file.close())


class _Joined:
    """Blocks as a file to read from."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def read(self, _size: int = -1) -> bytes:
        return next(self._blocks, b"")


def _name_of(entry: asyncssh.SFTPName) -> str:
    return bytes(entry.filename).decode(errors="surrogateescape")  # type: ignore[arg-type]
