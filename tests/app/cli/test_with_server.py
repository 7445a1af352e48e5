"""The verbs against a real server, and `croft run` as a newcomer meets it."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run
from tests.services.croft import Croft
from tests.services.receiver import Answer, Receiver
from tests.services.waiting import wait_until
from undercroft.app.cli.profiles import Profile, read_profiles

PROGRAM = Path(sys.executable).with_name("croft")


@pytest.fixture
def real(croft: Run, start_croft: Callable[..., Croft], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The verbs, logged in to a real server as its admin."""
    server = start_croft()
    monkeypatch.setenv("UNDERCROFT_URL", server.url)
    monkeypatch.setenv("UNDERCROFT_TOKEN", server.token)
    return croft


def done(run: Run, *arguments: object, stdin: bytes = b"") -> str:
    ended = run(*arguments, stdin=stdin)
    assert ended.code == 0, ended.err
    return ended.out


def test_a_job_from_route_to_delivery_to_dead_and_back(real: Run, receiver: Receiver) -> None:
    receiver.answer("/hook", Answer(503), Answer(200))
    made = real(
        "timers", "route", "add", "hello", receiver.url("/hook"), "--secret", "--retries", "none", "--json"
    ).json
    assert made["secret"].startswith("whsec_")
    done(real, "timers", "add", "a/b ü", "--route", "hello", "--in", "0s", "--meta", '{"n": 1.10}')
    receiver.wait_for(1)
    wait_until(lambda: _state(real, "a/b ü") == "dead", "the job to be dead")
    assert " 503" in done(real, "timers", "attempts", "a/b ü")
    assert "answered 503" in done(real, "timers", "dead", "list", "--route", "hello")
    assert done(real, "timers", "dead", "replay", "a/b ü") == "Sent again: 1.\n"
    calls = receiver.wait_for(2)
    wait_until(lambda: _state(real, "a/b ü") == "delivered", "the job to be delivered")
    assert {call.body for call in calls} == {b'{"n": 1.10}'}
    assert {call.headers["webhook-id"] for call in calls} == {calls[0].headers["webhook-id"]}


def _state(run: Run, id: str) -> object:
    return run("timers", "show", id, "--detail", "--json").json["state"]


def test_jobs_are_moved_changed_listed_exported_and_removed(real: Run, receiver: Receiver) -> None:
    done(real, "timers", "route", "add", "r", receiver.url("/r"))
    done(real, "timers", "route", "change", "r", "--timeout", "3s", "--rate", "7", "--header", "X-A: b")
    assert "7 per second" in done(real, "timers", "route", "show", "r")
    jobs = b"\n".join(b'{"id":"j%d","trigger_time":1903849200000,"route":"r","meta":1.50}' % n for n in range(1_201))
    assert "Created 1201 jobs" in done(real, "timers", "import", "-", stdin=jobs)
    assert "Created 1201 jobs" in done(real, "timers", "import", "-", stdin=jobs)
    exported = done(real, "timers", "list", "--all", "--json", "--limit", 500)
    assert {json.loads(line)["id"] for line in exported.splitlines()} == {f"j{n}" for n in range(1_201)}
    assert exported.count('"meta":1.50') == 1_201
    copied = done(real, "timers", "import", "-", "-c", "copy", "--report", stdin=exported.encode())
    assert "Created 1201 jobs, refused 0" in copied
    done(real, "timers", "move", "j7", "--at", "1903849300")
    done(real, "timers", "change", "j7", "--meta", "[7]")
    assert real("timers", "show", "j7", "--json").json == {
        "id": "j7", "trigger_time": 1_903_849_300_000, "meta": [7], "route": "r",
    }  # fmt: skip
    assert done(real, "timers", "move-all", "--shift", "1s", "--after", "1903849201") == "Moved: 1.\n"
    assert done(real, "timers", "remove-all", "--before", "1903849201", "--yes") == "Removed: 1200.\n"
    done(real, "timers", "remove", "j7")
    assert done(real, "timers", "list", "--json") == '{"jobs":[],"cursor":null}\n'
    refused = real("timers", "route", "remove", "r")
    assert refused.code == 1
    assert "pending" in refused.err
    done(real, "timers", "route", "remove", "r", "--force")


