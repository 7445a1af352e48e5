"""What holds for every verb: quick help with an example, exit codes, errors that say what to do."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.app.cli.conftest import Run, Server
from tests.services.ports import free_port
from tests.services.receiver import Answer
from undercroft.app.cli import app


def verbs(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if command.hidden:
            continue  # another name of a group that is shown
        if hasattr(command, "commands"):
            yield from verbs(command, (*words, name))
        else:
            yield (*words, name), command


VERBS = dict(verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_has_help_with_an_example(words: tuple[str, ...], croft: Run) -> None:
    ended = croft(*words, "--help")
    assert ended.code == 0
    assert f"\n  croft {' '.join(words)}" in ended.out or words == ("run",)
    for option in VERBS[words].params:
        assert option.param_type_name == "argument" or option.help, f"{option.name} is not explained"


@pytest.mark.parametrize("words", [words for words in VERBS if words not in (("run",), ("serve",))], ids=" ".join)
def test_every_verb_speaks_json(words: tuple[str, ...]) -> None:
    assert "--json" in [flag for option in VERBS[words].params for flag in option.opts]


def test_help_is_quick() -> None:
    """Within twice what Python takes to start and import Typer: the machine's own speed cancels out."""
    command = Path(sys.executable).with_name("croft")
    bare = [sys.executable, "-c", "import typer, typer.main"]
    ratios = [_seconds([str(command), "--help"]) / _seconds(bare) for _ in range(5)]
    assert min(ratios) < 2.5
    assert _modules_of_help().isdisjoint({"msgspec", "rich", "pyreqwest", "asyncio", "pydantic"})


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _modules_of_help() -> set[str]:
    program = (
        "import sys, contextlib, io\n"
        "from undercroft.app.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main(['--help'])\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_version(croft: Run) -> None:
    assert croft("--version").out.startswith("croft 0.")


def test_no_server_ends_with_3_and_says_how_to_start_one(croft: Run, home: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    ended = croft("--url", url, "timers", "list")
    assert ended.code == 3
    assert url in ended.err
    assert "croft run" in ended.err
    assert ended.out == ""


def test_a_server_that_is_not_ours_ends_with_3(croft: Run, server: Server) -> None:
    server.says("/job/default/default", Answer(404, b"<h1>Not found</h1>"))
    assert croft("timers", "list").code == 3
    server.says("/job/default/default", Answer(200, b"<h1>Hello</h1>"))
    ended = croft("timers", "list")
    assert ended.code == 3
    assert "not as Undercroft does" in ended.err


def test_a_redirect_is_not_followed_with_the_token(croft: Run, server: Server) -> None:
    elsewhere = f"{server.url}/elsewhere"
    server.says("/job/default/default", Answer(307, b"", {"Location": elsewhere}))
    ended = croft("timers", "list")
    assert ended.code == 3
    assert elsewhere in ended.err
    assert [call.path for call in server.calls] == ["/job/default/default"]


def test_a_refusal_ends_with_1_and_shows_reason_and_code(croft: Run, server: Server) -> None:
    server.answers("/job/default/default/x", {"error": "there is no job 'x'", "code": "E008"}, status=400)
    ended = croft("timers", "show", "x")
    assert ended.code == 1
    assert "there is no job 'x' (E008)" in ended.err
    assert ended.out == ""


def test_a_wrong_token_says_how_to_log_in(croft: Run, server: Server) -> None:
    server.answers("/route/default", {"error": "no such token", "code": "E030"}, status=401)
    ended = croft("timers", "route", "list")
    assert ended.code == 1
    assert f"croft login {server.url}" in ended.err
    assert "a-token-of-the-tests" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["timers", "add", "--route", "x"], "--in 5s or --at"),
        (["timers", "add", "--route", "x", "--in", "5s", "--at", "now"], "one of them"),
        (["timers", "add", "--route", "x", "--in", "soon"], "write 500ms"),
        (["timers", "add", "--route", "x", "--in", "5s", "--meta", "{"], "--meta is no JSON"),
        (["timers", "add", "--route", "x", "--in", "5s", "--meta", "@none"], "none can't be read"),
        (["timers", "route", "add", "x", "http://x", "--header", "nonsense"], "Name: value"),
        (["timers", "move", "x"], "--in 5s or --at"),
        (["timers", "change", "x"], "nothing to change"),
        (["timers", "route", "change", "x"], "nothing to change"),
        (["timers", "show", ".."], "can't stand in a URL"),
        (["timers", "show", ""], "can't stand in a URL"),
        (["timers", "move-all"], "--in, --at or --shift"),
        (["timers", "remove-all"], "add --yes"),
        (["timers", "dead", "replay"], "say which"),
        (["timers", "dead", "replay", "a", "--all"], "say which"),
        (["timers", "import", "none.ndjson"], "none.ndjson can't be read"),
        (["token", "create", "x", "--expires", "never"], "--expires"),
        (["--profile", "none", "status"], "no profile 'none'"),
        (["--url", "ftp://x", "status"], "no URL of a server"),
        (["--url", "http://u:p@x", "status"], "no user, password"),
        (["listen", "--secret", "whsec_short"], "base 64"),
        (["listen", "--delay", "long"], "--delay"),
        (["nonsense"], "No such command"),
        (["timers", "lst"], "Did you mean"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_to_write(
    arguments: list[str], says: str, croft: Run, server: Server
) -> None:
    ended = croft(*arguments)
    assert ended.code == 2
    assert says in ended.err
    assert ended.out == ""
    assert server.calls == []


def test_control_characters_from_a_server_do_not_reach_the_terminal(croft: Run, server: Server) -> None:
    evil = "x\x1b]0;owned\x07\u202ey"
    job = {
        "id": evil,
        "trigger_time": 1_903_849_200_000,
        "route": evil,
        "meta": evil,
        "state": evil,
        "attempts": 1,
    }
    server.answers("/job/default/default", {"jobs": [job], "cursor": None})
    server.answers("/job/default/default/x", job)
    server.answers("/job/default/default/y", {"error": evil, "code": "E1"}, status=400)
    shown = [croft("timers", "list"), croft("timers", "show", "x"), croft("timers", "show", "y")]
    for ended in shown:
        for bad in ("\x1b", "\x07", "\u202e"):
            assert bad not in ended.out + ended.err
    assert r"x\x1b]0;owned\x07\u202ey" in shown[0].out


def test_a_closed_pipe_ends_quietly(server: Server) -> None:
    jobs = [{"id": f"{n}", "trigger_time": 1, "route": "r", "meta": "x" * 50} for n in range(5_000)]
    server.answers("/job/default/default", {"jobs": jobs, "cursor": None})
    program = [str(Path(sys.executable).with_name("croft")), "timers", "list"]
    environ = {**os.environ, "UNDERCROFT_URL": server.url}
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.readline()
        listing.stdout.close()
        assert b"Traceback" not in listing.stderr.read()
