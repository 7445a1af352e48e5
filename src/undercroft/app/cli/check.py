"""`croft check`: the settings as a server would read them, where each came from, and what is wrong."""

import os
from typing import TYPE_CHECKING, Any

import typer

from undercroft.app.cli.options import Json
from undercroft.app.cli.serve import (
    Config,
    Data,
    Database,
    Listen,
    LogFormat,
    LogLevel,
    find_toml,
    flags_of,
    say_problems,
)
from undercroft.app.notation import duration_text, size_text

if TYPE_CHECKING:
    from undercroft.app.settings import Given, Problem, Settings


def check_settings(
    data: Data = None,
    listen: Listen = None,
    database: Database = None,
    config: Config = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    json: Json = False,
) -> None:
    """Explain the settings and what is wrong with them.

    They are those that `croft serve` would use with the same flags. Exits 2 when some are wrong.

    \b
    croft check --config /etc/undercroft.toml
    UNDERCROFT_MAX_BODY=lots croft check
    """
    from undercroft.app.setting_checks import check, check_places
    from undercroft.app.settings import WrongSettings, gather, read_settings

    flags = flags_of(data, listen, database, log_format, log_level)
    toml = find_toml(flags, config, {})
    try:
        settings, problems = read_settings(os.environ, toml, flags), list["Problem"]()
    except WrongSettings as wrong:
        settings, problems = wrong.settings, wrong.problems
    problems += [*check(settings), *check_places(settings)]
    given, _ = gather(os.environ, toml, flags, {})
    if json:
        _print_json(settings, given, problems)
    else:
        _print_text(settings, given, problems)
    raise typer.Exit(2 if problems else 0)


def _print_text(settings: "Settings", given: "dict[str, Given]", problems: "list[Problem]") -> None:
    from undercroft.app.cli.show import print_table, say
    from undercroft.app.setting_readers import READERS

    rows = [
        (name, _shown(name, getattr(settings, name)), given[name].source if name in given else "") for name in READERS
    ]
    print_table(("SETTING", "VALUE", "FROM"), rows)
    print()
    if problems:
        say_problems(problems)
    else:
        say("All is well.")


def _print_json(settings: "Settings", given: "dict[str, Given]", problems: "list[Problem]") -> None:
    from undercroft.app.cli.show import print_json
    from undercroft.app.setting_readers import READERS

    shown = {
        name: {
            "value": _plain(getattr(settings, name)),
            "from": given[name].source if name in given else "default",
        }
        for name in READERS
    }
    report = {"ok": not problems, "problems": [p._asdict() for p in problems], "settings": shown}
    print_json(report)


def _plain(value: object) -> Any:
    """Numbers, switches and lists as they are, the rest as text; secrets only as being set."""
    return value if isinstance(value, bool | int | float | tuple) else str(value)


def _shown(name: str, value: object) -> str:
    """As it would be written."""
    if isinstance(value, float):
        return duration_text(value)  # every one of them is a duration
    if name in ("max_body", "mail_max_attachments", "sync_keep_bytes") and isinstance(value, int):
        return size_text(value)
    if isinstance(value, tuple):
        return ", ".join(duration_text(part) if isinstance(part, float | int) else str(part) for part in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
