"""A peer: its own service and its own client library, driven through one small program per peer.

Each program in `peers/` knows the works create, bulk and fire and answers in JSON lines. It is told the
address of its service in the environment, where other users of the machine cannot read it.
"""

import contextlib
import json
import os
import select
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import needs
from benchmarks.arrivals import Arrivals
from benchmarks.measures import Firing, Plan, Rate
from benchmarks.processes import Unable, cpu_seconds, last_words, stop
from benchmarks.services import Postgres, Redis, Service, SqliteFile

PROGRAMS = needs.NODE_PEERS
PATIENCE = 90.0


@dataclass
class Peer:
    """It takes `intake` seconds per job to have a plan's jobs stored before the first one is due."""

    name: str
    program: Callable[[], list[str]]
    serve: Callable[[Path], Service]
    intake: float = 0.0
    options: tuple[str, ...] = ()

    def open(self, folder: Path) -> None:
        self.log = folder / "program.log"
        self.command = self.program()
        self.service = self.serve(folder)

    def close(self) -> None:
        self.service.close()

    def create(self, seconds: float, clients: int = 32) -> Rate:
        return self._rate("create", seconds, clients)

    def bulk(self, seconds: float, clients: int = 4) -> Rate:
        return self._rate("bulk", seconds, clients)

    def fire(self, plan: Plan, arrivals: Arrivals) -> Firing:
        """Tried again with twice the lead when a loud machine made it miss the first due moment."""
        lead = 3.0 + plan.count * self.intake
        return self._fire(plan, arrivals, lead) or self._fire(plan, arrivals, 2 * lead) or self._too_late(lead)

    def _fire(self, plan: Plan, arrivals: Arrivals, lead: float) -> Firing | None:
        arrivals.forget()
        numbers = ["--count", plan.count, "--spacing", plan.spacing, "--lead", int(lead * 1000)]
        running = self._start("fire", ["--url", arrivals.url(), *map(str, numbers)])
        try:
            due = self._answer(running)
            if due["spare"] < 0:
                arrivals.all_of(plan)  # or they would come in the middle of the next try
                return None
            roots = [running.pid, *self.service.pids]
            cpu = cpu_seconds(roots)
            arrivals.all_of(plan)
            return Firing(plan, due["due"], arrivals.list(), cpu_seconds(roots) - cpu)
        finally:
            self._end(running)

    def _too_late(self, lead: float) -> NoReturn:
        raise Unable(f"{self.name} did not take in its jobs within {2 * lead:g} s")

    def answer_of(self, work: str, arguments: list[str]) -> Any:
        """What a program says in the end that runs by itself."""
        running = self._start(work, arguments)
        try:
            answer = self._answer(running)
            running.wait(30)
        finally:
            stop(running)
        return answer

    def _rate(self, work: str, seconds: float, clients: int) -> Rate:
        service = cpu_seconds(self.service.pids)
        answer = self.answer_of(work, ["--seconds", str(seconds), "--clients", str(clients)])
        cpu = answer["cpu"] + cpu_seconds(self.service.pids) - service
        return Rate(answer["done"], answer["seconds"], cpu)

    def _start(self, work: str, arguments: list[str]) -> subprocess.Popen[str]:
        with self.log.open("a") as log:
            return subprocess.Popen(
                [*self.command, work, *self.options, *arguments],
                cwd=PROGRAMS,
                env=os.environ | {"PEER_ADDRESS": self.service.address},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def _answer(self, running: subprocess.Popen[str]) -> Any:
        assert running.stdout
        came, _, _ = select.select([running.stdout], [], [], PATIENCE)
        if not came:
            raise Unable(f"{self.name} did not answer in {PATIENCE:g} s: {last_words(self.log)}")
        line = running.stdout.readline()
        if not line:
            raise Unable(f"{self.name} ended without an answer: {last_words(self.log)}")
        return json.loads(line)

    def _end(self, running: subprocess.Popen[str]) -> None:
        """A firing program works until its input closes; then it ends in order."""
        assert running.stdin
        running.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(20)
        stop(running)


def _node(program: str) -> Callable[[], list[str]]:
    return lambda: [needs.node_peers(), program]


def python_program(program: str) -> Callable[[], list[str]]:
    return lambda: [str(needs.python_peers()), program]


def bullmq(appendfsync: str, one_connection: bool = False) -> Peer:
    """BullMQ on Redis: each client on its own connection, or all on one as a single web process has it."""
    name = f"BullMQ ({appendfsync}{', one connection' if one_connection else ''})"
    serve = lambda folder: Redis(folder, appendfsync)  # noqa: E731
    options = ("--share", "yes") if one_connection else ()
    return Peer(name, _node("with_bullmq.mjs"), serve, options=options)


def procrastinate() -> Peer:
    return Peer("procrastinate", python_program("with_procrastinate.py"), Postgres, intake=0.004)


def apscheduler() -> Peer:
    return Peer("APScheduler", python_program("with_apscheduler.py"), SqliteFile, intake=0.005)


def celery() -> Peer:
    serve = lambda folder: Redis(folder, "always")  # noqa: E731
    return Peer("Celery (always)", python_program("with_celery.py"), serve, intake=0.005)
