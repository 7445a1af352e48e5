"""`python -m undercroft.families.sync.worker SOCKET ENTRY`: lives as long as a server answers at the socket."""

import asyncio
import contextlib
import functools
import gc
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from blake3 import blake3

from undercroft.families.sync import wire
from undercroft.families.sync.drivers import LOCAL, option
from undercroft.families.sync.reconcile import Operation
from undercroft.families.sync.storages import Other, Owner, Storage, open_storage
from undercroft.families.sync.storages.errors import SourceChanged, Vanished
from undercroft.families.sync.worker import keeping
from undercroft.families.sync.worker.carrying import SMALL, Carrier, Pace, paths_of, unsure_of
from undercroft.families.sync.worker.index import Index
from undercroft.families.sync.worker.noticing import Noticing, until_one_ends

# A server that was killed has this long (s) to come back; then its next one starts us anew.
PATIENCE = 20.0
# What the server could not write down is told again after this (s), twice as long each time.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
# So many files that were known are compared with what is there, where a root has no mark yet.
MOST_COMPARED = 1_000
# In the data folder: what arrives for a remote storage is gathered here.
SPOOL = "sync-spool"


class Refused(Exception):
    """The server could not write down what was told."""


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
        # One thread that looks, some for small operations, one for large ones; each with a storage of its own.
        self._looking = ThreadPoolExecutor(1)
        self._lanes: list[Lane] = []
        self._large: Lane
        self._broken: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> None:
        """Until the server hangs up. Raises Vanished, Refused."""
        self._send(wire.Hello(self._entry))
        setup = await self._hear()
        if not isinstance(setup, wire.Setup):
            return
        await self._take_known()
        kept = keeping.Known(setup.kept_after, await self._take_kept())

        def opened(entry: str, owner: Owner | None = None) -> Storage:
            if entry not in setup.storages:
                raise SourceChanged(f"there is no entry {entry}")
            return open_storage(setup.storages[entry], self._spool, owner)

        async with contextlib.AsyncExitStack() as stack:  # not in this thread: a drive may have a loop of its own
            self._storage = opened(self._entry, self._owner(setup))
            stack.push_async_callback(asyncio.to_thread, self._storage.close)
            pace = Pace(option(*setup.storages[self._entry], "bandwidth"), lambda *how: self._tell(wire.Moving(*how)))
            self._large, *self._lanes = [
                Lane(Carrier(self._entry, opened, self._index, pace)) for _ in range(1 + self._storage.lanes)
            ]
            for lane in (self._large, *self._lanes):
                stack.push_async_callback(asyncio.to_thread, lane.carrier.close)
            days = option(*setup.storages[self._entry], "keep_versions")
            tell_kept = functools.partial(keeping.tell_kept, self._storage, kept, days, self._tell)
            self._noticing = Noticing(self._storage, self._index, self._look, self._send_all, self._tell, tell_kept)
            try:
                await until_one_ends(self._noticing.run(setup.expected), self._obey(), self._fail())
            finally:
                pace.stopped = True
                await self._end_threads()

    async def _end_threads(self) -> None:
        """Only after that is closed what they have open, and the next connection's operations begin."""
        threads = (self._looking, self._large.thread, *(lane.thread for lane in self._lanes))
        for thread in threads:
            thread.shutdown(wait=False, cancel_futures=True)
        for thread in threads:
            await asyncio.to_thread(thread.shutdown)

    def _owner(self, setup: wire.Setup) -> Owner:
        others = {}
        for name, (driver, options) in setup.storages.items():
            if name != self._entry:
                others[setup.marks[name]] = Other(name, options["root"] if driver == LOCAL else "")
        return Owner(setup.marks[self._entry], others, self._index.some(MOST_COMPARED))

    async def _take_known(self) -> None:
        while isinstance(known := await self._hear(), wire.Known):
            self._index.take(known.rows)
            if known.last:
                return
        raise ConnectionError

    async def _take_kept(self) -> set[str]:
        places: set[str] = set()
        while isinstance(known := await self._hear(), wire.KnownKept):
            places.update(known.places)
            if known.last:
                return places
        raise ConnectionError

    async def _hear(self) -> Any:
        """The server's next message; None at the end."""
        message = await wire.receive(self._reader, self._decoder)
        if isinstance(message, wire.Refused):
            raise Refused
        return message

    # Noticing

    async def _look(self, call: Any, *arguments: Any) -> Any:
        return await self._in(self._looking, call, *arguments)

    async def _send_all(self, message: wire.Message) -> None:
        self._send(message)
        await self._writer.drain()

    def _tell(self, message: wire.Message) -> None:
        """From any thread; in the order in which they are called."""
        self._loop.call_soon_threadsafe(self._send_told, message)

    def _send_told(self, message: wire.Message) -> None:
        """Who told it takes it for said: what can't be said ends the process, and the next one finds it anew."""
        try:
            self._send(message)
        except Exception as error:
            self._break(error)

    # Obeying

    async def _obey(self) -> None:
        carrying: set[asyncio.Task[None]] = set()
        try:
            while (message := await self._hear()) is not None:
                if isinstance(message, wire.Rescan):
                    self._noticing.rescan()
                    continue
                task = asyncio.create_task(self._carry_out_when_usable(message))
                carrying.add(task)
                task.add_done_callback(carrying.discard)
                task.add_done_callback(self._note_failure)
        finally:
            for task in carrying:
                task.cancel()

    async def _carry_out_when_usable(self, message: Any) -> None:
        """Only then the root is known to be the right one. What is told later is not kept waiting."""
        await self._noticing.usable.wait()
        match message:
            case wire.Do():
                await self._carry_out(message)
            case wire.Restore():
                await self._restore(message)
            case wire.Drop():
                lane = self._lanes[0]
                self._send(wire.Dropped(await self._in(lane.thread, lane.carrier.drop, message.places)))

    async def _restore(self, restore: wire.Restore) -> None:
        lane = self._lanes[0]
        done, seen = await self._in(lane.thread, lane.carrier.restore, restore.path, restore.place)
        self._send(done)
        self._send(wire.Report(seen))
        self._index.busy.discard(restore.path)

    def _note_failure(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._break(error)

    def _break(self, error: BaseException) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)

    async def _fail(self) -> None:
        """What nobody has thought of ends the process: it begins anew, with what is known to be so."""
        await self._broken

    async def _carry_out(self, do: wire.Do) -> None:
        first: list[Operation] = [*do.deletes, *do.moves]
        small: list[Operation] = [put for put in do.puts if put.content.size <= SMALL]
        large: list[Operation] = [put for put in do.puts if put.content.size > SMALL]
        if len(self._lanes) == 1:
            first, small = [], first + small
        await self._in_rounds(first)
        await asyncio.gather(self._in_rounds(small), *(self._carry_out_in(self._large, [put]) for put in large))

    async def _in_rounds(self, some: list[Operation]) -> None:
        size, lanes = self._storage.together, self._lanes
        if len(lanes) == 1:
            return await self._in_turn(lanes[0], some, size)
        rounds = [some[at : at + size] for at in range(0, len(some), size)]
        await asyncio.gather(*(self._carry_out_in(lanes[n % len(lanes)], one) for n, one in enumerate(rounds)))
        return None

    async def _in_turn(self, lane: "Lane", some: list[Operation], size: int) -> None:
        """What comes while a round is carried out goes into the next one: each costs two syncs, however large it is."""
        lane.waiting += some
        if lane.turning:
            return
        lane.turning = True
        while lane.waiting:
            one, lane.waiting = lane.waiting[:size], lane.waiting[size:]
            await self._carry_out_in(lane, one)
        lane.turning = False

    async def _carry_out_in(self, lane: "Lane", some: list[Operation]) -> None:
        done = await self._in(lane.thread, lane.carrier.carry_out, some)
        self._send(done)
        self._index.busy -= {path for operation in some for path in paths_of(operation)}
        self._noticing.look_at(unsure_of(done))
        if any(not failed.expected for failed in done.failed):
            self._noticing.doubt()

    async def _in(self, thread: ThreadPoolExecutor, call: Any, *args: Any) -> Any:
        return await self._loop.run_in_executor(thread, call, *args)

    def _send(self, message: wire.Message) -> None:
        self._writer.write(wire.packed(message))


class Lane:
    """Operations one after the other."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        self.thread = ThreadPoolExecutor(1)
        self.waiting: list[Operation] = []
        self.turning = False


async def live(socket: Path, entry: str) -> int:
    """Serve one server after the other; the exit code."""
    deadline = time.monotonic() + PATIENCE
    spool = socket.with_name(SPOOL) / blake3(entry.encode()).hexdigest(16)
    pause = 0.0
    while time.monotonic() < deadline:
        try:
            reader, writer = await connect(socket)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        began = time.monotonic()
        try:
            await Worker(reader, writer, entry, spool).run()
        except Vanished as error:
            writer.write(wire.packed(wire.Trouble(str(error))))
            await writer.drain()
            await asyncio.sleep(PATIENCE)  # the server ends us
            return 1
        except ConnectionError:
            pass
        except Refused:
            lasted = time.monotonic() - began
            pause = FIRST_PAUSE if lasted > LONGEST_PAUSE else min(max(FIRST_PAUSE, 2 * pause), LONGEST_PAUSE)
            await asyncio.sleep(pause)
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
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # what a message of some hundred operations is made of is no garbage
    sys.exit(asyncio.run(live(Path(sys.argv[1]), sys.argv[2])))


if __name__ == "__main__":
    main()
