"""What the Python peers' programs share: their arguments, the job, the JSON lines that they answer with."""

import argparse
import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

ADDRESS = os.environ["PEER_ADDRESS"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=["create", "bulk", "fire"])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--url", default="")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--spacing", type=int, default=0, help="ms")
    parser.add_argument("--lead", type=int, default=3000, help="ms")
    parser.add_argument("--workers", type=int, default=50)
    return parser.parse_args()


def meta(n: int) -> dict[str, Any]:
    return {"n": n, "order": f"order-{n}", "note": "payment timeout: release what was reserved"}


def later_this_month() -> datetime:
    return datetime.now(UTC) + timedelta(days=random.uniform(1, 30))


def at(epoch_ms: float) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def say(**answer: Any) -> None:
    print(json.dumps(answer), flush=True)


def say_due(due: int) -> None:
    say(due=due, spare=due - now_ms())


def until_told_to_end() -> None:
    sys.stdin.read()


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured() -> Callable[[int], None]:
    """Starts the clocks; the function that it returns says how many jobs were done meanwhile."""
    began, cpu = time.perf_counter(), cpu_seconds()
    return lambda done: say(done=done, seconds=time.perf_counter() - began, cpu=cpu_seconds() - cpu)
