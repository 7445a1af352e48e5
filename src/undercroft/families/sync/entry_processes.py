"""The entries' processes: what the supervisor is to keep running, and what it says of them."""

import sys
from collections.abc import Callable, Container
from pathlib import Path

from undercroft.base.clock import SECOND
from undercroft.base.refusals import Refusal, unavailable
from undercroft.database import Database, Transaction
from undercroft.families.sync import store_entries
from undercroft.families.sync.model import FAMILY
from undercroft.families.sync.store_entries import Entry
from undercroft.families.sync.terms import Term
from undercroft.machinery.processes import store as processes
from undercroft.machinery.processes.children import Figures, age
from undercroft.machinery.processes.plan import Spec
from undercroft.machinery.processes.supervisor import DOES_NOT_END, Supervisor

GRACEFUL = SECOND
# One that is removed has so long (s) to end; killed, it takes a moment where its disk answers.
ENDS_WITHIN = 10.0
# So many ends, or starts in vain, in a row are told. A process that runs connects within this (s) where nothing hangs.
AGAIN_AND_AGAIN = 3
CONNECTS_WITHIN = 60.0
SEE_LOG = "the logs folder in the server's data folder may say why; it is tried again"


class EntryProcesses:
    """One process of this node for each entry."""

    def __init__(self, database: Database, supervisor: Supervisor, socket: Path) -> None:
        """`socket`: to which they connect."""
        self._database = database
        self._supervisor = supervisor
        self._socket = socket
        self._stuck: set[str] = set()
        """Removed, and not ended in time."""

    async def want(self, name: str, *, up: bool) -> None:
        await self._supervisor.want(_process(name), self._spec(name), up=up)

    async def want_all(self, term: Term) -> None:
        """As the entries say: this node runs them from now on, all or none. Raises Superseded."""
        await term.write(_want, self._supervisor.node, self._spec)
        self._supervisor.wake()

    async def put_right(self, term: Term) -> list[str]:
        """Those are wanted that the supervisor of this node does not know to be. Whom it knows though there is no such
        entry, or none that stays, is ended; the names of those that have. Raises Superseded: the others are another
        node's then, and not astray."""
        astray, strangers = await term.read(_compare, self._supervisor.node)
        if astray:
            await term.write(_want, self._supervisor.node, self._spec, astray)
            self._supervisor.wake()
        return [name for name in strangers if await self._is_forgotten(name)]

    async def restart(self, name: str) -> None:
        await self._supervisor.restart(_process(name))

    async def forget(self, name: str) -> None:
        """Its end is waited for, once. Raises Refusal(UNAVAILABLE, DOES_NOT_END) where it does not come in time."""
        try:
            await self._supervisor.forget(_process(name), 0 if name in self._stuck else ENDS_WITHIN)
        except Refusal as refusal:
            if refusal.code == DOES_NOT_END:
                self._stuck.add(name)
                what = f"the process of entry {name} has not ended yet, its disk may hang; it is removed when it has"
                raise Refusal(refusal.kind, refusal.code, what, retry_after=5) from None
            raise
        self._stuck.discard(name)

    async def _is_forgotten(self, name: str) -> bool:
        try:
            await self.forget(name)
        except Refusal as refusal:
            if refusal.code != DOES_NOT_END:
                raise
            return False
        return True

    async def settle(self, name: str, verb: str) -> None:
        """Until it is as it is wanted. Raises Refusal(UNAVAILABLE) where that takes too long."""
        if not await self._supervisor.settled(_process(name)):
            raise unavailable(f"entry {name} did not {verb} in time; try again")

    async def status(self, entry: Entry) -> str:
        """`active`, `stopped`, `starting` or `stopping`, on whichever node."""
        process = await self._database.read(processes.find, _process(entry.name))
        runs = process is not None and process.child is not None
        return ("active" if runs else "starting") if entry.up else ("stopping" if runs else "stopped")

    def trouble(self, name: str, missing_for: Callable[[str], float]) -> str:
        """Why there is nobody to do what this entry has to, though it is to run; "" where there is, or will be in a
        moment. `missing_for`: how long (s) nobody has been there."""
        process = self._supervisor.known(_process(name))
        if process is None:
            return ""
        if process.past.failures >= AGAIN_AND_AGAIN:
            return f"its process {process.ended_how}, {process.past.failures} times in a row; {SEE_LOG}"
        if process.child is not None and min(missing_for(name), age(process.created)) >= CONNECTS_WITHIN:
            return f"its process runs, and has not connected for a minute or longer; {SEE_LOG}"
        return ""

    async def figures(self, name: str) -> tuple[Figures, int]:
        """And when it was started (ms). Raises LookupError where it does not run here."""
        child = self._supervisor.running(_process(name))
        if child is None and (noted := await self._supervisor.noted(_process(name))) is not None:
            child = noted.child
        if child is None:
            raise LookupError(name)
        return self._supervisor.figures(_process(name)), child.started_at

    def _spec(self, name: str) -> Spec:
        program = (sys.executable, "-m", "undercroft.families.sync.worker", str(self._socket), name)
        return Spec(program, {"PYTHONUNBUFFERED": "1"}, graceful=GRACEFUL)


def _process(name: str) -> str:
    return f"{FAMILY}:{name}"


def _want(tx: Transaction, node: str, spec_of: Callable[[str], Spec], only: Container[str] | None = None) -> None:
    for entry in store_entries.entries(tx):
        if not entry.is_leaving and (only is None or entry.name in only):
            processes.want(tx, _process(entry.name), node, spec_of(entry.name), entry.up)


def _compare(tx: Transaction, node: str) -> tuple[set[str], list[str]]:
    staying = {_process(entry.name): entry for entry in store_entries.entries(tx) if not entry.is_leaving}
    known = {one.name: one for one in processes.all_of(tx, node) if one.name.startswith(_process(""))}
    astray = {e.name for name, e in staying.items() if name not in known or known[name].wanted.up != e.up}
    return astray, [name.removeprefix(_process("")) for name in known.keys() - staying.keys()]
