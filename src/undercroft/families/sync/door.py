"""The door of the family: what the app takes of it, and nothing else. `__init__` opens it."""

from undercroft.database import Database
from undercroft.families.sync.contents import Contents
from undercroft.families.sync.declaring import Declared, declare
from undercroft.families.sync.engine import KEEP_EVERY, LEASE, Engine
from undercroft.families.sync.guide import GUIDE
from undercroft.families.sync.http import operations
from undercroft.families.sync.http.reading import VARY
from undercroft.families.sync.listing import Listed, Wanted
from undercroft.families.sync.looking import MOST_COUNTED
from undercroft.families.sync.model import FAMILY
from undercroft.families.sync.refusing import refuse
from undercroft.families.sync.window import Window
from undercroft.machinery.family import Family
from undercroft.machinery.identity.entering import Enter
from undercroft.machinery.loops import Loop, Step


def keeping(engine: Engine, database: Database, declared: Declared) -> Step:
    """The engine's step; when it starts here, what the settings declare is carried out first.

    Where that breaks off nothing has started, and the next step begins anew.
    """

    async def keep(now: int) -> bool:
        if await engine.start():
            try:
                await declare(engine, database, declared)
            except BaseException:
                await engine.stand_down()
                raise
        return await engine.keep(now)

    return keep


def family(
    database: Database, engine: Engine, contents: Contents, enter: Enter, keep: Step, origins: tuple[str, ...] = ()
) -> Family:
    """`enter`: the gate's, for namespaces that stand in no path; `keep`: the engine's step, where it is this node's;
    `origins`: sites whose pages may call this from a browser."""
    return Family(
        name=FAMILY,
        operations=operations(database, engine, contents, enter),
        refuse=refuse,
        prefixes=("api/v1.0",),
        loops=(Loop("entries", keep, KEEP_EVERY),),
        guide=GUIDE,
        headers=VARY,
        origins=origins,
    )


__all__ = [
    "FAMILY",
    "LEASE",
    "MOST_COUNTED",
    "Contents",
    "Declared",
    "Engine",
    "Listed",
    "Wanted",
    "Window",
    "family",
    "keeping",
]
