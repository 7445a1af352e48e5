"""Sync: files kept the same in several places. The family's only door.

It opens for who goes through it (PEP 562). An entry's process only comes past on the way to its own room: with all that
stands behind the door it would start in twice the time and take half as much memory again.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from undercroft.families.sync.opening import (
        FAMILY,
        LEASE,
        MOST_COUNTED,
        Contents,
        Declared,
        Engine,
        Listed,
        Wanted,
        Window,
        family,
        keeping,
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


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("undercroft.families.sync.opening"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
