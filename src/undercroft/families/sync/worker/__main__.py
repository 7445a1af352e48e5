"""`python -m undercroft.families.sync.worker SOCKET ENTRY`: lives as long as a server answers at the socket."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from asyncinotify import Event, Inotify, Mask

from undercroft.families.sync import wire
from undercroft.families.sync.drivers import option
from undercroft.families.sync.reconcile import Operation, Put, Seen
from undercroft.families.sync.storages import Storage, open_storage
from undercroft.families.sync.storages.errors import SourceChanged, Vanished
from undercroft.families.sync.worker.carrying import SMALL, Carrier, Pace
from undercroft.families.sync.worker.index import Index
from undercroft.families.sync.worker.observing import Observer, path_in

# A server that was killed has this long (s) to come back; then its next one starts us anew.
PATIENCE = 20.0
# After the last event on a path, before it is looked at (s): renames come in pairs, and who writes in place pauses.
SETTLED, STILL_WRITING, LONGEST_WAIT = 0.004, 0.4, 5.0
# What no watch tells is found by looking at everything again (s).
RESCAN_EVERY = 3_600.0
LOOK_FOR_ROOT = 1.0
# In the data folder: what arrives for a remote storage is gathered here.
SPOOL = "sync-spool"
_GONE = "the root is gone, or another folder has taken its place"
_AT_ONCE = Mask.CLOSE_WRITE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.DELETE


class Worker:
    """One connection's life."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, entry: str, spool: Path) -> None:
        self._reader = reader
        self._writer = writer
        self._entry = entry
        self._spool = spool
        self._loop = asyncio.get_running_loop()
        self._index = Index()
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(wire.ToWorker)
        # One thread that looks, one for small operations, one for large ones; each with a storage of its own.
        self._looking = ThreadPoolExecutor(1)
        self._small = ThreadPoolExecutor(1)
        self._large = ThreadPoolExecutor(1)
        self._due: dict[str, tuple[float, float]] = {}
        self._woken = asyncio.Event()
        self._rescan = False

    async def run(self) -> None:
        """Until the server hangs up. Raises Vanished."""
        self._send(wire.Hello(self._entry, os.getpid()))
        setup = await wire.receive(self._reader, self._decoder)
        if not isinstance(setup, wire.Setup):
            return
        await self._take_known()

        def opened(entry: str) -> Storage:
            if entry not in setup.storages:
                raise SourceChanged(f"there is no entry {entry}")
            return open_storage(setup.storages[entry], self._spool)

        with contextlib.ExitStack() as stack:
            self._storage = opened(self._entry)
            stack.callback(self._storage.close)
            await self._in(self._looking, self._storage.check, setup.expected)
            pace = Pace(option(*setup.storages[self._entry], "bandwidth"), self._tell_moving)
            self._carriers = [Carrier(self._entry, opened, self._index, pace) for _ in range(2)]
            for carrier in self._carriers:
                stack.callback(carrier.close)
            inotify = stack.enter_context(Inotify())
            self._observer = Observer(self._storage, self._index, inotify)
            try:
                await self._until_one_ends(self._watch(inotify), self._observe(), self._obey())
            finally:
                pace.stopped = True
                await self._end_threads()

    async def _until_one_ends(self, *coroutines: Coroutine[Any, Any, None]) -> None:
        tasks = [asyncio.create_task(one) for one in coroutines]
        done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        for task in done:
            task.result()

    async def _end_threads(self) -> None:
        """Only after that is closed what they have open, and the next connection's operations begin."""
        threads = (self._looking, self._small, self._large)
        for thread in threads:
            thread.shutdown(wait=False, cancel_futures=True)
        for thread in threads:
            await asyncio.to_thread(thread.shutdown)

    async def _take_known(self) -> None:
        while isinstance(known := await wire.receive(self._reader, self._decoder), wire.Known):
            self._index.take(known.rows)
            if known.last:
                return
        raise ConnectionError

    # Noticing

    async def _watch(self, inotify: Inotify) -> None:
        async for event in inotify:
            self._note(event)

    def _note(self, event: Event) -> None:
        if event.mask & Mask.Q_OVERFLOW:
            self._rescan = True
            self._woken.set()
            return
        folder = self._observer.folders.get(event.watch) if event.watch else None
        if event.mask & Mask.IGNORED and event.watch:
            self._observer.folders.pop(event.watch, None)
        if folder is None or event.name is None:
            return
        path = path_in(folder, os.fsencode(event.name))
        now = time.monotonic()
        first = self._due.get(path, (0.0, now))[1]
        wait = SETTLED if event.mask & (_AT_ONCE | Mask.ISDIR) else STILL_WRITING
        due = now if now - first > LONGEST_WAIT else now + wait
        self._due[path] = (due, first)
        self._woken.set()

    async def _observe(self) -> None:
        await self._scan()
        scanned = time.monotonic()
        while True:
            if self._rescan or time.monotonic() - scanned > RESCAN_EVERY:
                self._rescan = False
                await self._scan()
                scanned = time.monotonic()
            now = time.monotonic()
            # What is nearly due goes along: both halves of a rename have to be told of in one report.
            is_due = any(due <= now for due, _ in self._due.values())
            ripe = [path for path, (due, _) in self._due.items() if is_due and due <= now + SETTLED]
            for path in ripe:
                del self._due[path]
            if ripe:
                later = await self._in(self._looking, self._observer.look_at, ripe, self._report)
                for path in later:
                    self._due.setdefault(path, (time.monotonic() + 0.05, now))
                await self._writer.drain()
                continue
            if not self._storage.is_there():
                raise Vanished(_GONE)
            self._woken.clear()
            nearest = min((due for due, _ in self._due.values()), default=now + LOOK_FOR_ROOT)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), max(0.001, min(nearest - now, LOOK_FOR_ROOT)))

    async def _scan(self) -> None:
        scanned, later = await self._in(self._looking, self._observer.scan, self._report)
        now = time.monotonic()
        for path in later:
            self._due.setdefault(path, (now + 0.05, now))
        if not self._storage.is_there():
            raise Vanished(_GONE)
        for path in scanned.gone:
            self._index.note(Seen(path, None, ""))
        self._send(scanned)
        await self._writer.drain()

    def _report(self, seen: list[Seen]) -> None:
        """From the thread that looks."""
        self._loop.call_soon_threadsafe(self._send, wire.Report(seen))

    # Obeying

    async def _obey(self) -> None:
        carrying: set[asyncio.Task[None]] = set()
        while (message := await wire.receive(self._reader, self._decoder)) is not None:
            if isinstance(message, wire.Rescan):
                self._rescan = True
                self._woken.set()
            elif isinstance(message, wire.Drop):
                await self._in(self._small, self._carriers[0].drop, message.places)
            elif isinstance(message, wire.Restore):
                done, seen = await self._in(self._small, self._carriers[0].restore, message.path, message.place)
                self._send(done)
                self._send(wire.Report(seen))
            elif isinstance(message, wire.Do):
                task = asyncio.create_task(self._carry_out(message))
                carrying.add(task)
                task.add_done_callback(carrying.discard)

    async def _carry_out(self, do: wire.Do) -> None:
        small: list[Operation] = [*do.deletes, *do.moves]
        large: list[Put] = []
        for put in do.puts:
            if put.content.size > SMALL:
                large.append(put)
            else:
                small.append(put)
        together = self._storage.together
        rounds = [small[at : at + together] for at in range(0, len(small), together)]
        await asyncio.gather(
            *(self._carry_out_in(self._small, self._carriers[0], some) for some in rounds),
            *(self._carry_out_in(self._large, self._carriers[1], [put]) for put in large),
        )

    async def _carry_out_in(self, thread: ThreadPoolExecutor, carrier: Carrier, some: list[Any]) -> None:
        self._send(await self._in(thread, carrier.carry_out, some))

    def _tell_moving(self, path: str, done: int, size: int) -> None:
        self._loop.call_soon_threadsafe(self._send, wire.Moving(path, done, size))

    async def _in(self, thread: ThreadPoolExecutor, call: Any, *args: Any) -> Any:
        return await self._loop.run_in_executor(thread, call, *args)

    def _send(self, message: wire.Message) -> None:
        self._writer.write(wire.packed(message))


async def live(socket: Path, entry: str) -> int:
    """Serve one server after the other; the exit code."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            reader, writer = await connect(socket)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        try:
            await Worker(reader, writer, entry, socket.with_name(SPOOL)).run()
        except Vanished as error:
            writer.write(wire.packed(wire.Trouble(str(error))))
            await writer.drain()
            await asyncio.sleep(PATIENCE)  # the server ends us
            return 1
        except ConnectionError:
            pass
        finally:
            writer.close()
        deadline = time.monotonic() + PATIENCE
    return 0


async def connect(socket: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """By a descriptor of its folder: the path of a socket may have 107 bytes only."""
    folder = os.open(socket.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{socket.name}")
    finally:
        os.close(folder)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # nothing half done is visible at any moment
    os.umask(0o022)
    sys.exit(asyncio.run(live(Path(sys.argv[1]), sys.argv[2])))


if __name__ == "__main__":
    main()
