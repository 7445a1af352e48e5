"""What a change of rules would do, told beforehand: one page after the other, for as long as somebody waits for it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.families.sync.test_index import NOW, Story, file, tell
from tests.families.sync.test_listing import stir
from undercroft.database import Database, Transaction
from undercroft.families.sync import actions, store, walks
from undercroft.families.sync.http.reading import Door
from undercroft.families.sync.http.rules import Rules
from undercroft.families.sync.model import Match, Rule
from undercroft.families.sync.sharing import Sharing
from undercroft.machinery.identity.model import Identity
from undercroft.machinery.operations import Request

__all__ = ["tell"]

ONLY_A = (Rule(Match("/"), ("A",)),)
BODY = b'{"rules": [{"match": {}, "sync": ["A"]}]}'


def owners(tx: Transaction) -> dict[str, set[str]]:
    known = store.load(tx, store.paths_after(tx, "", 10_000))
    return {path: set(one.file.owners) for path, one in known.items() if one.file and one.file.content}


@pytest.mark.parametrize("rules", [ONLY_A, (), (Rule(Match("/1"), ("B",)), Rule(Match("/", ("text/*",)), ("A",)))])
def test_it_is_what_comes_of_it(tell: Callable[[Story], None], rules: tuple[Rule, ...]) -> None:
    async def story(db: Database) -> None:
        await stir(db, seed=4)
        before = await db.read(owners)
        told: dict[str, tuple[set[str], set[str]]] = {}
        after: str | None = ""
        while after is not None:
            found, after = await db.read(actions.preview_page, Sharing(rules), after)
            told |= {path: (gains, loses) for path, gains, loses in found}
        assert told
        await db.write(actions.put_rules, rules)
        await db.write(actions.apply_rules)
        while (await db.write(walks.give_out)).more:
            pass
        then = await db.read(owners)
        moved = {path for path in before if before[path] != then[path]}
        assert told == {path: (then[path] - before[path], before[path] - then[path]) for path in moved}

    tell(story)


async def _enter(*_: Any, **__: Any) -> None:
    """Who comes in is another matter."""


def _request(gone: "asyncio.Future[None] | None" = None) -> Request:
    return Request("POST", {}, b"", {}, BODY, Identity("a@b", (), "t"), NOW, gone)


def test_one_looks_at_a_time_and_not_for_who_has_hung_up(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[str] = []
    really = actions.preview_page

    def noted(tx: Transaction, sharing: Sharing, after: str) -> Any:
        pages.append(after)
        return really(tx, sharing, after)

    async def story(db: Database) -> None:
        monkeypatch.setattr(actions, "PAGE", 2)
        await db.write(actions.note_seen, "A", [file(f"f{n}") for n in range(9)], NOW)
        monkeypatch.setattr(actions, "preview_page", noted)
        http = Rules(db, None, Door(_enter))  # type: ignore[arg-type] - it changes nothing
        both = await asyncio.gather(http.preview(_request()), http.preview(_request()))
        assert [json.loads(one.body)["count"] for one in both] == [9, 9]
        assert pages == ["", "f1", "f3", "f5", "f7"] * 2, "one after the other"
        pages.clear()
        gone = asyncio.get_running_loop().create_future()
        gone.set_result(None)
        await http.preview(_request(gone))
        assert pages == []

    tell(story)
