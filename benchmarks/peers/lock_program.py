"""What the locks' peers share: their arguments, asynchronous clients in a closed loop, and the JSON line at the end."""

import argparse
import asyncio
import json
import os
import resource
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

ADDRESS = os.environ["PEER_ADDRESS"]
# How long a lock would last if it were not released (ms).
TTL = 30_000

Pair = Callable[[str], Awaitable[None]]
"""Obtains the lock of this name, in line where it is contended, and releases it."""
Clients = Callable[[argparse.Namespace], AbstractAsyncContextManager[list[Pair]]]


def run(clients: Clients) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=["pairs", "contended"])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=32)
    asyncio.run(_measure(clients, parser.parse_args()))


def names(options: argparse.Namespace) -> list[str]:
    return ["line" if options.work == "contended" else f"name-{number}" for number in range(options.clients)]


async def _measure(clients: Clients, options: argparse.Namespace) -> None:
    took: list[float] = []
    async with clients(options) as crew:
        began, cpu = time.perf_counter(), _cpu_seconds()
        until = began + options.seconds
        turns = zip(crew, names(options), strict=True)
        await asyncio.gather(*(_work(pair, name, until, took) for pair, name in turns))
        print(json.dumps({"took": took, "seconds": time.perf_counter() - began, "cpu": _cpu_seconds() - cpu}))


async def _work(pair: Pair, name: str, until: float, took: list[float]) -> None:
    began = time.perf_counter()
    while began < until:
        await pair(name)
        now = time.perf_counter()
        took.append((now - began) * 1000)
        began = now


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
