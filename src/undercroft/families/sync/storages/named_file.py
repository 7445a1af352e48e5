"""Files of the server's machine that options name: keys, known hosts, authorities."""

import os
import stat
from pathlib import Path

from undercroft.families.sync.storages.errors import Vanished

LONGEST = 2**20
"""Bytes. What is larger is none of those, and a device has no end."""


def read_named(option: str, path: str) -> bytes:
    """What the file holds. Raises Vanished, with the option's name and what to do."""
    try:
        # A fifo that nobody writes to would be waited for, for ever.
        descriptor = os.open(Path(path).expanduser(), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            content = file.read(LONGEST + 1) if stat.S_ISREG(about.st_mode) else None
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a `~name` that has no home
        reason = getattr(error, "strerror", None) or "its path is none"
        raise Vanished(f"the file of the option {option} can't be read: {reason}") from None
    if content is None or len(content) > LONGEST:
        raise Vanished(f"the option {option} names a regular file of up to {LONGEST // 2**20} MiB; this one is another")
    return content
