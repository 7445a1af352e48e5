"""A drive by itself, without the storage around it."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from undercroft.families.sync.storages.asking import Asking
from undercroft.families.sync.storages.drive import Drive, Stat

NS = 10**9

D = TypeVar("D", bound=Drive)


@contextmanager
def making(kind: Callable[[dict[str, Any], Asking], D], options: dict[str, Any]) -> Iterator[Callable[..., D]]:
    """Makes drives with these options, and others that are given; they are closed in the end. No pause is waited for,
    each is told in `pauses`."""
    with ExitStack() as open_drives:

        def make(pauses: list[float] | None = None, clock: Callable[[], float] = time.time, **others: Any) -> D:
            asking = Asking([].append if pauses is None else pauses.append, clock)
            made = kind({**options, **others}, asking)
            open_drives.callback(made.close)
            return made

        yield make


def put(drive: Drive, name: str, content: bytes = b"content", base: str = "", mtime: int = 5 * NS) -> Stat:
    return drive.put(name, io.BytesIO(content), len(content), mtime, base)


def read(drive: Drive, name: str, start: int = 0) -> bytes:
    with drive.open(name, start) as reading:
        return b"".join(reading.blocks())
