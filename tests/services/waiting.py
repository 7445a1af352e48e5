"""Waiting for another process to come to a state."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20, pause: float = 0.02) -> None:
    """Returns as soon as `condition` holds; AssertionError naming `what` after `seconds` without."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(pause)
