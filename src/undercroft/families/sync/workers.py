"""The entries' processes: what the supervisor is to keep running, and what it says of them."""

import sys
from pathlib import Path

from undercroft.base.clock import SECOND
from undercroft.base.refusals import unavailable
from undercroft.database import Database, Transaction
from undercroft.families.sync import store_entries
from undercroft.families.sync.model import FAMILY
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.terms import Term
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
            if not entry.is_leaving:
                await self.want(entry.name, up=entry.up)

    async def put_right(self, term: Term) -> list[str]:
        """Those are wanted that the supervisor of this node does not know to be; whom it knows though there is no such
        entry, or none that stays. Raises Superseded: the others are another node's then, and not astray."""
        astray, strangers = await term.read(_compare, self._supervisor.node)
        for entry in astray:
            await self.want(entry.name, up=entry.up)
        return strangers

    async def restart(self, name: str) -> None:
        await self._supervisor.restart(_process(name))

    async def forget(self, name: str) -> None:
        """Its end is waited for."""
        await self._supervisor.forget(_process(name))

    async def settle(self, name: str, verb: str) -> None:
        """Until it is as it is wanted. Raises Refusal(UNAVAILABLE) where that takes too long."""
        if not await self._supervisor.settled(_process(name)):
            raise unavailable(f"entry {name} did not {verb} in time; try again")

    async def status(self, entry: Entry) -> str:
        """`active`, `stopped`, `starting` or `stopping`, on whichever node."""
        process = await self._database.read(processes.find, _process(entry.name))
        runs = process is not None and process.child is not None
        return ("active" if runs else "starting") if entry.up else ("stopping" if runs else "stopped")

    def figures(self, name: str) -> tuple[Figures, int]:
        """And when it was started (ms). Raises LookupError where it does not run here."""
        child = self._supervisor.running(_process(name))
        if child is None:
            raise LookupError(name)
        return self._supervisor.figures(_process(name)), child.started_at


def _process(name: str) -> str:
    return f"{FAMILY}:{name}"


def _compare(tx: Transaction, node: str) -> tuple[list[Entry], list[str]]:
    staying = {_process(entry.name): entry for entry in store_entries.entries(tx) if not entry.is_leaving}
    known = {one.name: one for one in processes.all_of(tx, node) if one.name.startswith(_process(""))}
    astray = [e for name, e in staying.items() if name not in known or known[name].wanted.up != e.up]
    return astray, [name.removeprefix(_process("")) for name in known.keys() - staying.keys()]
