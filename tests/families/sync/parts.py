"""A whole engine over real folders: entries as real processes, without HTTP around it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from undercroft.base.clock import wall_clock
from undercroft.database import Database, migrations_in, open_database
from undercroft.families.sync import store
from undercroft.families.sync.engine import Engine
from undercroft.families.sync.model import Match, Rule
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.machinery.processes import children
from undercroft.machinery.processes import store as processes
from undercroft.machinery.processes.supervisor import Supervisor

ROOMS = ("undercroft.machinery.processes", "undercroft.families.sync")
Tree = dict[bytes, bytes]


class House:
    """`folders`: entry → its root."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.folders: dict[str, Path] = {}
        self.supervisor: Supervisor
        self.engine: Engine
        self._tending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.supervisor = Supervisor(self.database, "node", self.folder / "logs", wall_clock)
        (self.folder / "server").mkdir(exist_ok=True)
        self.engine = Engine(self.database, self.supervisor, self.folder / "server", wall_clock)
        self._tending = asyncio.create_task(self.supervisor.run())
        await self.engine.start()

    async def crash(self) -> None:
        """As if the server had been killed: nothing is settled, its children live on."""
        assert self._tending is not None
        while not self._tending.done():  # a wait that ends in that very moment swallows it
            self._tending.cancel()
            await asyncio.wait({self._tending}, timeout=0.1)
        await self.engine.close()

    async def add(self, *names: str, **options: Any) -> None:
        for name in names:
            root = self.folder / name
            root.mkdir(exist_ok=True)
            self.folders[name] = root
            await self.engine.add(name, "local_storage", {"root": str(root), **options})
        for name in names:
            await until(lambda name=name: self.is_scanned(name), f"{name} to have looked at all")

    async def share(self, *rules: Rule) -> None:
        """All files for all entries, unless rules are given."""
        given = rules or (Rule(Match("/"), tuple(self.folders)),)
        await self.engine.put_rules(given)
        await self.engine.apply_rules()

    def is_scanned(self, name: str) -> bool:
        link = self.engine.link(name)
        return link is not None and link.scanned is not None

    def pid(self, name: str) -> int:
        child = self.supervisor.running(f"sync:{name}")
        assert child is not None
        return child.pid

    def kill(self, name: str) -> None:
        os.kill(self.pid(name), signal.SIGKILL)

    def tree(self, name: str) -> Tree:
        return tree_of(self.folders[name])

    async def equal(self, *names: str, seconds: float = 20) -> Tree:
        """Wait until these (all) entries hold the same, and nothing is to be done; what they hold."""
        wanted = names or tuple(self.folders)
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            trees = [self.tree(name) for name in wanted]
            if all(tree == trees[0] for tree in trees) and await self.is_quiet(*wanted):
                return trees[0]
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"not equal after {seconds} s: " + await self._why_not(wanted, trees))
            await asyncio.sleep(0.02)

    async def _why_not(self, names: tuple[str, ...], trees: list[Tree]) -> str:
        everywhere = set.intersection(*(set(tree.items()) for tree in trees))
        told = []
        for name, tree in zip(names, trees, strict=True):
            link = self.engine.link(name)
            late = await self.database.read(store.behind_of, name, "", 9)
            known = await self.database.read(store.load, late)
            alone = sorted((path, content[:40]) for path, content in set(tree.items()) - everywhere)[:9]
            told.append(
                f"{name} alone has {alone}, is behind with {known}, link {link and (link.under_way, link.failed)}"
            )
        return "\n".join(told)

    async def holds(self, wanted: Tree, *names: str) -> None:
        """Wait until these (all) entries hold exactly this."""
        with contextlib.suppress(AssertionError):
            await until(lambda: all(self.tree(name) == wanted for name in names or tuple(self.folders)), "this")
        shown = {path: content[:40] for path, content in wanted.items()}
        assert {path: content[:40] for path, content in (await self.equal(*names)).items()} == shown
        assert all(self.tree(name) == wanted for name in names or tuple(self.folders))

    async def is_quiet(self, *names: str) -> bool:
        for name in names:
            link = self.engine.link(name)
            if link is None or link.under_way or await self.database.read(store.count_behind, name):
                return False
        return True

    async def settle(self) -> None:
        """Everything that was written so far has been looked at, everywhere: each entry's worker is asked to rescan."""
        for name in self.folders:
            await until(lambda name=name: self.is_scanned(name), f"{name} to be there")
            link = self.engine.link(name)
            assert link is not None
            link.scanned = None
            link.rescan()
        for name in self.folders:
            await until(lambda name=name: self.is_scanned(name), f"{name} to have looked at all")


@contextlib.asynccontextmanager
async def house(url: str, folder: Path) -> AsyncIterator[House]:
    migrations = [migration for room in ROOMS for migration in migrations_in(room)]
    database = await open_database(url, migrations, wall_clock, pool=4)
    whole = House(database, folder)
    await whole.start()
    try:
        yield whole
    finally:
        with contextlib.suppress(Exception):
            await whole.crash()
        for process in await database.read(processes.all_of, "node"):
            if process.child is not None:
                children.send(process.child.pid, process.created, signal.SIGKILL)
        await database.close()


def tree_of(root: Path) -> Tree:
    """What an entry holds: path in bytes → content, without what is the server's own."""
    found: Tree = {}
    base = os.fsencode(root)
    for above, folders, files in os.walk(base):
        if above == base and OWN_FOLDER.encode() in folders:
            folders.remove(OWN_FOLDER.encode())
        for name in files:
            path = Path(os.fsdecode(above + b"/" + name))
            with contextlib.suppress(FileNotFoundError):
                if not path.is_symlink() and path.is_file():
                    found[os.path.relpath(os.fsencode(path), base)] = path.read_bytes()
    return found


async def until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.01)
