"""A relay between a node and PostgreSQL that can lose what the server says at the worst of moments."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_CHUNK = 64 * 1024
# Slot and number that a transaction leaves in the table `last_commits`.
_ENTRY = re.compile(rb"last_commits .*VALUES (\('\w+', \d+)")


class Relay:
    """`url` is the database's, by way of this relay."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self._server = (parts.hostname, parts.port)
        self._parts = parts
        self.url = ""
        self.swallowed = 0
        self._words: bytes | None = None
        self._cuts = False
        self._loses_each = False
        self._lost: set[bytes] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator["Relay"]:
        relay = cls(url)
        listening = await asyncio.start_server(relay._take, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        relay.url = relay._parts._replace(netloc=f"{relay._parts.username}@127.0.0.1:{port}").geturl()
        try:
            yield relay
        finally:
            listening.close()
            for task in relay._tasks:
                task.cancel()

    def swallow_commit_after(self, words: bytes) -> None:
        """Once: when a client has said these words, the answer to its COMMIT is lost and its connection cut."""
        self._words = words

    def cut_at_commit_after(self, words: bytes) -> None:
        """The same, but that the connection is cut as soon as the COMMIT is on its way, answered or not."""
        self._words, self._cuts = words, True

    def lose_each_answer(self) -> None:
        """From now on the first answer to each COMMIT of what is written once or in batches is lost."""
        self._loses_each = True

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*self._server)
        muted = asyncio.Event()
        answers = asyncio.create_task(self._pour(from_server, writer, muted))
        self._tasks.add(answers)
        spoken, entry = False, b""
        while data := await reader.read(_CHUNK):
            if self._loses_each:
                entry = found[-1] if (found := _ENTRY.findall(data)) else entry
                if b"COMMIT" in data and entry and entry not in self._lost:
                    self._lost.add(entry)
                    muted.set()
                entry = b"" if b"COMMIT" in data else entry
            spoken = spoken or (self._words is not None and self._words in data)
            if spoken and self._words is not None and b"COMMIT" in data:
                self._words = None
                muted.set()
            to_server.write(data)
            if muted.is_set() and self._cuts:
                self._cuts = False
                writer.close()
                await answers  # the server is left to believe that somebody is there
        to_server.close()

    async def _pour(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, muted: asyncio.Event) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(_CHUNK):
                if muted.is_set():  # it has committed
                    self.swallowed += 1
                    break
                sink.write(data)
        sink.close()
