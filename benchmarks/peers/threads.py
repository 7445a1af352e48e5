"""Blocking clients: as many threads as clients, each calling its library in a closed loop."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import urllib3
from program import measured

pool = urllib3.PoolManager(maxsize=64, retries=False)


def post(url: str, meta: dict[str, object]) -> None:
    """Calls the receiver on a kept connection."""
    answer = pool.request("POST", url, json=meta)
    if answer.status != 200:
        raise RuntimeError(f"the receiver answered {answer.status}")


def create_for(seconds: float, clients: int, create: Callable[[int], None]) -> None:
    """Says how many jobs the clients created in this time."""
    numbers = count()
    create(next(numbers))
    finished = measured()
    until = time.perf_counter() + seconds

    def client(_: int) -> int:
        done = 0
        while time.perf_counter() < until:
            create(next(numbers))
            done += 1
        return done

    with ThreadPoolExecutor(clients) as crew:
        finished(sum(crew.map(client, range(clients))))
