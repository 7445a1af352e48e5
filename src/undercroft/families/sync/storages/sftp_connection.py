"""One SSH connection, for one thread: made when it is needed, made anew when it was cut; its errors are ours."""

import asyncio
import contextlib
import errno
import math
import os
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
from asyncssh.saslprep import SASLPrepError

from undercroft.families.sync.storages.errors import Vanished
from undercroft.families.sync.storages.judging import is_one_name
from undercroft.families.sync.storages.named_file import read_named
from undercroft.families.sync.storages.shared_lines import Joined, Opened, SharedLines

T = TypeVar("T")

CONNECT_WITHIN = 15.0
ANSWER_WITHIN = 60.0
# Bytes that a server makes durable in a second, however slow it is.
DURABLE = 5_000_000
# A connection that was idle for longer (s) is asked whether it lives before it is trusted.
IDLE = 10.0
_LOST = (
    asyncssh.DisconnectError,
    asyncssh.ChannelOpenError,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    ConnectionError,
    TimeoutError,
)
# OSError(ENOENT) is a FileNotFoundError, and so on. A name that is too long or holds what the server can't is EILSEQ.
_NUMBERS: dict[type[Exception], int] = {
    asyncssh.SFTPNoSuchFile: errno.ENOENT,
    asyncssh.SFTPNoSuchPath: errno.ENOENT,
    asyncssh.SFTPBadMessage: errno.EILSEQ,
    asyncssh.SFTPInvalidFilename: errno.EILSEQ,
    asyncssh.SFTPNoSpaceOnFilesystem: errno.ENOSPC,
    asyncssh.SFTPQuotaExceeded: errno.ENOSPC,
    asyncssh.SFTPConnectionLost: errno.ECONNRESET,
    asyncssh.SFTPNoConnection: errno.ECONNRESET,
}


class Connection:
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ssh: asyncssh.SSHClientConnection | None = None
        self._sftp: asyncssh.SFTPClient | None = None
        self._used = 0.0
        self._told = ""
        self.where = f"{options['hostname']}:{options['port']}"

    @property
    def sftp(self) -> asyncssh.SFTPClient:
        """Connected. Raises OSError, Vanished."""
        if self._sftp is not None and time.monotonic() - self._used > IDLE:
            with contextlib.suppress(OSError), self._as_ours():
                self._wait(self._sftp.realpath("."))
        if self._sftp is None:
            with self._as_ours():
                self._wait(self._connect())
        assert self._sftp is not None
        return self._sftp

    def run(self, work: Coroutine[Any, Any, T], *, within: float | None = None) -> T:
        """What the server answers, in ANSWER_WITHIN or so many seconds. Raises OSError: FileNotFoundError,
        PermissionError, Unsupported, Refused, or what else is wrong."""
        with self._as_ours():
            answer = self._wait(work, within)
        self._used = time.monotonic()
        return answer

    def close(self) -> None:
        self._drop()
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def listed(self, path: bytes, most: int) -> list[asyncssh.SFTPName]:
        """A folder, however long that takes while the server goes on answering: each name once, and what is none, or
        leads elsewhere, not at all. Raises as `run`."""
        return self.run(_listed(self.sftp, path, most), within=math.inf)

    def _wait(self, work: Coroutine[Any, Any, T], within: float | None = None) -> T:
        if self._loop is None:
            self._loop = asyncio.SelectorEventLoop()
        return self._loop.run_until_complete(_ended(work, ANSWER_WITHIN if within is None else within))

    async def _connect(self) -> None:
        self._ssh, self._sftp = await self._connected()
        self._used = time.monotonic()

    async def _connected(self) -> tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient]:
        o = self._options
        ssh, _ = await asyncssh.create_connection(
            lambda: _Client(self, o["host_key"]),
            o["hostname"],
            o["port"],
            username=o["username"],
            password=o["password"] or None,
            client_keys=self._keys() or None,
            known_hosts=self._known_hosts(),
            config=None,
            agent_path=None,
            connect_timeout=CONNECT_WITHIN,
            login_timeout=CONNECT_WITHIN,
        )
        try:
            return ssh, await ssh.start_sftp_client()
        except BaseException:
            ssh.abort()
            raise

    def _keys(self) -> list[asyncssh.SSHKey]:
        o = self._options
        phrase = o["private_key_passphrase"] or None
        path = o["private_key_path"]
        key: str | bytes = o["private_key"] or (read_named("private_key_path", path) if path else b"")
        if not o["private_key"] and not path:
            return []
        try:
            return [asyncssh.import_private_key(key, phrase)]
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
            reason = "it can't be read; is private_key_passphrase right?"
            raise Vanished(f"the private key for {self.where} can't be used: {reason}") from None

    def _known_hosts(self) -> Any:
        """Where keys of hosts are looked up; one that is given is the only one that is trusted."""
        key, file = self._options["host_key"], self._options["known_hosts"]
        if key.startswith("SHA256:"):
            return b""
        if key:
            try:
                return ([asyncssh.import_public_key(key)], [], [])
            except asyncssh.KeyImportError:
                raise Vanished("the option host_key is such as 'ssh-ed25519 AAAA…' or 'SHA256:…'") from None
        hosts = read_named("known_hosts", file) if file else _own_known_hosts()
        try:
            asyncssh.import_known_hosts(hosts.decode())
        except ValueError:
            raise Vanished(
                "the file of the option known_hosts is not one of known hosts, as OpenSSH has them"
            ) from None
        return hosts

    @contextlib.contextmanager
    def _as_ours(self) -> Iterator[None]:
        try:
            yield
        except (OSError, UnicodeError, SASLPrepError, asyncssh.Error) as error:
            if isinstance(error, _LOST):
                self._drop()
            raise self._ours(error) from None

    def _ours(self, error: Exception) -> Exception:
        user = self._options["username"]
        match error:
            case asyncssh.PermissionDenied():
                return Vanished(f"{self.where} does not let {user} in: check username, password or private key")
            case SASLPrepError():
                return Vanished("the option username holds a character that no name of a user has: mend it")
            case asyncssh.HostKeyNotVerifiable():
                shows = (
                    f" It shows {self._told}: if that is right, give it as the option host_key." if self._told else ""
                )
                return Vanished(f"the key of {self.where} is not the one that is known.{shows}")
            case asyncssh.SFTPPermissionDenied():
                return PermissionError(errno.EACCES, f"{self.where} does not permit that to {user}")
            case asyncssh.SFTPError():
                number = _NUMBERS.get(type(error))
                if number is not None:
                    return OSError(number, os.strerror(number))
                refused = Unsupported if isinstance(error, asyncssh.SFTPOpUnsupported) else Refused
                return refused(errno.EIO, f"{self.where} says: {_printed(error.reason)}")
            case TimeoutError():
                return TimeoutError(errno.ETIMEDOUT, f"{self.where} did not answer in time")
            case _:
                said = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
                return OSError(errno.EHOSTUNREACH, f"{self.where} can't be reached: {_printed(str(said))}")

    def told(self, key: asyncssh.SSHKey) -> str:
        self._told = key.get_fingerprint()
        return self._told

    def _drop(self) -> None:
        ssh, self._ssh, self._sftp = self._ssh, None, None
        if ssh is not None and self._loop is not None:
            ssh.abort()
            with contextlib.suppress(Exception):
                self._loop.run_until_complete(asyncio.wait_for(ssh.wait_closed(), 1))
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left, timeout=1))


