"""What S3 lists in the order of its names, without what is in others' roots. Pure.

A folder's mark comes after what begins with a lower character than its own dot, such as `folder/-a` or
`folder/.hidden`: that waits until the mark would have come.
"""

import re
from collections.abc import Iterable, Iterator

from undercroft.families.sync.storages.drive import Stat
from undercroft.families.sync.storages.others_roots import MARK, REASON

_MARK = f"/{MARK}"
_MAYBE_BEFORE = re.compile(r"/[\x00-.]")


def without_others_roots(found: Iterable[Stat]) -> Iterator[Stat]:
    """In the same order. A folder with a mark is told of once, as unfit."""
    waiting: list[tuple[str, Stat]] = []
    until = others = ""
    for one in found:
        name = one.name
        if others and name.startswith(others):
            continue
        if waiting and name > until:
            yield from (stat for _, stat in waiting)
            waiting, until = [], ""
        if name.endswith(_MARK):
            others = name.removesuffix(MARK)
            waiting = [(known, stat) for known, stat in waiting if not known.startswith(others)]
            one = Stat(others.rstrip("/"), 0, "", 0, REASON)  # noqa: PLW2901 - what is told in its place
        if _MAYBE_BEFORE.search(name):
            until = max([until, *_marks_after(one.name)])
        if waiting or until > name:
            waiting.append((name, one))
        else:
            yield one
    yield from (stat for _, stat in waiting)


def _marks_after(name: str) -> Iterator[str]:
    """Of all folders that it is in: that it would come after some of them does no harm."""
    return (name[:at] + _MARK for at, letter in enumerate(name) if letter == "/")
