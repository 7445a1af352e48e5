"""A shell that a page's blocks are typed into."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.services.waiting import wait_until

_DONE = "-- the block has ended --"


class Terminal:
    """One bash, from its making until `close`, which ends what it started too. It stops at the first failure."""

    def __init__(self, folder: Path, name: str, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._name = name
        self._screen = folder / f".{name}.screen"
        self._blocks = 0
        with self._screen.open("wb") as screen:
            self._bash = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail"],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=screen,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def type(self, block: str) -> None:
        """Start a block, without waiting for its end."""
        assert self._bash.stdin is not None
        self._blocks += 1
        file = self._folder / f".{self._name}-{self._blocks}.sh"
        file.write_text(block)
        self._bash.stdin.write(f". ./{file.name} </dev/null\n".encode())
        self._bash.stdin.flush()

    def run(self, block: str, seconds: float = 60) -> str:
        """What the block printed. AssertionError when one of its commands fails or it takes longer."""
        mark, before = f"{_DONE} {self._blocks + 1}", len(self.screen())
        self.type(f"{block}\nprintf '\\n{mark}\\n'\n")
        wait_until(lambda: self._ended(mark), f"a block to end:\n{block}", seconds)
        printed = self.screen()[before:]
        assert mark in printed, f"a command failed:\n{block}\nIt printed:\n{printed}"
        return printed.partition(f"\n{mark}")[0]

    def screen(self) -> str:
        """All that was printed until now."""
        return self._screen.read_text(errors="replace")

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGTERM)  # its own session: nobody else is in there
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        self._bash.wait(30)

    def _ended(self, mark: str) -> bool:
        return mark in self.screen() or self._bash.poll() is not None
