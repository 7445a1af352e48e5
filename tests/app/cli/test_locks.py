"""`croft lock`: its verbs, and real processes that run only while the lock is held."""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.services.croft import Croft, new_token
from tests.services.proxy import Proxy
from tests.services.waiting import wait_until
from undercroft.app.cli.locks.running import _run_holding
from undercroft.client import Lock

PROGRAM = Path(sys.executable).with_name("croft")
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Croft]:
    croft = Croft(tmp_path_factory.mktemp("locks"), token=new_token())
    try:
        croft.start()
        yield croft
    finally:
        croft.close()


@pytest.fixture
def name() -> str:
    return f"sync/{next(_numbers)}"


class Croftly:
    """`croft lock …` in processes of their own."""

    def __init__(self, server: Croft, folder: Path) -> None:
        self.http = server.http
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "UNDERCROFT_URL": server.url,
            "UNDERCROFT_TOKEN": server.token,
        }

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(PROGRAM), "lock", *arguments],
            check=False, env=self.environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(PROGRAM), "lock", *arguments],
            env=self.environment, text=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def held(self, name: str) -> bool:
        return name in [lock["name"] for lock in self.http.get("/systems/locks").json()["locks"]]


@pytest.fixture
def lock(server: Croft, tmp_path: Path) -> Croftly:
    return Croftly(server, tmp_path)


def path(name: str) -> str:
    return f"/systems/locks/{name.replace('/', '%2F')}"


def long_command(folder: Path) -> list[str]:
    """Writes its pid and that of a child of its own, then goes on for a minute."""
    return ["sh", "-c", f"sleep 60 & echo $! > {folder}/child; echo $$ > {folder}/started; wait"]


def pids(folder: Path) -> list[int]:
    wait_until(lambda: (folder / "started").exists() and bool((folder / "started").read_text()), "the command to run")
    return [int((folder / file).read_text()) for file in ("started", "child")]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def all_end(running: list[int], seconds: float = 20) -> None:
    wait_until(lambda: not any(map(is_alive, running)), "the command and its child to end", seconds)


def test_the_command_runs_while_it_is_held_and_its_code_is_ours(lock: Croftly, name: str) -> None:
    script = f'echo "$CROFT_LOCK $CROFT_LOCK_FENCE"; {PROGRAM} lock run {name} -- echo inside; echo $?; exit 7'
    ended = lock("run", name, "--", "sh", "-c", script)
    first, inner, *rest = ended.stdout.splitlines()
    assert (first.split()[0], inner, rest, ended.returncode) == (name, "75", [], 7)
    assert int(first.split()[1]) > 0
    assert not lock.held(name)


def test_not_obtained_nothing_runs(lock: Croftly, name: str) -> None:
    lock.http.post("/systems/locks", json={"name": name, "owner": "the other"})
    ended = lock("run", name, "--wait", "0.2s", "--", "touch", str(lock.folder / "ran"))
    assert ended.returncode == 75
    assert "held by the other; nothing was run" in ended.stderr
    assert not (lock.folder / "ran").exists()


def test_it_waits_in_line(lock: Croftly, name: str) -> None:
    token = lock.http.post("/systems/locks", json={"name": name}).headers["x-lock-token"]
    running = lock.begin("run", name, "--wait", "1m", "--", "true")
    wait_until(lambda: lock.http.get(path(name)).json()["waiters"] == 1, "it to stand in line")
    lock.http.delete(path(name), headers={"X-Lock-Token": token})
    assert running.wait(20) == 0


def test_renewed_while_the_command_runs(lock: Croftly, name: str) -> None:
    running = lock.begin("run", name, "--ttl", "1s", "--", *long_command(lock.folder))
    commands = pids(lock.folder)
    first = lock.http.get(path(name)).json()
    wait_until(lambda: lock.http.get(path(name)).json()["expires_at"] > first["free_at"], "it to outlive its ttl")
    assert lock.http.get(path(name)).json()["fence"] == first["fence"]
    running.terminate()
    assert running.wait(20) == 128 + signal.SIGTERM
    all_end(commands[:1])
    assert not lock.held(name)
    os.kill(commands[1], signal.SIGKILL)


def test_taken_away_the_command_and_its_children_are_ended(lock: Croftly, name: str) -> None:
    running = lock.begin("run", name, "--ttl", "1s", "--", *long_command(lock.folder))
    commands = pids(lock.folder)
    lock.http.delete(path(name) + "?force=1")
    assert running.wait(20) == 76
    assert running.stderr is not None and "was lost" in running.stderr.read()
    all_end(commands)


def test_cut_off_from_the_server_the_command_ends_before_the_lock_does(server: Croft, lock: Croftly, name: str) -> None:
    with Proxy(server.port) as line:
        lock.environment["UNDERCROFT_URL"] = line.url
        told = lock.folder / "told"
        script = f"trap 'date +%s.%N > {told}; sleep 60' TERM; echo $$ > {lock.folder}/child; "
        script += f"echo $$ > {lock.folder}/started; while true; do sleep 0.05; done"
        running = lock.begin("run", name, "--ttl", "3s", "--", "sh", "-c", script)
        commands = pids(lock.folder)
        line.cut()
        wait_until(told.exists, "the command to be asked to end")
        assert lock.held(name), "asked before it is over"
        all_end(commands)
        assert running.wait(20) == 76


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_killed_or_stopped_croft_takes_its_command_along(lock: Croftly, name: str, number: signal.Signals) -> None:
    running = lock.begin("run", name, "--ttl", "2s", "--", *long_command(lock.folder))
    commands = pids(lock.folder)
    running.send_signal(number)
    all_end(commands)
    running.kill()
    running.wait(20)


