"""What a drive tells of a file is somebody else's word: whether it can be kept as it is. Pure."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from undercroft.families.sync.names import complaint, is_text, shown
from undercroft.families.sync.storages.drive import Stat

LARGEST = 2**63 - 1
"""What a database and a file system can hold, as a number of bytes or of nanoseconds."""
LONGEST_REVISION = 1_000
_NO_TEXT = "its name is no UTF-8, and can't be asked for there"


def judged(about: Stat, names_are_bytes: bool) -> tuple[str, str]:
    """A file's path, and why it can't be synchronised; "" where it can."""
    try:
        path = shown(about.name.encode(errors="surrogateescape"))
    except UnicodeEncodeError:
        return shown(about.name.encode(errors="replace")).replace("\0", "?"), _NO_TEXT
    reason = about.unfit or complaint(path) or doubts(about)
    if not reason and not names_are_bytes and not is_text(about.name):
        reason = _NO_TEXT
    return path.replace("\0", "?"), reason or ""


def folder_unfit(name: str, names_are_bytes: bool) -> str:
    """Why what is in a folder can't be asked for; "" where it can."""
    return judged(Stat(name, 0, "-", 0), names_are_bytes)[1]


def doubts(about: Stat) -> str:
    """Why what is told of it can't be kept in mind; "" where it can."""
    if not 0 <= about.size <= LARGEST:
        return "its size is not told, or is none"
    revision = about.revision
    if not revision or not revision.isprintable() or not is_text(revision) or len(revision) > LONGEST_REVISION:
        return "its revision is none that can be kept"
    return ""


def is_one_name(said: str) -> bool:
    """Whether it is what a folder can have in it: of a server that says otherwise a path might lead elsewhere."""
    return "/" not in said and "\0" not in said and said not in ("", ".", "..")


def size_of(said: str) -> int:
    """Bytes; -1 for what is no size."""
    return int(said) if re.fullmatch("[0-9]{1,18}", said) else -1


def time_of(said: str) -> int:
    """Nanoseconds of an HTTP date; 0 for what is none."""
    try:
        moment = parsedate_to_datetime(said)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 10**9
    except (ValueError, OverflowError):
        return 0


def moment_of(said: str) -> int:
    """Nanoseconds of a moment as ISO 8601 has it, in whole seconds; 0 for what is none."""
    try:
        moment = datetime.fromisoformat(said)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 10**9
    except (ValueError, OverflowError):
        return 0


def fitting(mtime: int) -> int:
    """Nanoseconds since 1970, the nearest that can be kept."""
    return max(-LARGEST, min(LARGEST, mtime))
