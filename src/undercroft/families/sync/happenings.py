"""What happens, for who listens: as server-sent events."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import msgspec

# Who is slower than that misses some.
MOST_WAITING = 1_000


class Happenings:
    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[bytes]] = set()

    @property
    def is_heard(self) -> bool:
        return bool(self._listeners)

    async def heard(self) -> AsyncGenerator[bytes, None]:
        """What happens from now on, until the caller closes it."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)
        self._listeners.add(queue)
        try:
            yield b": listening\n\n"
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    def tell_entry(self, name: str, status: str) -> None:
        """`active`, `stopped` or `removed`."""
        self.tell("entries", {"name": name, "status": status})

    def tell_files(self, paths: list[str]) -> None:
        """That these have changed: the first hundred by name."""
        if paths and self.is_heard:
            self.tell("files", {"filenames": paths[:100], "count": len(paths)})

    def tell(self, event: str, data: object) -> None:
        line = b"event: %s\ndata: %s\n\n" % (event.encode(), msgspec.json.encode(data))
        for queue in self._listeners:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(line)
