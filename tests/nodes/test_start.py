"""Starting: quickly, alone, and with a word to say where it can't."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.services.croft import Croft
from tests.services.ports import free_port
from tests.services.waiting import wait_until


def test_a_start_is_little_more_than_importing(start_croft: Callable[..., Croft], database_url: str) -> None:
    """The machine's own speed cancels out; how long a start takes is measured in the benchmark `pending`."""
    croft = start_croft(database=database_url)
    starting, importing = [], []
    for _ in range(3):
        croft.restart()
        starting.append(sum(psutil.Process(croft.pid).cpu_times()[:2]))
        importing.append(processor_time([sys.executable, "-c", "import undercroft.app.node"]))

    assert min(starting) < 3 * min(importing)
    assert min(importing) < 15 * processor_time([sys.executable, "-c", "import asyncio"])


def processor_time(command: list[str]) -> float:
    process = subprocess.Popen(command)
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime + used.ru_stime


def test_a_second_server_on_the_same_data_is_refused(start_croft: Callable[..., Croft]) -> None:
    first = start_croft()
    second = Croft(first.data.parent, token=first.token)

    assert ended(second) == 1

    assert f"another server runs on {first.data}; stop it, or name another folder with --data" in second.log_tail()
    assert first.healthy()
    second.close()


def test_the_data_of_a_killed_server_are_free(start_croft: Callable[..., Croft]) -> None:
    croft = start_croft()
    croft.kill()

    croft.start()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    croft = Croft(tmp_path)
    with socket.create_server(("127.0.0.1", croft.port)):
        assert ended(croft) == 1

    assert f"can't listen on 127.0.0.1:{croft.port}" in croft.log_tail()
    assert not (croft.data / "undercroft.db").exists()
    croft.close()


def test_a_database_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    croft = Croft(tmp_path, database="postgresql://undercroft:hunter2@127.0.0.1:1/undercroft")

    assert ended(croft) == 1

    assert "PostgreSQL is not reachable; check that it runs and that --database is right" in croft.log_tail()
    assert "hunter2" not in croft.log_tail()
    croft.close()


@pytest.mark.parametrize(("part", "name"), [("run", "courier"), ("settle_all", "settling")])
def test_a_server_whose_courier_breaks_off_ends_and_says_why(tmp_path: Path, part: str, name: str) -> None:
    """One that goes on would take jobs and fire none."""
    program = f"""
import sys
from pathlib import Path
from undercroft.app.node import serve
from undercroft.app.settings import Settings
from undercroft.machinery.deliveries.courier import Courier

async def break_off(self):
    raise LookupError("a fault of ours")

Courier.{part} = break_off
sys.exit(serve(Settings(data_dir=Path({str(tmp_path)!r}), listen=("127.0.0.1:{free_port()}",))))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )

    assert done.returncode == 1
    log = done.stdout + done.stderr
    assert "cannot_go_on" in log and f"{name} broke off (LookupError: a fault of ours)" in log


def ended(croft: Croft) -> int:
    """The exit code of a server that ends by itself."""
    croft.launch()
    wait_until(lambda: not croft.running, "croft to end by itself", 30)
    return croft.stop()