def test_a_bad_line_of_a_bulk_is_named(real: Run, receiver: Receiver) -> None:
    done(real, "timers", "route", "add", "r", receiver.url("/r"))
    jobs = b'{"id":"a","trigger_time":1903849200000,"route":"r"}\n{"id":"b","trigger_time":7,"route":"r"}'
    refused = real("timers", "import", "-", stdin=jobs)
    assert refused.code == 1
    assert "line 2: job 1" in refused.err
    assert done(real, "timers", "list", "--json") == '{"jobs":[],"cursor":null}\n'
    reported = real("timers", "import", "-", "--report", "--json", stdin=jobs)
    assert reported.code == 1
    assert reported.json["created"] == 1
    assert reported.json["failed"][0]["place"] == "line 2"


def test_recurring_paused_and_resumed(real: Run, receiver: Receiver) -> None:
    done(real, "timers", "route", "add", "r", receiver.url("/r"))
    done(real, "timers", "add", "tick", "--route", "r", "--cron", "0 9 * * 1-5", "--timezone", "Europe/Berlin")
    assert "Europe/Berlin" in done(real, "timers", "show", "tick", "--detail")
    for verb in (["pause"], ["route", "pause", "r"], ["route", "resume", "r"], ["resume"]):
        done(real, "timers", *verb)


def test_tokens_and_login(real: Run, start_croft: Callable[..., Croft], monkeypatch: pytest.MonkeyPatch) -> None:
    made = real("token", "create", "shop", "--scope", "timers:shop", "--expires", "1d", "--json").json
    assert "timers:shop" in done(real, "token", "list")
    url = os.environ["UNDERCROFT_URL"]
    monkeypatch.delenv("UNDERCROFT_TOKEN")
    monkeypatch.delenv("UNDERCROFT_URL")
    done(real, "login", url, "--token", "-", "--profile", "shop", stdin=made["token"].encode())
    assert "timers:shop" in done(real, "status")
    assert done(real, "timers", "list", "--db", "shop", "--json") == '{"jobs":[],"cursor":null}\n'
    forbidden = real("timers", "list", "--db", "other")
    assert forbidden.code == 1
    assert "croft status" in forbidden.err
    done(real, "token", "revoke", made["id"])
    assert real("status").code == 1


class Running:
    """`croft run` on a free port."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.log = folder / "log"
        environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "run", "--listen", "127.0.0.1:0"], cwd=folder, env=environ | environment,
                stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            )  # fmt: skip

    def banner(self) -> str:
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                return "".join(lines)
        raise AssertionError(f"croft run ended: {self.log.read_text()}")

    def ctrl_c(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture
def start_run(home: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(**environment: str) -> Running:
        started.append(Running(home, **environment))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def test_run_is_ready_to_play_with(
    home: Path, croft: Run, start_run: Callable[..., Running], receiver: Receiver
) -> None:
    running = start_run()
    banner = running.banner()
    login = read_profiles()
    (profile,) = login.known.values()
    token_file = home / "var" / "admin-token"
    for part in (profile.url, "var/admin-token", f"profile {login.current}", "loopback", "/docs", "/metrics"):
        assert part in banner
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    assert token_file.read_text().strip() == profile.token
    assert profile.token not in banner + running.log.read_text()
    assert "admin@localhost" in done(croft, "status")
    done(croft, "timers", "route", "add", "hello", receiver.url("/hello"))
    done(croft, "timers", "add", "--route", "hello", "--in", "0s")
    receiver.wait_for(1)
    assert running.ctrl_c() == 0
    assert "Traceback" not in running.log.read_text()


def test_run_keeps_its_token_and_takes_a_preset_one(home: Path, croft: Run, start_run: Callable[..., Running]) -> None:
    first = start_run()
    first.banner()
    token = (home / "var" / "admin-token").read_text()
    assert first.ctrl_c() == 0
    again = start_run()
    again.banner()
    assert (home / "var" / "admin-token").read_text() == token
    again.ctrl_c()
    (home / "var" / "admin-token").chmod(0o644)
    preset = start_run(UNDERCROFT_ADMIN_TOKEN="a-preset-token-of-the-tests")
    preset.banner()
    assert (home / "var" / "admin-token").read_text() == "a-preset-token-of-the-tests\n"
    assert stat.S_IMODE((home / "var" / "admin-token").stat().st_mode) == 0o600
    assert read_profiles().known[read_profiles().current].token == "a-preset-token-of-the-tests"
    assert "admin@localhost" in done(croft, "status")


def test_run_names_the_profile_that_was_current_before(
    home: Path, croft: Run, start_run: Callable[..., Running]
) -> None:
    from undercroft.app.cli.profiles import save_profile

    save_profile("work", Profile("https://work.example", "token-of-work"))
    assert "croft profile use work" in start_run().banner()
