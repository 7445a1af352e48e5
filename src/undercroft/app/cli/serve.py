"""`croft serve`, and how flags, variables and files become the settings of a server."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from undercroft.app.cli.show import note

if TYPE_CHECKING:
    from undercroft.app.settings import Problem, Settings

Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Where everything is kept.")]
Listen = Annotated[
    list[str] | None,
    typer.Option("--listen", metavar="HOST:PORT", help="Or [::1]:3862, or unix:/path; may be repeated."),
]
Database = Annotated[
    str | None,
    typer.Option(metavar="URL", help="postgresql://… or sqlite:///…; by default embedded in DIR."),
]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="TOML, also by UNDERCROFT_CONFIG; by default DIR/undercroft.toml."),
]
LogFormat = Annotated[str | None, typer.Option("--log-format", metavar="auto|text|json", help="How to log.")]
LogLevel = Annotated[str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")]


def serve(
    data: Data = None,
    listen: Listen = None,
    database: Database = None,
    config: Config = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
) -> None:
    """Run the server until SIGTERM or Ctrl-C.

    It ends no request midway. Every setting is also UNDERCROFT_…, and UNDERCROFT_…_FILE names a file that
    holds it: a password belongs there, not into a flag that `ps` shows. `croft check` explains wrong ones.

    \b
    croft serve --data /var/lib/undercroft --listen 0.0.0.0:3862
    croft serve --database postgresql://undercroft@db.internal/undercroft
    """
    flags = flags_of(data, listen, database, log_format, log_level)
    settings = settings_or_exit(flags, config, {})
    from undercroft.app.node import serve as serve_node

    raise typer.Exit(serve_node(settings))


def flags_of(
    data: Path | None,
    listen: list[str] | None,
    database: str | None,
    log_format: str | None,
    log_level: str | None,
) -> dict[str, object]:
    return {
        "data_dir": data,
        "listen": listen or None,
        "database": database,
        "log_format": log_format,
        "log_level": log_level,
    }


def settings_or_exit(flags: Mapping[str, object], config: Path | None, defaults: Mapping[str, object]) -> "Settings":
    """Says on stderr what is wrong and ends with 2."""
    from undercroft.app.setting_checks import check, check_places
    from undercroft.app.settings import WrongSettings, read_settings

    try:
        settings = read_settings(os.environ, find_toml(flags, config, defaults), flags, defaults)
        problems = [*check(settings), *check_places(settings)]
    except WrongSettings as wrong:
        problems = wrong.problems
    else:
        if not problems:
            return settings
    say_problems(problems)
    note("Nothing was started.")
    raise typer.Exit(2)


def find_toml(flags: Mapping[str, object], config: Path | None, defaults: Mapping[str, object]) -> Path | None:
    """The file that was named, else undercroft.toml in the data folder where there is one."""
    named = config or os.environ.get("UNDERCROFT_CONFIG")
    if named:
        return Path(named)
    folder = flags.get("data_dir") or os.environ.get("UNDERCROFT_DATA_DIR") or defaults.get("data_dir") or "var"
    beside = Path(str(folder)).expanduser() / "undercroft.toml"
    return beside if beside.is_file() else None


def say_problems(problems: "list[Problem]") -> None:
    for problem in problems:
        note(f"{problem.setting}: {problem.message}")
        if problem.hint:
            note(f"  {problem.hint}")
