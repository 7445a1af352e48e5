"""What the server and an entry's worker say to each other: msgpack, each message after its length (4 bytes).

They talk over a Unix socket in the data folder, to which a worker connects and, when the server was killed, connects
again. The server owns the index and decides; a worker scans and watches one storage and carries out operations. Content
never passes through the server: a worker that needs some opens the source's storage itself. No message grows with the
number of files: lists come in pages.

    worker → server   Hello · Left · Report · Skipped · Scanned · Done · Moving · Dropped · Trouble · Away · Here
    server → worker   Setup · Known · KnownKept · Storages · Do · InStep · Rescan · Restore · Drop · WhoIsThere
                      Refused
"""

import asyncio
import struct
from typing import Any

import msgspec

from undercroft.base.clock import MINUTE
from undercroft.families.sync.operations import Delete, Kept, LeftKept, Move, Put, Room, Settled
from undercroft.families.sync.reconcile import Seen

LONGEST = 64 * 2**20
# As many files vanish without a question; what vanishes is told so long (ms) after that at the latest.
FEW = 10
TOLD_WITHIN = MINUTE
_head = struct.Struct(">I")


class Message(msgspec.Struct, array_like=True, tag=True):
    pass


class Hello(Message):
    entry: str


class Left(Message):
    """Kept versions that the server does not know, before anything else is told: a worker that was killed has kept
    them and said nothing. There may be as many as were ever kept, where an entry comes back to its old place."""

    kept: list[LeftKept]


class Report(Message):
    """A page of what has changed since it was last told. Both halves of a rename are in one page."""

    seen: list[Seen]
    look: int = 0
    """The look that found it: the number is the same on all its pages."""
    vanished: int = 0
    """So many files more have gone in the whole look than are new; fewer than 0 where there are more."""
    emptied: bool = False
    """Something was known, and nothing at all is left."""


class Restored(Message):
    """It was tried to give a kept version its name again."""

    place: str
    seen: Seen | None
    """What lies there now; None where that failed, which is told before."""


class Skipped(Message):
    """A page of what can't be held, and why; "" for what is skipped no more."""

    skipped: list[tuple[str, str]]
    anew: bool
    """All has been looked at: what was told before is forgotten."""


class Scanned(Message):
    """All has been looked at, and what was found is told."""

    files: int
    seconds: float


class Failed(msgspec.Struct, array_like=True):
    path: str
    version: int
    reason: str
    expected: bool
    """Things have moved on meanwhile; nobody need be told."""
    by: str = ""
    """A file that is in its way: a folder has to be where the one is, or the other."""


class Done(Message):
    settled: list[Settled]
    kept: list[Kept]
    failed: list[Failed]
    room: Room | None = None
    """What is left then, where something was kept or failed, and where the storage is a disk of this machine."""


class Moving(Message):
    """So much of a large file has arrived."""

    path: str
    done: int
    size: int


class Dropped(Message):
    """These kept versions are gone. What can't be dropped now is not named; it is asked for again."""

    places: list[str]
    room: Room | None = None
    """What is left then, where the storage is a disk of this machine."""


class Trouble(Message):
    """The storage can't be used; the worker ends."""

    reason: str


class Away(Message):
    """The storage can't be reached at this moment, and is tried again; "" when it is back."""

    reason: str


class Here(Message):
    """The answer to `WhoIsThere`. `stuck`: what of it does not go on, though it can answer; "" where all does."""

    stuck: str


class Setup(Message):
    """`storages`: entry → (driver, options), of all entries; its own among them."""

    entry: str
    storages: dict[str, tuple[str, dict[str, Any]]]
    expected: int
    """How many files it should find."""
    marks: dict[str, str]
    """Entry → what tells its root from all others."""
    kept_after: str = ""
    """Of kept versions whose places sort after this the server may not know all."""


class Known(Message):
    """What the entry held when it was last asked: (path, revision, hash, size)."""

    rows: list[tuple[str, str, str, int]]
    last: bool


class KnownKept(Message):
    """The places after `kept_after` that the server knows."""

    places: list[str]
    last: bool


class Storages(Message):
    """Of all entries, as in `Setup`, whenever another one's has come, gone or changed."""

    storages: dict[str, tuple[str, dict[str, Any]]]


class Do(Message):
    puts: list[Put]
    moves: list[Move]
    deletes: list[Delete]


class InStep(Message):
    """Nothing is behind: what has arrived in part is nobody's."""


class Rescan(Message):
    pass


class Restore(Message):
    """Put a kept version back under its name."""

    path: str
    place: str
    size: int


class Drop(Message):
    """Kept versions that are to go: their time is over, or they take too much room. None: how much is left is asked."""

    places: list[str]


class WhoIsThere(Message):
    """Every now and then, one at a time: a worker that is stopped, or hangs, does not answer."""


class Refused(Message):
    """What was said could not be written down. The server hangs up; the worker comes back after a pause that grows."""


ToServer = Hello | Left | Report | Restored | Skipped | Scanned | Done | Moving | Dropped | Trouble | Away | Here
ToWorker = Setup | Known | KnownKept | Storages | Do | InStep | Rescan | Restore | Drop | WhoIsThere | Refused

_encoder = msgspec.msgpack.Encoder()


def packed(message: Message) -> bytes:
    body = _encoder.encode(message)
    return _head.pack(len(body)) + body


async def receive(reader: asyncio.StreamReader, decoder: "msgspec.msgpack.Decoder[Any]") -> Any:
    """The next message; None at the end. Raises ValueError for what is none."""
    try:
        (length,) = _head.unpack(await reader.readexactly(_head.size))
        if length > LONGEST:
            raise ValueError("a message that long is none of ours")
        return decoder.decode(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
