"""One connection's life: the entry's storage is looked at, and what the server asks for is carried out."""

import asyncio
import contextlib
import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from undercroft.families.sync import wire
from undercroft.families.sync.drivers import LOCAL, option
from undercroft.families.sync.operations import Operation
from undercroft.families.sync.storages import Other, Owner, Place, Storage, open_storage
from undercroft.families.sync.storages.errors import SourceChanged
from undercroft.families.sync.worker import keeping
from undercroft.families.sync.worker.aside import Aside
from undercroft.families.sync.worker.calls import DISK_ANSWERS, SERVERS_ANSWER, Calls
from undercroft.families.sync.worker.carrying import Carrier, Pace, paths_of, unsure_of
from undercroft.families.sync.worker.index import Index
from undercroft.families.sync.worker.lanes import Lane, Lanes
from undercroft.families.sync.worker.noticing import Noticing, until_one_ends

# So many files that were known are compared with what is there, where a root has no mark yet.
MOST_COMPARED = 1_000
# Where a bandwidth is kept to, as much (bytes) may be waited for at once.
LONGEST_READ = 64 * 2**20


class Refused(Exception):
    """The server could not write down what was told."""


class Unserved(Exception):
    """The server has hung up before it said what there is to do."""


class Worker:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, entry: str, spool: Path) -> None:
        self._reader = reader
        self._writer = writer
        self._entry = entry
        self._spool = spool
        self._loop = asyncio.get_running_loop()
        self._index = Index()
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(wire.ToWorker)
        self._places: dict[str, Place] = {}
        # One thread that looks, one that reads what is large, others that carry out; each with a storage of its own.
        self._looking = ThreadPoolExecutor(1)
        self._lanes: Lanes
        self._carrying: set[asyncio.Task[None]] = set()
        self._stopped = threading.Event()
        self._calls = Calls()
        self._broken: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> None:
        """Until the server hangs up. Raises Vanished, Refused, Unserved."""
        self._send(wire.Hello(self._entry))
        setup = await self._hear()
        if not isinstance(setup, wire.Setup):
            raise Unserved
        await self._take_known()
        kept = keeping.Known(setup.kept_after, await self._take_kept())
        self._places, own = setup.storages, setup.storages[self._entry]
        async with contextlib.AsyncExitStack() as stack:
            self._storage = self._open(self._entry, self._owner(setup))
            stack.callback(self._leave)
            aside = self._make_aside()
            if aside is not None:
                stack.callback(aside.close)
            self._lanes = self._make_lanes(option(*own, "bandwidth"))
            stack.push_async_callback(self._lanes.close)
            stack.callback(self._stopped.set)
            days = option(*own, "keep_versions")
            tell_kept = functools.partial(keeping.tell_kept, self._storage, kept, days, self._tell)
            self._noticing = Noticing(
                self._storage, self._index, self._look, self._send_all, self._tell, tell_kept, self._stopped, aside
            )
            await until_one_ends(self._noticing.run(setup.expected), self._obey(), self._fail())

    def _make_lanes(self, bandwidth: int) -> Lanes:
        pace = Pace(bandwidth, lambda *how: self._tell(wire.Moving(*how)), self._stopped)
        made = functools.partial(self._calls.made, SERVERS_ANSWER + (LONGEST_READ / bandwidth if bandwidth else 0))
        large, *small = [
            Lane(Carrier(self._entry, self._open, self._index, pace), made) for _ in range(1 + self._storage.lanes)
        ]
        return Lanes(small, large, self._storage.together, self._note_done)

    def _make_aside(self) -> Aside | None:
        """Elsewhere reading is a download; what is found there is found by looks that are minutes apart."""
        if self._storage.polled is not None:
            return None
        return Aside(self._open(self._entry), self._stopped, functools.partial(self._calls.made, DISK_ANSWERS))

    def _open(self, entry: str, owner: Owner | None = None) -> Storage:
        place = self._places.get(entry)
        if place is None:
            raise SourceChanged(f"there is no entry {entry}")
        return open_storage(place, self._spool, owner)

    def _leave(self) -> None:
        """Nobody waits for a thread that looks: it changes nothing, and a disk that does not answer may hold it."""
        self._looking.submit(self._storage.close)
        self._looking.shutdown(wait=False)

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
        patience = DISK_ANSWERS if self._storage.polled is None else SERVERS_ANSWER
        return await self._loop.run_in_executor(self._looking, self._calls.made, patience, call, *arguments)

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
        try:
            while (message := await self._hear()) is not None:
                match message:
                    case wire.Rescan():
                        self._noticing.rescan()
                        continue
                    case wire.Storages(storages=storages):
                        self._note_places(storages)
                        continue
                    case wire.WhoIsThere():
                        self._send(wire.Here(self._calls.hangs()))
                        continue
                task = asyncio.create_task(self._carry_out_when_usable(message))
                self._carrying.add(task)
                task.add_done_callback(self._carrying.discard)
                task.add_done_callback(self._note_failure)
        finally:
            for task in self._carrying:
                task.cancel()

    def _note_places(self, places: dict[str, Place]) -> None:
        """Where other entries keep their files from now on."""
        left = {name for name, place in self._places.items() if places.get(name) != place}
        self._places = places
        self._lanes.close_sources(left)

    async def _carry_out_when_usable(self, message: Any) -> None:
        """Only then the root is known to be the right one. What is told later is not kept waiting."""
        await self._noticing.usable.wait()
        lane = self._lanes.fit_for(0)
        match message:
            case wire.Do():
                await self._lanes.carry_out(message)
            case wire.InStep() if len(self._carrying) == 1:
                await lane.call(lane.carrier.forget_arrivals, time.time())
            case wire.Restore():
                await self._restore(message)
            case wire.Drop():
                self._send(await lane.call(lane.carrier.drop, message.places))

    async def _restore(self, restore: wire.Restore) -> None:
        lane = self._lanes.fit_for(restore.size)
        done, seen = await lane.call(lane.carrier.restore, restore.path, restore.place)
        self._send(done)
        self._send(wire.Restored(restore.place, seen))
        self._index.busy.discard(restore.path)

    def _note_done(self, done: wire.Done, operations: list[Operation]) -> None:
        self._send(done)
        self._index.busy -= {path for operation in operations for path in paths_of(operation)}
        self._noticing.look_at(unsure_of(done))
        if any(not failed.expected for failed in done.failed):
            self._noticing.doubt()

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

    def _send(self, message: wire.Message) -> None:
        self._writer.write(wire.packed(message))
