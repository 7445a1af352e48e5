"""Stories of three entries that share everything; and the document's example on a real server."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.families.sync.example import Example
from tests.families.sync.parts import Story, house
from tests.services.croft import Croft

Tell = Callable[[Story], None]


@pytest.fixture
def tell(sqlite_url: str, tmp_path: Path) -> Tell:
    """Run a story on entries A, B and C that share everything."""
    return lambda story: _tell(sqlite_url, tmp_path, story)


@pytest.fixture
def tell_on_both(database_url: str, tmp_path: Path) -> Tell:
    """As `tell`, once on each engine: for stories in which several write what one has read."""
    return lambda story: _tell(database_url, tmp_path, story)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Entries A and B of one server; a module's tests use them one after the other."""
    folder = tmp_path_factory.mktemp("sync")
    croft = Croft(folder / "croft")
    croft.start()
    try:
        yield Example(croft, folder / "example")
    finally:
        croft.stop()
        croft.close()


def _tell(url: str, folder: Path, story: Story) -> None:
    async def whole() -> None:
        async with house(url, folder) as shared:
            await shared.add("A", "B", "C")
            await shared.share()
            await story(shared)

    asyncio.run(whole())
