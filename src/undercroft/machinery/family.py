"""What a family gives to the house. What it gets, it is handed by `app/assembly.py` as plain arguments."""

from collections.abc import Callable
from typing import NamedTuple

from undercroft.base.refusals import Refusal
from undercroft.machinery.deliveries.hooks import Hooks
from undercroft.machinery.loops import Loop
from undercroft.machinery.operations import Operation, Reply


class Family(NamedTuple):
    name: str
    operations: list[Operation]
    refuse: Callable[[Refusal], Reply]
    """How this family words a refusal."""
    prefixes: tuple[str, ...] = ()
    """First path segments that are all its own, so that unknown paths below them are refused in its words."""
    hooks: Hooks = Hooks()
    loops: tuple[Loop, ...] = ()
