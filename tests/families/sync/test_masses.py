"""Large files and many: whole under their names at every moment, gone on with after a kill, read by whoever may."""

import asyncio
import multiprocessing
import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.parts import House, Story, Tree, house, until, write
from undercroft.families.sync import listing, store_entries, wire
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.storages import open_storage
from undercroft.families.sync.worker.index import Index
from undercroft.families.sync.worker.observing import Observer

SLOWLY = {"bandwidth": 10_000_000}
"""Three seconds for the large ones: who looks for a part of one finds it."""


def test_200_megabytes(tell: Callable[[Story], None]) -> None:
    """No other size than the whole one is ever seen; and a change in its middle comes as well."""

    async def story(h: House) -> None:
        sizes: set[int] = set()
        source = h.folder / "new"
        with source.open("wb") as file:
            for n in range(200):
                file.write(bytes([n]) * 1_000_000)
        source.rename(h.folders["A"] / "large")
        targets = [h.folders[name] / "large" for name in "BC"]

        def arrived() -> bool:
            found = {path.stat().st_size for path in targets if path.exists()}
            sizes.update(found)
            return all(path.exists() for path in targets)

        await until(arrived, "the file", 60)
        assert sizes == {200_000_000}
        await h.equal()
        with (h.folders["B"] / "large").open("r+b") as file:
            file.seek(100_000_000)
            file.write(b"in the middle")
        await until(lambda: _at(h.folders["C"] / "large", 100_000_000, 13) == b"in the middle", "the change", 60)
        await h.equal()

    tell(story)


def test_5000_small_ones_and_a_folder_renamed(tell: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        tree: Tree = {b"f%d/%d" % (n % 50, n): b"%d" % n for n in range(5_000)}
        write(h.folder / "outside", tree)
        (h.folder / "outside").rename(h.folders["A"] / "all")
        await h.holds({b"all/" + name: content for name, content in tree.items()}, seconds=60)
        (h.folders["B"] / "all").rename(h.folders["B"] / "renamed")
        await h.holds({b"renamed/" + name: content for name, content in tree.items()}, seconds=60)
        files = await h.database.read(listing.page, 4_990, 100, listing.Wanted())
        assert len(files) == 10
        for name in "AC":
            versions = h.folders[name] / OWN_FOLDER / "versions"
            assert not versions.exists() or not any(versions.iterdir()), "all were moved, none was sent again"

    tell(story)


def test_what_was_cut_off_is_gone_on_with(sqlite_url: str, tmp_path: Path) -> None:
    """At the receiver, killed in the middle; at the server; and not where the source is another by then."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A")
            await h.add("B", **SLOWLY)
            await h.share()
            incoming = h.folders["B"] / OWN_FOLDER / "incoming"
            one, two, three = (os.urandom(30_000_000) for _ in range(3))
            write(h.folders["A"], {b"large": one})
            [there] = await _arriving(incoming, 10_000_000)
            inode, size = there.stat().st_ino, there.stat().st_size
            h.kill("B")
            await until(lambda: there.exists() and there.stat().st_size > size, "more of it")
            assert there.stat().st_ino == inode, "it went on where it was"
            await _arrives_at_b(h)
            await h.holds({b"large": one})
            await _arrives_at_b(h, **SLOWLY)
            write(h.folders["A"], {b"large": two})
            await _arriving(incoming, 10_000_000)
            await h.crash()
            h.kill("A")
            write(h.folders["A"], {b"large": three})  # the source is another before anything is back
            await h.start()
            await _arrives_at_b(h)
            await h.holds({b"large": three})
            assert await h.database.read(store_entries.conflicts, 9) == []

    asyncio.run(story())


@pytest.fixture
def unreadable() -> Iterator[Path]:
    """A folder of nobody's, with one file and one folder in it that are not nobody's to read."""
    folder = Path(tempfile.mkdtemp(prefix="unreadable-"))
    folder.chmod(0o755)
    root = folder / "root"
    write(root, {b"plain": b"p", b"locked": b"l", b"closed/inner": b"i"})
    (root / "locked").chmod(0)
    (root / "closed").chmod(0)
    if os.getuid() == 0:
        os.chown(root, _nobody(), -1)
        os.chown(root / "plain", _nobody(), -1)
    yield root
    (root / "closed").chmod(0o700)
    shutil.rmtree(folder)


def test_what_may_not_be_read_is_told_and_left_alone(unreadable: Path) -> None:
    """Looked at by a process without root's rights. What was known and can't be read is not gone."""
    looks = multiprocessing.get_context("fork").Pool(1, _without_rights)
    try:
        messages, later = looks.apply(_looks_at, (str(unreadable),))
    finally:
        looks.terminate()
        looks.join()
    [report, skips, _scanned] = messages
    assert [seen.path for seen in report.seen] == ["plain"], "and nothing is gone"
    skipped = dict(skips.skipped)
    assert set(skipped) == {"locked", "closed", "closed/inner"}
    assert "can't be read: Permission denied" in skipped["locked"]
    assert later == [], "it is not tried again and again"


def _looks_at(root: str) -> tuple[list[wire.Message], list[str]]:
    told: list[wire.Message] = []
    index = Index()
    index.take([("closed/inner", "as it was", "hash", 1)])
    storage = open_storage(("local_storage", {"root": root}))
    storage.check(0)
    observer = Observer(storage, index, None, told.append)
    observer.watch = lambda folder, descriptor: None  # type: ignore[method-assign]
    observer.scan()
    observer.look_at(["closed", "closed/inner"])
    return told, observer.tell()


def _without_rights() -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setuid(_nobody())


def _nobody() -> int:
    return pwd.getpwnam("nobody").pw_uid


def _at(path: Path, start: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(length)


async def _arrives_at_b(h: House, **how: Any) -> None:
    """From now on."""
    await h.engine.change("B", {"root": str(h.folders["B"]), **how})


async def _arriving(incoming: Path, least: int) -> list[Path]:
    found: list[Path] = []

    def large() -> bool:
        found[:] = [path for path in incoming.iterdir() if path.stat().st_size > least]
        return bool(found)

    await until(large, "a transfer under way")
    return found
