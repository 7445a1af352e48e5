"""Rules: who holds which file, and what becomes of files that change hands."""

from collections.abc import Callable

from tests.families.sync.parts import House, Story, until, write
from undercroft.families.sync import store_versions
from undercroft.families.sync.model import Match, Rule
from undercroft.families.sync.names import fid_of


def test_rules(tell_on_both: Callable[[Story], None]) -> None:
    async def story(h: House) -> None:
        await h.share(
            Rule(Match("/docs"), ("A", "B")), Rule(Match(None, ("application/pdf", "image/*")), ("C",)),
            Rule(Match("/docs/", ("text/plain",)), ("C",)),
        )  # fmt: skip
        write(
            h.folders["A"], {b"docs/a.txt": b"1", b"docs/b.bin": b"2", b"docsx": b"3", b"x.pdf": b"4", b"y.png": b"5"}
        )
        await until(lambda: len(h.tree("B")) == 2 and len(h.tree("C")) == 3, "each to have its own")
        await h.settle()
        assert set(h.tree("B")) == {b"docs/a.txt", b"docs/b.bin"}
        assert set(h.tree("C")) == {b"docs/a.txt", b"x.pdf", b"y.png"}
        await h.share()
        await h.holds(h.tree("A"))

    tell_on_both(story)


def test_what_one_keeps_that_holds_the_file_no_more_can_be_restored(tell: Callable[[Story], None]) -> None:
    """B had it as it was at first, and was taken out of the rule; the others have gone on."""

    async def story(h: House) -> None:
        for text in (b"first", b"second"):
            write(h.folders["A"], {b"f": text})
            await h.holds({b"f": text})
        await h.share(Rule(Match("/"), ("A", "C")))
        write(h.folders["A"], {b"f": b"third"})
        await h.equal("A", "C")
        found = await h.database.read(store_versions.of_file, fid_of("f"))
        [first] = [version for version in found if version.entry == "B"]
        await h.engine.restore("f", first, "somebody")
        await h.holds({b"f": b"first"})

    tell(story)
