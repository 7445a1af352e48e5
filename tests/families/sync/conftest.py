"""Stories of three entries that share everything."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.families.sync.parts import Story, house


@pytest.fixture
def tell(sqlite_url: str, tmp_path: Path) -> Callable[[Story], None]:
    """Run a story on entries A, B and C that share everything."""

    def run(story: Story) -> None:
        async def whole() -> None:
            async with house(sqlite_url, tmp_path) as shared:
                await shared.add("A", "B", "C")
                await shared.share()
                await story(shared)

        asyncio.run(whole())

    return run
