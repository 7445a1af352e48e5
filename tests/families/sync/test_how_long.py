"""How much is listed, and for how long: old versions are found however many are newer, old conflicts are forgotten."""

from collections.abc import Callable

import pytest

from tests.families.sync.test_index import NOW, Story, tell
from undercroft.base.clock import DAY
from undercroft.base.refusals import Refusal
from undercroft.database import Database
from undercroft.families.sync import actions, kept, store_entries, store_versions
from undercroft.families.sync.names import fid_of
from undercroft.families.sync.operations import Kept

__all__ = ["tell"]


def test_a_version_is_found_however_many_are_newer(tell: Callable[[Story], None]) -> None:
    many = [Kept("f", f"place {n:04}", "h", 1, 1) for n in range(1_005)]

    async def story(db: Database) -> None:
        await db.write(kept.note, "A", many[:2], NOW)
        await db.write(kept.note, "A", many[2:], NOW + 1)
        last = await db.read(store_versions.of_file, fid_of("f"), 1_003, 9)
        assert sorted(one.place for one in last) == ["place 0000", "place 0001"]
        pages = [await db.read(store_versions.of_file, fid_of("f"), at, 400) for at in (0, 400, 800, 1_200)]
        assert len({one.id for page in pages for one in page}) == 1_005
        assert await db.read(kept.require_version, fid_of("f"), last[0].id) == ("f", last[0])
        await db.write(kept.note, "A", [Kept("other", "another place", "h", 1, 1)], NOW)
        for fid, id in ((fid_of("f"), "none"), (fid_of("f"), "\x00"), (fid_of("other"), last[0].id)):
            with pytest.raises(Refusal, match="not found"):
                await db.read(kept.require_version, fid, id)

    tell(story)


@pytest.mark.parametrize(("days", "stays"), [(0, 30), (30, 30), (90, 90)])
def test_conflicts_are_forgotten_with_the_versions(tell: Callable[[Story], None], days: int, stays: int) -> None:
    async def story(db: Database) -> None:
        for name, kept_for in (("A", 0), ("B", days)):
            await db.write(actions.change_entry, name, {"root": f"/{name}", "keep_versions": kept_for})
        for n in range(3):
            await db.write(store_entries.note_conflict, NOW + n, f"f{n}", "g", "A")
        await db.write(kept.forget_conflicts, NOW + stays * DAY)
        assert len(await db.read(store_entries.conflicts, 9)) == 3
        await db.write(kept.forget_conflicts, NOW + 2 + stays * DAY)
        assert [path for _, path, *_ in await db.read(store_entries.conflicts, 9)] == ["f2"]

    tell(story)