class SharedConnection(Connection):
    """A reader's, of those that all who read there have in common."""

    def __init__(self, options: dict[str, Any], lines: SharedLines) -> None:
        super().__init__(options)
        self._lines = lines
        self._joined: Joined | None = None

    @property
    def sftp(self) -> asyncssh.SFTPClient:
        if self._joined is None:
            place = repr(sorted(self._options.items()))
            with self._as_ours():
                self._joined = self._wait(self._lines.join(place, self._opened))
        client: asyncssh.SFTPClient = self._joined.opened.client
        return client

    def close(self) -> None:
        joined, self._joined = self._joined, None
        if joined is not None:
            self._lines.run(self._lines.leave(joined))

    async def _opened(self) -> Opened:
        ssh, sftp = await self._connected()
        return Opened(sftp, lambda: sftp.realpath("."), ssh.abort)

    def _wait(self, work: Coroutine[Any, Any, T], within: float | None = None) -> T:
        return self._lines.run(_ended(work, ANSWER_WITHIN if within is None else within))

    def _drop(self) -> None:
        joined, self._joined = self._joined, None
        if joined is not None:
            self._lines.run(self._lines.end(joined))


def _printed(said: str) -> str:
    """A server's words, of which only the beginning is repeated, and nothing that is no letter."""
    return "".join(letter if letter.isprintable() else " " for letter in said[:200])


class Refused(OSError):
    """The server said no, and this protocol has no word for why."""


class Unsupported(Refused):
    """The server does not know how."""


class _Client(asyncssh.SSHClient):
    def __init__(self, connection: Connection, fingerprint: str) -> None:
        self._connection = connection
        self._fingerprint = fingerprint

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Asked where the key is not among the known ones."""
        return self._connection.told(key) == self._fingerprint


async def _ended(work: Coroutine[Any, Any, T], within: float) -> T:
    async with asyncio.timeout(None if math.isinf(within) else within):
        return await work


async def _listed(sftp: asyncssh.SFTPClient, path: bytes, most: int) -> list[asyncssh.SFTPName]:
    """Pages of some hundred names, for each of which the server has its time."""
    found: dict[bytes, asyncssh.SFTPName] = {}
    told = 0
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(ANSWER_WITHIN) as limit:
        async for entry in sftp.scandir(path):
            name = bytes(entry.filename)  # type: ignore[arg-type]
            if is_one_name(name.decode(errors="surrogateescape")):
                found[name] = entry
            told += 1
            if told % 100 == 1:
                limit.reschedule(loop.time() + ANSWER_WITHIN)
            if told > most:
                raise asyncssh.SFTPFailure(f"it holds more than {most:,} files")
    return list(found.values())


def _own_known_hosts() -> bytes:
    file = Path("~/.ssh/known_hosts").expanduser()
    return read_named("known_hosts", str(file)) if file.is_file() else b""
