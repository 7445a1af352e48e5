"""How much room kept versions may take, and what each is worth where that is too little. Pure."""

from typing import Any, NamedTuple

from undercroft.base.clock import DAY, HOUR, MINUTE
from undercroft.families.sync.drivers import LOCAL, option
from undercroft.families.sync.operations import Room

# A file's newest kept version is what a deletion is undone with: so long (ms) it stays, whatever room it takes.
LEAST_AGE = DAY
# Bytes, unless somebody has said how many; a storage elsewhere does not say how much room it has, nor do some disks.
MOST_FAR = 100 * 2**30
# Bytes of a disk that are left to what is newer than kept versions; of a small disk its share.
FLOOR = 2**30
_FLOOR_SHARE = 20
# Where less than such a part of that is left, nothing stays for its age.
_LAST_SHARE = 2

WORTHS = (MINUTE, HOUR, DAY)
_OVER = (
    "what it keeps of older content takes more than {} bytes, so that the least of it goes before its time;"
    " the option keep_bytes says how many may stay"
)
SHORT = "its disk has too little room left, so that what it keeps of older content goes before its time; make room"


class Excess(NamedTuple):
    """Bytes of kept versions that are to go before their time, and why. `all`: also what is younger than LEAST_AGE."""

    bytes: int
    why: str
    all: bool = False


def worth(before: int | None, moment: int) -> int:
    """Of a version that was replaced at this moment (ms), after one of its file that was at that: 3 for the first of a
    day, 2 of an hour, 1 of a minute, 0 for the rest. The first of a burst is what was there before it."""
    return len(WORTHS) if before is None else sum(before // span < moment // span for span in WORTHS)


def most(driver: str, options: dict[str, Any], usual: int, kept: int, room: Room | None) -> int | None:
    """How many bytes of kept versions an entry may have that has so many; None: that is not known yet.

    `usual`: for entries that say nothing, 0 for the half of what room would be there without them.
    """
    said = int(option(driver, options, "keep_bytes")) or usual
    if said or driver != LOCAL or (room is not None and not room.size):
        return said or MOST_FAR
    return None if room is None else (room.free + kept) // 2


def lacking(room: Room | None) -> int:
    """Bytes that a disk has too little."""
    return 0 if room is None else max(0, _floor(room) - room.free)


def excess(kept: int, most: int | None, room: Room | None) -> Excess:
    """Of so many bytes that are kept."""
    over = 0 if most is None else kept - most
    short = min(kept, lacking(room))
    is_dire = room is not None and room.free < _floor(room) // _LAST_SHARE
    if short > 0 and (is_dire or short > over):
        return Excess(short, SHORT, is_dire)
    return Excess(over, _OVER.format(most)) if over > 0 else Excess(0, "")


def _floor(room: Room) -> int:
    return min(FLOOR, room.size // _FLOOR_SHARE)
