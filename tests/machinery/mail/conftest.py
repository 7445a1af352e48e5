from collections.abc import Iterator

import pytest

from tests.database.engines import Engine


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database of either engine with every table and no row."""
    opened = Engine(database_url)
    opened.migrate()
    yield opened
    opened.close()
