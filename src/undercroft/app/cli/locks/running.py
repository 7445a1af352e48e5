"""`croft lock run NAME -- COMMAND`: the command runs only while the lock is held."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from undercroft.app.cli.failures import NotReachable, Refused, WrongUsage
from undercroft.app.cli.locks import flags
from undercroft.app.cli.locks.flags import Lost, Name, Namespace, NotObtained, Owner, Wait
from undercroft.app.cli.options import Json
from undercroft.app.cli.profiles import chosen
from undercroft.app.cli.show import note, print_json

if TYPE_CHECKING:
    from undercroft.client import Lock

NOT_EXECUTABLE = 126
NOT_FOUND = 127
# What a shell says of a command that a signal has ended.
BY_SIGNAL = 128
SHORTEST_TTL = 1.0
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run(
    context: typer.Context,
    name: Name,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="With its arguments.")],
    ttl: Annotated[
        str, typer.Option("--ttl", metavar="DURATION", help="It is renewed every third of this while it runs.")
    ] = "30s",
    wait: Wait = "0s",
    owner: Owner = "",
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Run a command only while holding a lock.

    The lock is renewed meanwhile and released at the end. If it is lost (the server can't be reached for --ttl, or
    somebody removed it) the command gets SIGTERM shortly before the lock ends and SIGKILL as it ends, together with
    what it has started; also if croft itself is killed. The command finds the fencing number in CROFT_LOCK_FENCE.

    Exits with the command's code; 75 when the lock was not obtained and nothing ran, 76 when it was lost. With --json
    a line on stdout tells what became of it, and what the command prints goes to stderr.

    \b
    croft lock run products_sync -- ./sync.sh --all
    croft lock run backup --wait 10m --ttl 1m -- pg_dump -f nightly.sql shop
    */5 * * * * croft lock run report -- python report.py || [ $? = 75 ]
    """
    seconds = flags.seconds("--ttl", ttl)
    if seconds < SHORTEST_TTL:
        raise WrongUsage("--ttl: 1s at the least: it has to be renewed in time", "30s is usual")
    try:
        lock = _lock(context, name, seconds, flags.seconds("--wait", wait), owner, namespace)
    except NotObtained:
        if json:
            print_json({"obtained": False, "fence": None, "lost": False, "exit_code": None})
        raise
    try:
        code = _run_holding(lock, command, sys.stderr if json else None)
    finally:
        lock.release()
    if json:
        print_json({"obtained": True, "fence": lock.fence, "lost": lock.lost.is_set(), "exit_code": code})
    if lock.lost.is_set():
        raise Lost(f"the lock {name!r} was lost", "the command was ended; what it has done may have met another's work")
    sys.exit(code)


def _lock(context: typer.Context, name: str, ttl: float, wait: float, owner: str, namespace: str) -> "Lock":
    """Obtained, and renewed from now on."""
    from undercroft import client

    login = chosen(context)
    lock = client.Client(login.url, login.token).lock(
        name, ttl=ttl, wait=wait, owner=owner or flags.default_owner(), namespace=namespace or None
    )
    try:
        lock.acquire()
    except client.LockNotObtained as held:
        raise NotObtained(f"{held}; nothing was run", "--wait 30s stands in line for it") from None
    except client.Refused as refused:
        raise Refused(str(refused), "`croft status` shows who you are", status=refused.status) from None
    except client.Unreachable as error:
        raise NotReachable(str(error), "nothing was run; is the server up?") from None
    return lock


def _run_holding(lock: "Lock", command: list[str], output: IO[str] | None) -> int:
    """The command's exit code. Its process group ends with the lock at the latest. `output`: instead of our stdout."""
    environment = {**os.environ, "CROFT_LOCK": lock.name, "CROFT_LOCK_FENCE": str(lock.fence)}
    with _guard() as tell:
        remaining = lock.remaining()

        def begin() -> None:
            """In the child, before it becomes the command: from its first moment the guard knows of it, whatever
            becomes of us. Nothing here waits for another thread."""
            tell(f"{os.getpid()}\n{remaining}")

        try:
            process = subprocess.Popen(
                command,
                env=environment,
                process_group=0,
                stdout=output,
                preexec_fn=begin,  # noqa: PLW1509
            )
        except OSError as error:
            tell("done")
            note(f"croft: {command[0]} can't be run: {error.strerror}")
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        lock.on_renewed = lambda: tell(str(lock.remaining()))
        lock.on_lost = lambda: tell("0")
        if lock.lost.is_set():
            tell("0")
        with _in_front(process.pid), _signals_passed_on(process.pid):
            code = process.wait()
        lock.on_renewed = lock.on_lost = None
        tell("done")
    return code if code >= 0 else BY_SIGNAL - code


class _Tell:
    """Lines to the guard, from whichever thread."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe

    def __call__(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has ended, and the group with it; or the command has
            self._pipe.write(f"{line}\n".encode())
            self._pipe.flush()


@contextlib.contextmanager
def _guard() -> Iterator[_Tell]:
    """A process that ends the command when the lock does, or when we are gone. See `guard.py`."""
    program = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))]
    guard = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
    assert guard.stdin is not None
    try:
        yield _Tell(guard.stdin)
    finally:
        with contextlib.suppress(OSError):
            guard.stdin.close()
        guard.wait()


@contextlib.contextmanager
def _signals_passed_on(group: int) -> Iterator[None]:
    """What is sent to us is meant for the command; we end when it has ended."""

    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _in_front(group: int) -> Iterator[None]:
    """On a terminal the command is in the foreground, as if the shell had started it: it may ask questions there."""
    if not sys.stdin.isatty():
        yield
        return
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.tcsetpgrp(sys.stdin.fileno(), group)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
        signal.signal(signal.SIGTTOU, before)
