"""Places in an entry's versions area: `ID.FID` says when something was kept there, and which file it is of.

The first is a sortable id, the second the file's; in places of earlier days it is missing.
"""

from undercroft.base.ids import earliest_id, moment_of, sortable_id
from undercroft.families.sync.names import fid_of


def new_place(path: str) -> str:
    return f"{sortable_id()}.{fid_of(path)}"


def first_place(moment: int) -> str:
    """The one before all that are made from this moment (ms) on."""
    return earliest_id(moment)


def moment_at(place: str) -> int | None:
    """When it was kept (ms); None for what is no place of ours."""
    return moment_of(id_at(place))


def id_at(place: str) -> str:
    return place.partition(".")[0]


def fid_at(place: str) -> str:
    return place.partition(".")[2]
