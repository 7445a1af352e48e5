"""Flags of several verbs about locks, and how they fail."""

from typing import Annotated

import typer

from undercroft.app.cli.failures import Failure, WrongUsage

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the lock is on: the same for all who exclude others.")]
Namespace = Annotated[
    str, typer.Option("--namespace", metavar="NS", help="Whose lock it is; your team's unless given.")
]
Owner = Annotated[str, typer.Option("--owner", metavar="TEXT", help="Shown to others; user@machine unless given.")]
Token = Annotated[
    str,
    typer.Option("--token", metavar="TOKEN", envvar="CROFT_LOCK_TOKEN", help="What `acquire` said.", show_envvar=True),
]
Wait = Annotated[str, typer.Option("--wait", metavar="DURATION", help="Stand in line for so long: 10s, 5m.")]


class NotObtained(Failure):
    """Another holds it."""

    exit_code = 75


class Lost(Failure):
    """It was held, and is held no more."""

    exit_code = 76


def seconds(flag: str, text: str) -> float:
    from undercroft.app.notation import duration

    try:
        return duration(text)
    except ValueError as error:
        raise WrongUsage(f"{flag}: {error}") from None


def default_owner() -> str:
    import getpass
    import socket

    return f"{getpass.getuser()}@{socket.gethostname()}"
