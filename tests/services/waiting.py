"""Waiting for another process, or thread, to come to a state."""

import asyncio
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20, pause: float = 0.02) -> None:
    """Returns as soon as `condition` holds; AssertionError naming `what` after `seconds` without."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(pause)


async def until(holds: Callable[[], object], what: str) -> None:
    """As `wait_until`, for what this loop itself has a part in."""
    try:
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - the other side is no task of this loop
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"waited 20 s for {what}") from None
