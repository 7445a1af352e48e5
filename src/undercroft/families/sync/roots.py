"""Which folder may be an entry's root: one that is apart from all others."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

from undercroft.base.refusals import invalid
from undercroft.families.sync.drivers import LOCAL, place
from undercroft.families.sync.store_entries import Entry


def require_apart(driver: str, options: dict[str, Any], others: list[Entry], server: str) -> None:
    """A file that arrives in a root within another would arrive there again, for ever. `server`: its own folder.

    Looks at the disk, for links. Raises Refusal(INVALID, "entry").
    """
    if driver == LOCAL:
        _require_possible(options["root"])
    mine = _place(driver, options)
    places = {f"the root of {other.name}": _place(other.driver, other.options) for other in others}
    places["the server's own folder"] = os.path.realpath(server)
    for what, there in places.items():
        if _within(mine, there) or _within(there, mine):
            raise invalid("entry", f"this root and {what} are one, or one is in the other; choose a folder apart")
    if driver == LOCAL and _is_the_systems(mine):
        raise invalid("entry", f"{mine} is the system's own and holds no files to share; choose another folder")


def _require_possible(root: str) -> None:
    """One that is missing may come, as a disk that is mounted later: its entry stops until then."""
    try:
        is_folder = stat.S_ISDIR(Path(root).stat().st_mode)
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP):
            raise invalid("entry", f"this root can't be a folder ({error.strerror}); choose another") from None
        return
    if not is_folder:
        raise invalid("entry", f"{root} is no folder; choose one, or make it")


def _place(driver: str, options: dict[str, Any]) -> str:
    """A folder of this machine with links followed, or where else the files are."""
    return os.path.realpath(options["root"]) if driver == LOCAL else place(driver, options)


def _is_the_systems(root: str) -> bool:
    """One in /etc may be shared, and /dev/shm holds files."""
    return root == "/etc" or (
        not _within(root, "/dev/shm") and any(_within(root, there) for there in ("/proc", "/sys", "/dev"))
    )


def _within(inner: str, outer: str) -> bool:
    return (inner + "/").startswith(outer.rstrip("/") + "/")
