"""An entry's root within another's, under names that nobody could compare: all stays bounded, and ends equal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.families.sync.parts import House, house, names_of, until, write
from tests.families.sync.test_roots import reason
from tests.services.sshd import Sshd
from undercroft.families.sync import store, store_entries

POLLED = 0.5


@asynccontextmanager
async def outer_and_inner(url: str, folder: Path, sshd: Sshd) -> AsyncIterator[House]:
    """`outer` and `other` are folders of this machine; `inner` is one within `outer`, by SSH."""
    async with house(url, folder) as h:
        await h.add("outer", "other")
        write(h.folders["outer"], {b"sub/old": b"0"})
        await h.share()
        await h.holds({b"sub/old": b"0"})
        await h.engine.add("inner", "sftp", {**sshd.options(h.folders["outer"] / "sub"), "changes_timer": POLLED})
        await until(lambda: h.is_scanned("inner"), "inner to have looked at all")
        h.folders["inner"] = h.folders["outer"] / "sub"
        yield h


async def skipped(h: House, name: str) -> dict[str, str]:
    return dict(await h.database.read(store_entries.skipped, name, 10))


async def quiet(h: House, *names: str) -> None:
    async with asyncio.timeout(20):
        while True:
            if await h.is_quiet(*names):
                return
            await asyncio.sleep(0.1)


async def looks(h: House, many: int) -> None:
    """So many times each has looked at all."""
    for _ in range(many):
        await h.settle()


def test_nested_by_two_drivers_it_ends_equal_and_bounded(sqlite_url: str, tmp_path: Path, sshd: Sshd) -> None:
    async def story() -> None:
        async with outer_and_inner(sqlite_url, tmp_path, sshd) as h:
            await h.share()
            write(h.folders["outer"], {b"f": b"hello"})
            write(h.folders["other"], {b"g": b"other"})
            write(h.folders["inner"], {b"h": b"inner"})
            shared = {b"f": b"hello", b"g": b"other", b"h": b"inner", b"old": b"0", b"sub/old": b"0"}
            await h.holds(shared, "other")
            await looks(h, 3)
            await h.holds(shared, "other")
            await quiet(h, "outer", "inner")
            assert {path for path in names_of(h.folders["inner"]) if not path.startswith(b".undercroft")} == set(shared)
            outside = {path for path in names_of(h.folders["outer"]) if not path.startswith(b"sub/")}
            assert outside == {b"f", b"g", b"h", b"old"}
            assert set(await skipped(h, "outer")) == {"sub"}
            assert "apart" in (await skipped(h, "outer"))["sub"]
            assert not any("undercroft" in path for path in await h.database.read(store.paths_after, "", 100))

    asyncio.run(story())


def test_what_was_known_where_another_begins_is_neither_deleted_nor_changed_there(
    sqlite_url: str, tmp_path: Path, sshd: Sshd
) -> None:
    """And is content again when that entry is gone, and its mark."""

    async def story() -> None:
        async with outer_and_inner(sqlite_url, tmp_path, sshd) as h:
            await looks(h, 2)
            assert h.tree("other") == {b"sub/old": b"0"}
            (h.folders["other"] / "sub/old").unlink()
            link = h.engine.link("outer")
            assert link is not None
            await until(lambda: "sub/old" in link.giving.failed, "outer to leave it alone")
            assert "another entry's root" in link.giving.failed["sub/old"]
            h.kill("outer")
            await looks(h, 1)
            link = h.engine.link("outer")
            assert link is not None
            await until(lambda: "sub/old" in link.giving.failed, "outer to leave it alone still")
            assert (h.folders["inner"] / "old").read_bytes() == b"0"
            del h.folders["inner"]
            await h.engine.remove("inner")
            await looks(h, 1)
            assert set(await skipped(h, "outer")) == {"sub"}
            (h.folders["outer"] / "sub/.undercroft/root").unlink()
            write(h.folders["outer"], {b"sub/new": b"1"})
            await looks(h, 1)
            assert await skipped(h, "outer") == {}
            await until((h.folders["other"] / "sub/new").exists, "it to be content again")

    asyncio.run(story())


def test_one_root_by_two_drivers_stops_the_second(sqlite_url: str, tmp_path: Path, sshd: Sshd) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("here")
            write(h.folders["here"], {b"f": b"1"})
            await h.settle()
            twice = sshd.options(h.folders["here"])
            await h.engine.add("by ssh", "sftp", {**twice, "changes_timer": POLLED})
            assert "is the root of the entry here" in await reason(h, "by ssh")
            far = tmp_path / "far"
            far.mkdir()
            await h.engine.add("far", "sftp", {**sshd.options(far), "changes_timer": POLLED})
            await until(lambda: h.is_scanned("far"), "far to have looked at all")
            await h.engine.add("again", "sftp", {**sshd.options(far), "hostname": "127.1", "changes_timer": POLLED})
            assert "is the root of the entry far" in await reason(h, "again")
            await h.engine.add("near", "local_storage", {"root": str(far)})
            assert "is the root of the entry far" in await reason(h, "near")
            assert await h.engine.status("far") == "active"
            assert h.tree("here") == {b"f": b"1"}

    asyncio.run(story())
