"""asyncssh's SSH server on a loopback port, in a thread of its own: for what OpenSSH's can't be made to do everywhere.

It lets in whoever has the password, and shows files of this machine; it refuses to list folders that are named
`private`, as a server would that runs as somebody else.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, Self, cast

import asyncssh

USER, PASSWORD = "guest", "a secret: ü%"


class AsyncSshd:
    """A context manager. `port`, `host_key`: the line of its public one."""

    user, password = USER, PASSWORD

    def __init__(self) -> None:
        self.forgets = False
        """The last byte of each write, while it says that all is well."""
        self.cant_sync = False
        self.pause = 0.0
        """Before each hundredth name of a folder (s)."""
        self.tells: Callable[[bytes], Iterable[tuple[bytes, int, int]]] | None = None
        """Of a folder's path: names, modes and sizes, in place of what is there."""

    def __enter__(self) -> Self:
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = key.export_public_key().decode().strip()
        self._loop = asyncio.SelectorEventLoop()
        self._listening = self._loop.run_until_complete(
            asyncssh.listen(
                "127.0.0.1",
                0,
                server_host_keys=[key],
                server_factory=_Door,
                sftp_factory=lambda chan: _Files(chan, self),
                allow_scp=False,
            )
        )
        self.port = self._listening.get_port()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._listening.close()
        self._loop.run_until_complete(self._listening.wait_closed())
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


class _Door(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


class _Files(asyncssh.SFTPServer):
    def __init__(self, chan: Any, server: AsyncSshd) -> None:
        super().__init__(chan)
        self._server = server

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        super().write(file_obj, offset, data[:-1] if self._server.forgets else data)  # type: ignore[no-untyped-call]
        return len(data)

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        if path.endswith(b"/private"):
            raise asyncssh.SFTPPermissionDenied("it is private")
        if self._server.tells is not None:
            for name, mode, size in self._server.tells(path):
                yield asyncssh.SFTPName(name, attrs=asyncssh.SFTPAttrs(size=size, permissions=mode, mtime=5, atime=5))
            return
        listed, names = cast("AsyncIterator[asyncssh.SFTPName]", super().scandir(path)), 0
        async for entry in listed:
            if names % 100 == 0:
                await asyncio.sleep(self._server.pause)
            names += 1
            yield entry

    def fsync(self, file_obj: object) -> None:
        if self._server.cant_sync:
            raise asyncssh.SFTPFailure("the disk has failed")
        super().fsync(file_obj)  # type: ignore[no-untyped-call]