def test_a_croft_that_is_gone_as_its_command_starts_takes_it_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its first moment the command is known to what ends it."""
    popen, begun = subprocess.Popen, []

    def gone(command: list[str], **how: Any) -> "subprocess.Popen[Any]":
        process = popen(command, **how)
        if command[0] == "sh":
            begun.append(process)
            raise KeyboardInterrupt
        return process

    monkeypatch.setattr(subprocess, "Popen", gone)
    lock = SimpleNamespace(name="n", fence=1, remaining=lambda: 60.0)
    with pytest.raises(KeyboardInterrupt):
        _run_holding(cast(Lock, lock), ["sh", "-c", "sleep 60"], None)
    assert begun[0].wait(20) == -signal.SIGKILL


def test_what_can_t_be_run(lock: Croftly, name: str) -> None:
    assert lock("run", name, "--", "no-such-program").returncode == 127
    (lock.folder / "plain").write_text("")
    assert lock("run", name, "--", str(lock.folder / "plain")).returncode == 126
    assert lock("run", name, "--ttl", "0.5s", "--", "true").returncode == 2
    assert lock("run", name, "--ttl", "soon", "--", "true").returncode == 2
    assert lock("run", "x" * 256, "--", "true").returncode == 1
    lock.environment["UNDERCROFT_URL"] = "ftp://x"
    assert lock("run", name, "--", "true").returncode == 2
    assert not lock.held(name)


def test_a_script_holds_it_over_several_steps(lock: Croftly, name: str) -> None:
    token = lock("acquire", name, "--ttl", "10m", "--owner", "cron@a").stdout.strip()
    assert len(token) > 20
    other = lock("acquire", name, "--ttl", "10m")
    assert (other.returncode, other.stdout) == (75, "")
    assert "held by cron@a, until" in other.stderr
    assert "cron@a" in lock("list", name).stdout
    assert "held     yes" in lock("show", name).stdout
    assert lock("renew", name, "--ttl", "20m", "--token", token).stdout.startswith("Yours until 20")
    assert lock("renew", name, "--ttl", "20m", "--token", "another").returncode == 76
    assert lock("release", name, "--token", "another").returncode == 76
    assert lock("release", name, "--token", token).stdout == "Released.\n"
    assert lock("release", name, "--token", token).returncode == 76
    assert "held     no" in lock("show", name).stdout


def machine(ended: "subprocess.CompletedProcess[str]", code: int = 0) -> Any:
    assert ended.returncode == code, ended.stderr
    return json.loads(ended.stdout)


def test_for_machines(lock: Croftly, name: str) -> None:
    taken = machine(lock("acquire", name, "--ttl", "10m", "--require-token", "--json"))
    assert taken["lock_obtained"] is True
    assert machine(lock("acquire", name, "--ttl", "10m", "--json"), 75)["lock_obtained"] is False
    renewed = machine(lock("renew", name, "--ttl", "20m", "--token", taken["token"], "--json"))
    assert (renewed["lock_renewed"], renewed["fence"]) == (True, taken["fence"])
    assert machine(lock("show", name, "--json"))["require_token"] is True
    assert [one["name"] for one in machine(lock("list", name, "--json"))["locks"]] == [name]
    refused = lock("release", name, "--whoever")
    assert (refused.returncode, "L016" in refused.stderr) == (1, True)
    assert machine(lock("release", name, "--force", "--json")) == {"lock_removed": True}
    assert machine(lock("release", name, "--force", "--json"), 76) == {"lock_removed": False}


def test_a_run_for_machines(lock: Croftly, name: str) -> None:
    ended = lock("run", name, "--json", "--", "sh", "-c", "echo said; exit 7")
    told = machine(ended, 7)
    assert told == {"obtained": True, "fence": told["fence"], "lost": False, "exit_code": 7}
    assert ended.stderr == "said\n"
    lock("acquire", name, "--ttl", "10m")
    assert machine(lock("run", name, "--json", "--", "true"), 75)["obtained"] is False


def test_namespaces(lock: Croftly, name: str) -> None:
    assert lock("acquire", name, "--ttl", "10m", "--namespace", "shop").returncode == 0
    assert lock("acquire", name, "--ttl", "10m").returncode == 0
    assert lock("run", name, "--namespace", "shop", "--", "true").returncode == 75
    assert lock("release", name, "--whoever", "--namespace", "shop").returncode == 0
    assert lock("run", name, "--namespace", "shop", "--", "true").returncode == 0
    assert lock.held(name)


def test_wrong_usage_is_explained(lock: Croftly, name: str) -> None:
    assert "--token, --whoever or --force" in lock("release", name).stderr
    assert "60s at the most" in lock("acquire", name, "--ttl", "1m", "--wait", "2m").stderr
    assert lock("acquire", name).returncode == 2


def test_the_token_of_a_lock_may_come_by_the_environment(lock: Croftly, name: str) -> None:
    lock.environment["CROFT_LOCK_TOKEN"] = lock("acquire", name, "--ttl", "10m").stdout.strip()
    assert lock("release", name).returncode == 0


def test_help_tells_the_exit_codes(lock: Croftly) -> None:
    for verb in ("run", "acquire", "renew", "release", "list", "show"):
        text = lock(verb, "--help").stdout
        assert f"croft lock {verb}" in text.partition("Arguments")[0].replace("Usage: croft lock", "")
    assert "75 when the lock was not obtained" in " ".join(lock("run", "--help").stdout.split())


def test_no_server(lock: Croftly) -> None:
    lock.environment["UNDERCROFT_URL"] = "http://127.0.0.1:1"
    assert lock("list").returncode == 3
