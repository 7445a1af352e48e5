"""What sync takes and gives, as types."""

from typing import Any

import msgspec

from undercroft.families.sync.model import Rule


class Problem(msgspec.Struct):
    status: str
    reason: str


class FileOut(msgspec.Struct):
    fid: str
    filename: str
    size: int
    owners: tuple[str, ...]
    uptodate: tuple[str, ...]
    mimetype: str


class FileList(msgspec.Struct):
    files: list[FileOut]


class FilesQuery(msgspec.Struct):
    offset: int = 0
    limit: int = 20
    entry: str | None = None
    q: str | None = None
    state: str | None = None


class LimitQuery(msgspec.Struct):
    limit: int = 100


class VersionsQuery(msgspec.Struct):
    offset: int = 0
    limit: int = 1_000


class NoQuery(msgspec.Struct):
    """Takes no parameters."""


class VersionOut(msgspec.Struct):
    id: str
    entry: str
    size: int
    hash: str
    mtime: float
    replaced_at: float


class VersionList(msgspec.Struct):
    versions: list[VersionOut]


class RestoreIn(msgspec.Struct, forbid_unknown_fields=True):
    version: str


class EntryIn(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    driver: str
    options: dict[str, Any] = {}


class OptionsIn(msgspec.Struct, forbid_unknown_fields=True):
    """What is fetched of an entry may be sent back as it is, with other options."""

    options: dict[str, Any]
    name: str | None = None
    driver: str | None = None


class EntryOut(msgspec.Struct):
    name: str
    driver: str
    options: dict[str, Any]


class EntryList(msgspec.Struct):
    entries: list[EntryOut]


class EntryState(msgspec.Struct, omit_defaults=True):
    name: str
    status: str
    time: float
    reason: str | None = None


class StatsInfo(msgspec.Struct):
    """Of an entry's process. A figure that this machine does not let us see is `N/A`."""

    age: float
    """Seconds since it was started."""
    cpu: float | str
    """Per cent of one core since the last question, 0.0 at the first."""
    create_time: float | str
    """Seconds since 1970, as the system has it."""
    ctime: str
    """CPU time, `0:00.19`."""
    mem: float | str
    """Per cent of the machine's memory."""
    mem_info1: str
    """Memory it holds, `18M`."""
    mem_info2: str
    """Memory it has asked for."""
    started: float
    """Seconds since 1970, when it was started."""


class EntryStats(msgspec.Struct):
    info: StatsInfo
    name: str
    status: str
    time: float


class Progress(msgspec.Struct):
    name: str
    files: int
    behind: int
    held: int
    skipped_count: int
    skipped: list[tuple[str, str]]
    """(path, reason): the first hundred, as of `failed`."""
    failed: dict[str, str]
    scanned_at: float | None
    """When its process last had looked at everything, in seconds since 1970; null before the first time."""
    away: str | None
    """Why it does nothing at this moment, though it runs; null where it does."""
    kept_bytes: int
    """What its kept versions take."""
    drops_early: str | None
    """Why some of them went before their time within the last hour; null where none did."""


class ConfirmIn(msgspec.Struct, forbid_unknown_fields=True):
    confirm: bool


class Confirmed(msgspec.Struct):
    status: str
    files: int


class RulesIn(msgspec.Struct, forbid_unknown_fields=True):
    rules: tuple[Rule, ...]


class RulesOut(msgspec.Struct):
    rules: tuple[Rule, ...]


class Done(msgspec.Struct):
    status: str = "ok"


class UnderWay(msgspec.Struct):
    """It is begun, and goes on by itself."""

    reason: str
    status: str = "under way"


class PreviewedFile(msgspec.Struct):
    filename: str
    gains: list[str]
    loses: list[str]


class Preview(msgspec.Struct):
    """`files` are the first hundred of `count`."""

    count: int
    files: list[PreviewedFile]


class Transfer(msgspec.Struct):
    entry: str
    filename: str
    done: int
    size: int


class TransferList(msgspec.Struct):
    transfers: list[Transfer]


class ConflictOut(msgspec.Struct):
    time: float
    filename: str
    kept_as: str
    entry: str


class ConflictList(msgspec.Struct):
    conflicts: list[ConflictOut]
