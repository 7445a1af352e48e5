"""Two entries are never on one folder, whatever is done to the folders above."""

import asyncio
import shutil
from pathlib import Path

from tests.families.sync.parts import House, house, write
from undercroft.families.sync import store_entries


def test_a_root_that_leads_to_anothers_stops_its_entry(sqlite_url: str, tmp_path: Path) -> None:
    """A folder above B's root is swapped for a link to where A's is, while B is stopped: all that B held is gone."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            for place in ("p1", "p2"):
                (tmp_path / place).mkdir()
            h.folders = {"A": tmp_path / "p1/files", "B": tmp_path / "p2/files"}
            for name, root in h.folders.items():
                root.mkdir()
                await h.engine.add(name, "local_storage", {"root": str(root)})
            await h.share()
            write(h.folders["A"], {b"f": b"1"})
            await h.holds({b"f": b"1"})
            await h.engine.end("B")
            (tmp_path / "p2").rename(tmp_path / "aside")
            (tmp_path / "p2").symlink_to("p1")
            await h.engine.begin("B")
            assert "the root of the entry A" in await reason(h, "B")
            (tmp_path / "p2").unlink()
            (tmp_path / "p2/files/.undercroft").mkdir(parents=True)
            await h.engine.begin("B")
            assert "not the folder that it was" in await reason(h, "B")
            assert h.tree("A") == {b"f": b"1"}

    asyncio.run(story())


def test_an_entry_begins_on_a_copy_of_anothers_root(database_url: str, tmp_path: Path) -> None:
    """`cp -a` spares sending everything; nothing of it is a conflict, and nothing is put anew."""

    async def story() -> None:
        async with house(database_url, tmp_path) as h:
            await h.add("A")
            write(h.folders["A"], {b"d/f": b"1", b"g": b"2"})
            await h.settle()
            shutil.copytree(h.folders["A"], tmp_path / "B", symlinks=True)
            copied = (tmp_path / "B/g").stat()
            await h.add("B")
            await h.share()
            await h.holds({b"d/f": b"1", b"g": b"2"})
            now = (tmp_path / "B/g").stat()
            assert (now.st_ino, now.st_mtime_ns) == (copied.st_ino, copied.st_mtime_ns)
            (tmp_path / "B/g").write_bytes(b"3")
            await h.holds({b"d/f": b"1", b"g": b"3"})

    asyncio.run(story())


async def reason(h: House, name: str) -> str:
    """Why it was stopped."""
    async with asyncio.timeout(20):
        while True:
            entry = await h.database.read(store_entries.find_entry, name)
            assert entry is not None
            if not entry.up and entry.reason:
                return entry.reason
            await asyncio.sleep(0.02)
