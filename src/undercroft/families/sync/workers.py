"""The entries' processes: what the supervisor is to keep running, and what it says of them."""

import sys
from pathlib import Path

from undercroft.base.clock import SECOND
from undercroft.base.refusals import unavailable
from undercroft.database import Database, Transaction
from undercroft.families.sync import store_entries
from undercroft.families.sync.model import FAMILY
from undercroft.families.sync.store_entries import Entry
from undercroft.machinery.processes import store as processes
from undercroft.machinery.processes.children import Figures
from undercroft.machinery.processes.plan import Spec
from undercroft.machinery.processes.supervisor import Supervisor

GRACEFUL = SECOND


class Workers:
    """One process of this node for each entry."""

    def __init__(self, database: Database, supervisor: Supervisor, socket: Path) -> None:
        """`socket`: to which they connect."""
        self._database = database
        self._supervisor = supervisor
        self._socket = socket

    async def want(self, name: str, *, up: bool) -> None:
        program = (sys.executable, "-m", "undercroft.families.sync.worker", str(self._socket), name)
        spec = Spec(program, {"PYTHONUNBUFFERED": "1"}, graceful=GRACEFUL)
        await self._supervisor.want(_process(name), spec, up=up)

    async def want_all(self) -> None:
        """As the entries say: this node runs them from now on."""
        for entry in await self._database.read(store_entries.entries):
            if entry.is_leaving:
                await self.forget(entry.name)
            else:
                await self.want(entry.name, up=entry.up)

    async def put_right(self) -> None:
        """Whose process is wanted otherwise than the entry says: the database went away between the two."""
        for entry in await self._database.read(_astray):
            await self.want(entry.name, up=entry.up)

    async def restart(self, name: str) -> None:
        await self._supervisor.restart(_process(name))

    async def forget(self, name: str) -> None:
        """Its end is waited for."""
        await self._supervisor.forget(_process(name))

    async def settle(self, name: str, verb: str) -> None:
        """Until it is as it is wanted. Raises Refusal(UNAVAILABLE) where that takes too long."""
        if not await self._supervisor.settled(_process(name)):
            raise unavailable(f"entry {name} did not {verb} in time; try again")

    async def runs(self, name: str) -> bool:
        """On whichever node."""
        process = await self._database.read(processes.find, _process(name))
        return process is not None and process.child is not None

    def figures(self, name: str) -> tuple[Figures, int]:
        """And when it was started (ms). Raises LookupError where it does not run here."""
        child = self._supervisor.running(_process(name))
        if child is None:
            raise LookupError(name)
        return self._supervisor.figures(_process(name)), child.started_at


def _process(name: str) -> str:
    return f"{FAMILY}:{name}"


def _astray(tx: Transaction) -> list[Entry]:
    return [entry for entry in store_entries.entries(tx) if not entry.is_leaving and not _is_known(tx, entry)]


def _is_known(tx: Transaction, entry: Entry) -> bool:
    """To the supervisor, as it is."""
    process = processes.find(tx, _process(entry.name))
    return process is not None and process.wanted.up == entry.up
