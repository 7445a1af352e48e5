"""An index alone: entries, rules and files in a database, and nobody who carries anything out."""

import contextlib
from collections.abc import AsyncIterator

from undercroft.base.clock import wall_clock
from undercroft.database import Database, migrations_in, open_database
from undercroft.families.sync import actions
from undercroft.families.sync.model import Match, Rule

NOW = 1_800_000_000_000


@contextlib.asynccontextmanager
async def index(url: str, *entries: str) -> AsyncIterator[Database]:
    """Of entries that share everything."""
    database = await open_database(url, migrations_in("undercroft.families.sync"), wall_clock, pool=2)
    try:
        for name in entries:
            await database.write(actions.add_entry, name, "local_storage", {"root": f"/{name}"}, NOW)
        await database.write(actions.put_rules, (Rule(Match("/"), entries),))
        await database.write(actions.apply_rules)
        yield database
    finally:
        await database.close()
