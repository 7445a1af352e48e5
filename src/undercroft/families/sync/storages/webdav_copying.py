"""Copies that a server makes by itself, and may go on with when nobody waits for them any more.

One that was given up is not asked for under another name, where each try would leave one more: it is looked at, asked
for once more under the name that it had, and then takes the name that is wanted now.
"""

from collections.abc import Callable

from undercroft.base.ids import sortable_id
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.storages.errors import Changed

INCOMING = f"{OWN_FOLDER}/incoming"


class Copies:
    """For one lane; `size_of` a name's file, None where there is none."""

    def __init__(self, size_of: Callable[[str], int | None]) -> None:
        self._size_of = size_of
        self._begun: dict[str, tuple[str, str]] = {}

    def make(
        self,
        source: str,
        base: str,
        size: int,
        name: str,
        copy: Callable[[str, bool], None],
        move: Callable[[str], None],
    ) -> None:
        """`copy` to a name, over what is there or onto nothing; `move` from there to `name`. Only names that are ours
        are copied over: a file among others' may be theirs by then."""
        known, at = self._begun.get(source, ("", ""))
        again = known == base
        if not again:
            at = name if name.startswith(f"{OWN_FOLDER}/") else f"{INCOMING}/{sortable_id()}"
            self._begun[source] = base, at
        try:
            if not again or self._size_of(at) != size:
                copy(at, again)
            if at != name:
                move(at)
        except Changed:
            self._begun.pop(source)
            raise
        self._begun.pop(source)
