"""A whole engine over real folders: entries as real processes, without HTTP around it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from undercroft.base.clock import wall_clock
from undercroft.database import Database, migrations_in, open_database
from undercroft.families.sync import store
from undercroft.families.sync.engine import Engine
from undercroft.families.sync.model import Match, Rule
from undercroft.families.sync.names import OWN_FOLDER, shown
from undercroft.machinery.processes import children
from undercroft.machinery.processes import store as processes
from undercroft.machinery.processes.supervisor import Supervisor

ROOMS = ("undercroft.machinery.processes", "undercroft.machinery.events", "undercroft.families.sync")
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

    @contextlib.contextmanager
    def standing_still(self, name: str) -> Iterator[None]:
        """Its process sees nothing meanwhile."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def tree(self, name: str) -> Tree:
        return tree_of(self.folders[name])

    async def equal(self, *names: str, seconds: float = 20) -> Tree:
        """Wait until these (all) entries hold the same, and nothing is to be done; what they hold."""
        wanted = names or tuple(self.folders)
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            began = asyncio.get_running_loop().time()
            trees = [self.tree(name) for name in wanted]
            if all(tree == trees[0] for tree in trees) and await self.is_quiet(*wanted):
                return trees[0]
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"not equal after {seconds} s: " + await self._why_not(wanted, trees))
            await asyncio.sleep(max(0.02, 4 * (asyncio.get_running_loop().time() - began)))

    async def _why_not(self, names: tuple[str, ...], trees: list[Tree]) -> str:
        everywhere = set.intersection(*(set(tree.items()) for tree in trees))
        alone = [set(tree.items()) - everywhere for tree in trees]
        told = []
        for name, here in zip(names, alone, strict=True):
            link = self.engine.link(name)
            shown_here = sorted((path, content[:40]) for path, content in here)[:9]
            told.append(f"{name} alone has {shown_here}, link {link and (link.giving.under_way, link.giving.failed)}")
        paths = {shown(path) for here in alone for path, _ in here}
        known = await self.database.read(store.load, sorted(paths)[:9])
        return "\n".join([*told, *(f"{path}: {what}" for path, what in known.items())])

    async def holds(self, wanted: Tree, *names: str, seconds: float = 20) -> None:
        """Wait until these (all) entries hold exactly this."""
        entries = names or tuple(self.folders)
        paths = set(wanted)
        # Names first: reading everything again and again takes the time of those who write it.
        with contextlib.suppress(AssertionError):
            await until(lambda: all(set(names_of(self.folders[name])) == paths for name in entries), "names", seconds)
        with contextlib.suppress(AssertionError):
            await until(lambda: all(self.tree(name) == wanted for name in entries), "this", seconds)
        found = await self.equal(*names, seconds=seconds)
        told = {path: content[:40] for path, content in found.items()}
        assert told == {p: c[:40] for p, c in wanted.items()}, f"they hold {sorted(told.items())[:9]}"
        assert found == wanted

    async def holds_all(self, contents: set[bytes]) -> Tree:
        """Wait until all entries are equal and hold all of these contents; what they hold."""

        def everywhere() -> bool:
            return all(contents <= set(self.tree(name).values()) for name in self.folders)

        await until(everywhere, f"all of {[content[:20] for content in contents]}")
        return await self.equal()

    async def is_held(self, name: str) -> bool:
        """Whether a wave of deletions waits at this entry."""
        await self.settle()
        return bool(await self.database.read(store.held_of, name, 1))

    async def is_quiet(self, *names: str) -> bool:
        for name in names:
            link = self.engine.link(name)
            if link is None or link.giving.under_way or await self.database.read(store.count_behind, name):
                return False
        return True

    async def settle(self) -> None:
        """Everything that was written so far has been looked at, everywhere: each entry's worker is asked to rescan."""
        for name in self.folders:
            await until(lambda name=name: self.is_scanned(name), f"{name} to be there", 60)
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


Story = Callable[[House], Awaitable[None]]


def write(root: Path, tree: Tree) -> None:
    for name, content in tree.items():
        path = Path(os.fsdecode(os.fsencode(root) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def tree_of(root: Path) -> Tree:
    """What an entry holds: path in bytes → content, without what is the server's own."""
    found: Tree = {}
    for name in names_of(root):
        with contextlib.suppress(OSError):
            found[name] = Path(os.fsdecode(os.fsencode(root) + b"/" + name)).read_bytes()
    return found


def names_of(root: Path) -> list[bytes]:
    """The regular files below it, links not followed."""
    found: list[bytes] = []
    waiting = [b""]
    while waiting:
        above = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(os.fsencode(root) + b"/" + above) as entries:
            for entry in entries:
                path = above + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting += [path + b"/"] if path != OWN_FOLDER.encode() else []
                elif entry.is_file(follow_symlinks=False):
                    found.append(path)
    return found


async def until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Looks cost time of the server's, which runs in this loop: the longer one takes, the rarer they are."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        began = loop.time()
        if condition():
            return
        assert loop.time() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(max(0.01, 4 * (loop.time() - began)))


async def at_once(condition: Callable[[], object], what: str) -> None:
    """As `until`, for a state of the server's that may be over with the next message that it gets: each round of its
    loop, which is this one, is looked at."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 20
    while not condition():
        assert loop.time() < deadline, f"waited 20 s for {what}"
        await asyncio.sleep(0)


def open_below(pid: int, folder: Path) -> list[Path]:
    """What the process has open of it."""
    found = []
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(one.readlink())
    return [path for path in found if path.is_relative_to(folder)]
