"""What a family gives to the house. What it gets, it is handed by `app/assembly.py` as plain arguments."""

from collections.abc import Callable
from typing import NamedTuple

from undercroft.base.refusals import Refusal
from undercroft.machinery.deliveries.hooks import Hooks
from undercroft.machinery.guide import Guide
from undercroft.machinery.loops import Loop
from undercroft.machinery.operations import Operation, Reply


class Family(NamedTuple):
    name: str
    operations: list[Operation]
    refuse: Callable[[Refusal], Reply]
    """How this family words a refusal."""
    prefixes: tuple[str, ...] = ()
    """Beginnings of paths that are all its own, up to three segments: what is unknown below is refused in its words."""
    hooks: Hooks = Hooks()
    loops: tuple[Loop, ...] = ()
    guide: Guide = Guide()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """On every answer at its paths, refusals too. Names in lower case."""
    origins: tuple[str, ...] = ()
    """Pages of these sites may call it from a browser; `*`: of any."""
    basic: bool = False
    """Whether its callers may also sign in by HTTP Basic, with e-mail and password."""
    resourceful: bool = False
    """Whether its answers name the path's methods (Allow), OPTIONS included, its paths may end in .json, and a method
    that is not there is told to those alone who may call the path."""
