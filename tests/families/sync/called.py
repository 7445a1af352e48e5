"""A worker that lives in this process. The test is the server that it calls."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from undercroft.families.sync import wire
from undercroft.families.sync.worker import __main__ as program


class Call:
    """One connection of the worker of entry B, whose root is `root`."""

    def __init__(self, root: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at = time.monotonic()
        self._root = root
        self._reader = reader
        self._writer = writer
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(wire.ToServer)

    def say(self, *messages: wire.Message) -> None:
        for message in messages:
            self._writer.write(wire.packed(message))

    def set_up(self) -> None:
        storages = {"B": ("local_storage", {"root": str(self._root)})}
        self.say(wire.Setup("B", storages, 0, {"B": "B 1"}), wire.Known([], True), wire.KnownKept([], True))

    async def hear(self) -> Any:
        async with asyncio.timeout(20):
            return await wire.receive(self._reader, self._decoder)

    def hang_up(self) -> None:
        self._writer.close()


class Server:
    def __init__(self) -> None:
        self.calls: asyncio.Queue[Call] = asyncio.Queue()
        self.all: list[Call] = []

    async def met(self, seconds: float = 10) -> Call:
        """The next call; its Hello has been heard."""
        async with asyncio.timeout(seconds):
            call = await self.calls.get()
        assert isinstance(await call.hear(), wire.Hello)
        return call


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Server]:
    """A worker lives in `folder`/root, until the end."""
    (folder / "root").mkdir(exist_ok=True)
    server = Server()

    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.all.append(Call(folder / "root", reader, writer))
        server.calls.put_nowait(server.all[-1])

    descriptor = os.open(folder, os.O_RDONLY)  # the path of a socket may have 107 bytes only
    listening = await asyncio.start_unix_server(meet, f"/proc/self/fd/{descriptor}/sock")
    living = asyncio.create_task(program.live(folder / "sock", "B"))
    try:
        yield server
    finally:
        living.cancel()
        await asyncio.wait({living})
        for call in server.all:
            call.hang_up()
        listening.close()
        os.close(descriptor)
