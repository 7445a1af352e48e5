"""Entries on servers and a folder of this machine: whatever happens on any side, all are equal in the end."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.parts import House, Tree, at_once, house, tree_of, write
from tests.services.apache import Apache
from tests.services.s3server import S3Server
from tests.services.sshd import Sshd
from undercroft.families.sync import store_entries
from undercroft.families.sync.names import OWN_FOLDER

ALL = ("here", "sftp", "webdav", "s3")
PATIENCE = 60


class Wide:
    """A house with one entry of each kind. `folders`: where those of them that have folders keep their files."""

    def __init__(self, inner: House, servers: tuple[Sshd, Apache, S3Server]) -> None:
        self.inner = inner
        self.sshd, self.apache, self.s3 = servers
        self.folders: dict[str, Path] = {}
        self.bucket = self.s3.create_bucket()
        inner.tree = self.tree  # type: ignore[method-assign]

    async def open(self) -> None:
        await self.inner.add("here")
        self.folders = {"here": self.inner.folders["here"], "sftp": self.inner.folder / "far"}
        self.folders["sftp"].mkdir()
        self.folders["webdav"] = self.apache.make_folder(os.urandom(8).hex())
        bucket = {"bucket": self.bucket, "aws_access_key": self.s3.key, "aws_secret_key": self.s3.secret}
        await self._add("sftp", "sftp", self.sshd.options(self.folders["sftp"]))
        await self._add("webdav", "webdav", self.apache.options(self.folders["webdav"].name))
        await self._add("s3", "amazon_s3", {**bucket, "endpoint": self.s3.url})
        for name in ALL:
            await until(lambda name=name: self.inner.is_scanned(name), f"{name} to have looked at all")
        await self.inner.share()

    async def _add(self, name: str, driver: str, options: dict[str, Any]) -> None:
        self.inner.folders[name] = self.folders.get(name, Path())
        await self.inner.engine.add(name, driver, {**options, "changes_timer": 0.5})

    def tree(self, name: str) -> Tree:
        if name != "s3":
            return tree_of(self.folders[name])
        keys = [one["Key"] for one in self.s3.client().list_objects_v2(Bucket=self.bucket).get("Contents", [])]
        found: Tree = {}
        for key in keys:
            with contextlib.suppress(self.s3.client().exceptions.NoSuchKey):  # gone since it was listed
                if not key.startswith(OWN_FOLDER):
                    found[key.encode()] = self.s3.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return found

    def write(self, entry: str, name: str, content: bytes) -> None:
        """As whoever works there would: under another name first, for a poll may come at any moment."""
        if entry == "s3":
            self.s3.client().put_object(Bucket=self.bucket, Key=name, Body=content)
            return
        path = self.folders[entry] / name
        path.parent.mkdir(exist_ok=True)
        fresh = self.inner.folder / "fresh"
        fresh.write_bytes(content)
        fresh.chmod(0o666)
        fresh.rename(path)

    def delete(self, entry: str, name: str) -> None:
        if entry == "s3":
            self.s3.client().delete_object(Bucket=self.bucket, Key=name)
        else:
            (self.folders[entry] / name).unlink()

    async def holds(self, wanted: dict[str, bytes]) -> None:
        """Wait until all hold exactly this."""
        expected = {name.encode(): content for name, content in wanted.items()}
        await until(lambda: all(self.tree(name) == expected for name in ALL), f"all to hold {list(wanted)}")
        assert await self.inner.equal(*ALL, seconds=PATIENCE) == expected


async def until(condition: Callable[[], bool], what: str) -> None:
    """Looked at now and then only: each look asks servers."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited {PATIENCE} s for {what}"
        await asyncio.sleep(0.1)


