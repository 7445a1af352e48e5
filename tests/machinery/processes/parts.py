"""A supervisor at work, and what it is given to run."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.waiting import until
from undercroft.base.clock import wall_clock
from undercroft.database import Database, migrations_in, open_database
from undercroft.machinery.processes import children, store
from undercroft.machinery.processes.plan import Spec
from undercroft.machinery.processes.supervisor import Supervisor

SLEEPS = Spec((sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"), graceful=5_000)
STUBBORN = Spec(
    (sys.executable, "-c", "import signal,time; signal.signal(15, signal.SIG_IGN); print('deaf',flush=True)\n"
     "while True: time.sleep(9)"),
    graceful=300,
)  # fmt: skip


@contextlib.asynccontextmanager
async def house(url: str, folder: Path) -> AsyncIterator[tuple[Supervisor, Database]]:
    """A supervisor that tends; what still runs at the end is ended."""
    database = await open_database(url, migrations_in("undercroft.machinery.processes"), wall_clock, pool=2)
    supervisor = Supervisor(database, "node", folder, wall_clock)
    tending = asyncio.create_task(supervisor.run())
    try:
        yield supervisor, database
    finally:
        tending.cancel()
        for process in await database.read(store.all_of, "node"):
            if process.child is not None:
                children.send(process.child.pid, process.created, signal.SIGKILL)
        await database.close()


def pid_of(supervisor: Supervisor, name: str = "one") -> int:
    child = supervisor.running(name)
    assert child is not None
    return child.pid


async def another(supervisor: Supervisor, name: str, pid: int) -> None:
    """Runs now."""
    await until(lambda: supervisor.running(name) is not None and pid_of(supervisor, name) != pid, f"a new {name}")


def deaf(patch: pytest.MonkeyPatch, pid: int) -> None:
    """No signal reaches this one: what hangs in a system call can't be made here."""
    really = os.killpg

    def killpg(group: int, number: int) -> None:
        if group != pid:
            really(group, number)

    patch.setattr(os, "killpg", killpg)
