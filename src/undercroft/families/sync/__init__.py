"""Sync: files kept the same in several places. The family's only door, which stands in `door.py`.

It opens for who goes through it (PEP 562). An entry's process only comes past on the way to its own room: with all that
stands behind the door it would start in twice the time and take half as much memory again.
"""

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from undercroft.families.sync.door import *  # noqa: F403 - they are named there


def __getattr__(name: str) -> Any:
    # Who imports a room from here asks for its name first, and means nothing of the door's.
    if not name.startswith("_") and find_spec(f"{__name__}.{name}") is None:
        door = importlib.import_module(f"{__name__}.door")
        if name in door.__all__:
            return getattr(door, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