@pytest.fixture
def tell(
    sqlite_url: str, tmp_path: Path, sshd: Sshd, apache: Apache, s3: S3Server
) -> Iterator[Callable[[Callable[[Wide], Awaitable[None]]], None]]:
    def run(story: Callable[[Wide], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with house(sqlite_url, tmp_path) as inner:
                wide = Wide(inner, (sshd, apache, s3))
                await wide.open()
                await story(wide)

        asyncio.run(whole())

    yield run
    for server in (sshd, apache):
        server.stop()
        server.start()


Tell = Callable[[Callable[[Wide], Awaitable[None]]], None]


def test_what_is_made_changed_renamed_and_deleted_anywhere_is_so_everywhere(tell: Tell) -> None:
    async def story(w: Wide) -> None:
        large = os.urandom(6 * 2**20)
        tree = {
            "by here": b"1",
            "folder/by sftp": b"2",
            "by webdav é": b"3",
            "by/s3": b"4",
            "empty": b"",
            "large": large,
        }
        for entry, name in zip((*ALL, "here", "sftp"), sorted(tree, key=list(tree).index), strict=False):
            w.write(
                {"folder/by sftp": "sftp", "by webdav é": "webdav", "by/s3": "s3"}.get(name, entry), name, tree[name]
            )
        await w.holds(tree)

        for entry, name in zip(ALL, list(tree), strict=False):
            w.write(entry, name, b"changed at " + entry.encode())
            tree[name] = b"changed at " + entry.encode()
        await w.holds(tree)

        (w.folders["sftp"] / "large").rename(w.folders["sftp"] / "moved")
        (w.folders["here"] / "folder").rename(w.folders["here"] / "other")
        tree["moved"], tree["other/by sftp"] = tree.pop("large"), tree.pop("folder/by sftp")
        await w.holds(tree)

        for entry, name in (("webdav", "empty"), ("s3", "by here"), ("sftp", "moved"), ("here", "by/s3")):
            w.delete(entry, name)
            del tree[name]
        await w.holds(tree)

    tell(story)


def test_two_sides_change_one_file_and_both_are_kept(tell: Tell) -> None:
    async def story(w: Wide) -> None:
        w.write("here", "f.txt", b"first")
        await w.holds({"f.txt": b"first"})
        await w.inner.engine.end("webdav")
        w.write("webdav", "f.txt", b"changed on the server")
        w.write("here", "f.txt", b"changed here")
        await until(lambda: w.tree("s3") == {b"f.txt": b"changed here"}, "the others to have it")
        w.write("sftp", "while it stood", b"new")
        await w.inner.engine.begin("webdav")
        await until(lambda: len(w.tree("here")) == 3 and w.tree("here") == w.tree("webdav"), "both to be kept")
        tree = await w.inner.equal(*ALL, seconds=PATIENCE)
        assert sorted(tree.values()) == [b"changed here", b"changed on the server", b"new"]
        assert sum(b".conflict-" in name for name in tree) == 1

    tell(story)


def test_a_server_that_is_away_is_waited_for_and_nothing_is_taken_for_deleted(tell: Tell) -> None:
    async def story(w: Wide) -> None:
        before = {f"f{n}": b"%d" % n for n in range(12)}
        for name, content in before.items():
            w.write("here", name, content)
        await w.holds(before)
        for server in (w.sshd, w.apache):
            server.stop()
        for entry in ("sftp", "webdav"):
            await until(lambda entry=entry: w.inner.engine.link(entry).away, f"{entry} to be away")
            away = w.inner.engine.link(entry).away
            assert "127.0.0.1" in away
            assert "secret" not in away
        w.write("here", "f0", b"changed while they were away")
        w.delete("here", "f1")
        w.write("s3", "new", b"new")
        tree = {**before, "f0": b"changed while they were away", "new": b"new"}
        del tree["f1"]
        encoded = {name.encode(): content for name, content in tree.items()}
        await until(lambda: w.tree("here") == w.tree("s3") == encoded, "those that are there to agree")
        for server in (w.sshd, w.apache):
            server.start()
        await w.holds(tree)
        assert {await w.inner.engine.status(name) for name in ALL} == {"active"}

    tell(story)


def test_a_root_that_lost_its_mark_stops_its_entry_and_deletes_nothing(tell: Tell) -> None:
    async def story(w: Wide) -> None:
        tree = {f"f{n}": b"%d" % n for n in range(3)}
        for name, content in tree.items():
            w.write("here", name, content)
        await w.holds(tree)
        w.folders["sftp"].rename(w.inner.folder / "elsewhere")
        w.folders["sftp"].mkdir()
        await until(lambda: w.inner.engine.link("sftp") is None, "the entry to stop")
        await until(lambda: w.inner.supervisor.running("sync:sftp") is None, "its process to end")
        stopped = await w.inner.database.read(store_entries.find_entry, "sftp")
        assert stopped is not None
        assert "root" in (stopped.reason or "")
        assert await w.inner.engine.status("sftp") in ("stopped", "stopping")
        encoded = {name.encode(): content for name, content in tree.items()}
        assert all(w.tree(name) == encoded for name in ("here", "webdav", "s3"))
        w.folders["sftp"].rmdir()
        (w.inner.folder / "elsewhere").rename(w.folders["sftp"])
        await w.inner.engine.begin("sftp")
        w.write("sftp", "back", b"back")
        await w.holds({**tree, "back": b"back"})

    tell(story)


def test_a_worker_that_is_killed_goes_on_where_it_was(tell: Tell) -> None:
    async def story(w: Wide) -> None:
        content = os.urandom(10 * 2**20)
        w.write("here", "large", content)
        await at_once(
            lambda: any(w.inner.engine.link(name).giving.under_way for name in ALL[1:]), "it to be on its way"
        )
        for name in ALL[1:]:
            w.inner.kill(name)
        await w.holds({"large": content})
        w.write("s3", "small", b"small")
        await w.holds({"large": content, "small": b"small"})

    tell(story)


def test_many_that_vanish_on_a_server_wait_and_a_folder_renamed_there_is_moved_here(
    sqlite_url: str, tmp_path: Path, sshd: Sshd
) -> None:
    """Though nothing tells of either: one look finds the new names, and that the old ones are gone."""
    far = tmp_path / "far"
    tree = {b"old/%d" % n: b"%d" % n for n in range(30)}

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("here")
            write(far, tree)
            h.folders["far"] = far
            await h.engine.add("far", "sftp", {**sshd.options(far), "changes_timer": 0.5})
            await h.share()
            await h.holds(tree, seconds=PATIENCE)
            (far / "old").rename(far / "new")
            moved = {name.replace(b"old", b"new"): content for name, content in tree.items()}
            await h.holds(moved, seconds=PATIENCE)
            assert list((h.folders["here"] / OWN_FOLDER / "versions").iterdir()) == [], "all were moved"
            with h.standing_still("far"):  # however long it takes, it is seen as one
                for n in range(20):
                    (far / f"new/{n}").unlink()
            assert await h.is_held("far")
            assert h.tree("here") == moved
            assert await h.engine.confirm("far", True) == 20
            await h.holds({b"new/%d" % n: b"%d" % n for n in range(20, 30)}, seconds=PATIENCE)

    asyncio.run(story())
