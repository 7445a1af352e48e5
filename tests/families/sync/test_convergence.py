"""Whatever people do on three entries while workers and server are stopped and killed: in the end all are equal, and
nothing is lost.

    UNDERCROFT_SYNC_EXAMPLES=500 .venv/bin/python -m pytest tests/families/sync/test_convergence.py

looks for longer; so long as it takes, each story is another one.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.families.sync.parts import House, house
from undercroft.families.sync import listing, store
from undercroft.families.sync.names import OWN_FOLDER, shown
from undercroft.families.sync.storages import kernel

T = TypeVar("T")

EXAMPLES = int(os.environ.get("UNDERCROFT_SYNC_EXAMPLES", "6"))
ENTRIES = st.sampled_from("ABC")
NAMES = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/c", "x y ", "b/x", "d"])
FOLDERS = st.sampled_from(["d", "d/e", "b", "n", "d/n"])
# What stands in somebody's way, or was taken away in that very moment: people would see an error, and so do we.
IN_THE_WAY = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, OSError)


class Village(RuleBasedStateMachine):
    """A house on three entries, its event loop in a thread of its own; people act from this one."""

    url: str
    told: list[str]
    """What went wrong at first: hypothesis plays a story again, and in that one it may go well."""

    def __init__(self) -> None:
        assert not self.told, self.told[0]
        super().__init__()
        self.steps: list[str] = []
        self.killed: Counter[str] = Counter()
        self.written = 0
        self.wanted: set[bytes] = set()
        """Contents that nobody has overwritten or deleted where they saw them."""
        self.down: set[str] = set()
        self.folder = Path(tempfile.mkdtemp(prefix="village-"))
        self.outside = self.folder / "outside"
        self.outside.mkdir()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.stack = contextlib.AsyncExitStack()
        self.house: House = self.run(self._open())

    async def _open(self) -> House:
        url = self.url if self.url.startswith("postgres") else f"sqlite:///{self.folder}/undercroft.db"
        h = await self.stack.enter_async_context(house(url, self.folder))
        await h.add("A", "B", "C")
        await h.share()
        return h

    def run(self, story: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await asyncio.wait_for(story, 120)

        try:
            return asyncio.run_coroutine_threadsafe(awaited(), self.loop).result()
        except BaseException:
            self.told.append("\n".join([*self.steps, traceback.format_exc()]))
            raise

    def path(self, entry: str, name: str) -> Path:
        return self.house.folders[entry] / name

    def fresh(self, size: int = 0) -> bytes:
        self.written += 1
        return (b"text %d " % self.written).ljust(size, b".")[: max(size, 8 + len(str(self.written)))]

    def note(self, *step: object) -> None:
        self.steps.append(f"{time.time() % 1_000:7.3f} " + " ".join(map(str, step)))

    # What people do

    @rule(entry=ENTRIES, name=NAMES, size=st.sampled_from([0, 0, 30, 200_000, 9_000_000]))
    def save(self, entry: str, name: str, size: int) -> None:
        """As editors do: beside, and then over it in one step."""
        self.note("save", entry, name, size, self.written + 1)
        content, beside = self.fresh(size), self.outside / "new"
        beside.write_bytes(content)
        with contextlib.suppress(*IN_THE_WAY):
            self.path(entry, name).parent.mkdir(parents=True, exist_ok=True)
            self._take_place(beside, self.path(entry, name))
            self.wanted.add(content)

    @rule(entry=ENTRIES, name=NAMES, keep_time=st.booleans())
    def edit_in_place(self, entry: str, name: str, keep_time: bool) -> None:
        """As many bytes as before, and the time of before."""
        self.note("edit", entry, name, keep_time, self.written + 1)
        with contextlib.suppress(*IN_THE_WAY), self.path(entry, name).open("r+b") as file:
            about, old = os.fstat(file.fileno()), file.read()
            new = self.fresh(len(old))
            file.seek(0)
            file.write(new)
            file.truncate()
            file.flush()
            if keep_time:
                os.utime(file.fileno(), ns=(about.st_atime_ns, about.st_mtime_ns))
            self.wanted.discard(old)
            self.wanted.add(new)

    @rule(entry=ENTRIES, name=NAMES)
    def delete(self, entry: str, name: str) -> None:
        self.note("delete", entry, name)
        away = self.outside / "old"
        with contextlib.suppress(*IN_THE_WAY):
            self._only_files(self.path(entry, name)).rename(away)
            self.wanted.discard(away.read_bytes())

    @rule(entry=ENTRIES, name=NAMES, other=NAMES)
    def rename(self, entry: str, name: str, other: str) -> None:
        self.note("rename", entry, name, other)
        with contextlib.suppress(*IN_THE_WAY):
            self.path(entry, other).parent.mkdir(parents=True, exist_ok=True)
            self._take_place(self._only_files(self.path(entry, name)), self.path(entry, other))

    @rule(entry=ENTRIES, name=FOLDERS, other=FOLDERS)
    def rename_folder(self, entry: str, name: str, other: str) -> None:
        self.note("rename folder", entry, name, other)
        with contextlib.suppress(*IN_THE_WAY):
            if self.path(entry, name).is_dir() and not self.path(entry, other).exists():
                self.path(entry, name).rename(self.path(entry, other))

    @rule(milliseconds=st.integers(0, 120))
    def wait(self, milliseconds: int) -> None:
        self.run(asyncio.sleep(milliseconds / 1_000))

    # What happens to machines

    @rule(entry=ENTRIES)
    def stop_or_start(self, entry: str) -> None:
        self.note("stop or start", entry)
        if entry in self.down:
            self.run(self.house.engine.begin(entry))
        else:
            self.run(self.house.engine.end(entry))
        self.down ^= {entry}

    @rule(entry=ENTRIES)
    def kill(self, entry: str) -> None:
        self.note("kill", entry)
        self.killed[entry] += 1
        with contextlib.suppress(AssertionError, ProcessLookupError):
            self.house.kill(entry)

    @precondition(lambda self: self.written > 3)
    @rule(with_it=st.sets(ENTRIES), meanwhile=st.tuples(ENTRIES, NAMES))
    def kill_the_server(self, with_it: set[str], meanwhile: tuple[str, str]) -> None:
        self.note("kill the server")
        for entry in with_it:
            self.kill(entry)
        self.run(self.house.crash())
        self.save(*meanwhile, 0)
        self.run(self.house.start())

    # And then

    def teardown(self) -> None:
        self.note("rest")
        try:
            self.run(self._come_to_rest())
        finally:
            with contextlib.suppress(Exception):
                self.run(self.stack.aclose())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join()
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _come_to_rest(self) -> None:
        h = self.house
        for entry in self.down:
            await h.engine.begin(entry)
        for entry in set("ABC") - self.down:
            if self.killed[entry] > 2:  # it would wait for long
                await h.engine.restart(entry)
        await h.settle()
        for name in "ABC":
            if await h.database.read(store.held_of, name, 1):
                await h.engine.confirm(name, True)
        tree = await h.equal(seconds=30)
        await h.settle()
        assert await h.equal() == tree, "nothing goes on without a reason"
        known = await h.database.read(listing.page, 0, 1_000, listing.Wanted())
        assert {one.file.path: one.file.content and one.file.content.hash for one in known} == {
            shown(path): blake3(content).hexdigest() for path, content in tree.items()
        }
        assert all(set(one.uptodate) == set(one.file.owners) == set("ABC") for one in known)
        kept = {p.read_bytes() for name in "ABC" for p in h.folders[name].glob(f"{OWN_FOLDER}/versions/*")}
        assert self.wanted <= set(tree.values()) | kept

    # Parts

    def _only_files(self, path: Path) -> Path:
        if path.is_dir():
            raise IsADirectoryError
        return path

    def _take_place(self, new: Path, path: Path) -> None:
        """In one step; what was there, whatever it is by now, was overwritten by somebody who meant it."""
        self._only_files(path)
        if not path.exists():
            kernel.rename(*_in_folder(new), *_in_folder(path), kernel.NOREPLACE)
            return
        kernel.rename(*_in_folder(new), *_in_folder(path), kernel.EXCHANGE)
        away = self.outside / "replaced"
        new.rename(away)
        self.wanted.discard(away.read_bytes())


_HERE = -100  # AT_FDCWD


def _in_folder(path: Path) -> tuple[int, bytes]:
    return _HERE, os.fsencode(path)


@pytest.fixture(params=["sqlite", "postgres"])
def fresh_urls(request: pytest.FixtureRequest) -> Any:
    """Makes a new database for each story."""
    if request.param == "sqlite":
        yield lambda: "sqlite"
        return
    cluster = request.getfixturevalue("postgres")
    made: list[str] = []
    yield lambda: made.append(cluster.create_database()) or made[-1]
    for url in made:
        cluster.drop_database(url)


@pytest.mark.timeout(20 * max(EXAMPLES, 6))
def test_after_whatever_happens_all_are_equal(fresh_urls: Any) -> None:
    class Story(Village):
        @property
        def url(self) -> str:  # type: ignore[override]
            if not hasattr(self, "_url"):
                self._url = fresh_urls()
            return self._url

    Story.told = []
    rules = settings(
        max_examples=EXAMPLES,
        derandomize="UNDERCROFT_SYNC_EXAMPLES" not in os.environ,  # the same stories, unless more are asked for
        stateful_step_count=40,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    try:
        run_state_machine_as_test(Story, settings=rules)
    finally:
        print(*Story.told[:1])
