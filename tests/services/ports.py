"""Free ports of this machine.

A server that is started takes its time until it has its port, and gives it away while it is restarted. The kernel gives
out ports by itself meanwhile, to whoever connects or asks for any: ours are below those, and each process that runs
tests has its own.
"""

import itertools
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

LOWEST, AT_ONCE, FEWEST = 10_000, 8, 100


def free_port() -> int:
    """A loopback port that nobody listens on, and that no test of this process was given before."""
    return next(port for port in _ours if _is_free(port))


def _stripe() -> Iterator[int]:
    """Again and again, from anywhere in it on: other runs of the tests may be under way."""
    kernels = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % AT_ONCE
    ours = range(LOWEST + worker, kernels, AT_ONCE)
    if len(ours) < FEWEST:  # all are the kernel's
        return iter(_any_port, None)
    begin = random.randrange(len(ours))
    return itertools.cycle([*ours[begin:], *ours[:begin]])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


_ours = _stripe()
