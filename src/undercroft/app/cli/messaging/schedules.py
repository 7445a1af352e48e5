"""`croft messaging schedule`: when series go on."""

import time
from typing import Annotated, Any

import typer

from undercroft.app.cli.client import Server, connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.messaging.asking import (
    ROOT,
    Namespace,
    Row,
    ScheduleId,
    field,
    list_at,
    remove_at,
    report,
    where,
)
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import console, print_json, say

app = typer.Typer(no_args_is_help=True, help="Schedules: when everybody gets their next message.")
# Between two looks at a send that is under way (s).
LOOK = 0.5
_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


@app.command("add")
def add(
    context: typer.Context,
    cron: Annotated[str, typer.Argument(metavar="CRON", help="minute hour day month weekday, in quotes.")],
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="An IANA name, such as Africa/Lagos.")] = "UTC",
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Make a schedule. It fires by itself from then on.

    \b
    croft messaging schedule add "0 8 * * *" --timezone Africa/Johannesburg
    """
    fields = cron.split()
    if len(fields) != 5:
        raise WrongUsage(f"{cron!r} has {len(fields)} fields and not five", 'such as "0 8 * * *": every day at eight')
    body = {**dict(zip(_FIELDS, fields, strict=True)), "timezone": timezone}
    with connect(context) as server:
        made = server.post(ROOT + "schedule/", body, where(namespace))
    report(f"Schedule {made['id']} fires at {cron} {timezone}.", made, json=json)


@app.command("list")
def list_schedules(context: typer.Context, namespace: Namespace = "", json: Json = False) -> None:
    """Show the schedules.

    \b
    croft messaging schedule list
    """
    columns: dict[str, Row] = {
        "ID": field("id"),
        "CRON": lambda one: " ".join(one[name] for name in _FIELDS),
        "TIMEZONE": field("timezone"),
    }
    list_at(context, "schedule/", namespace, columns, json=json)


@app.command("remove")
def remove(context: typer.Context, id: ScheduleId, namespace: Namespace = "", json: Json = False) -> None:
    """Remove a schedule that nobody goes by.

    \b
    croft messaging schedule remove 3
    """
    remove_at(context, f"{ROOT}schedule/{id}/", namespace, f"Schedule {id} is removed.", id, json=json)


@app.command("send")
def send(
    context: typer.Context,
    id: ScheduleId,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show how far it is until all have left.")] = True,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Send everybody who goes by a schedule their next message now.

    \b
    croft messaging schedule send 1
    """
    with connect(context) as server:
        server.post(f"{ROOT}schedule/{id}/send/", None, where(namespace))
        run = _newest(server, id, namespace)
        if wait:
            run = _watch(server, run["id"], namespace, quiet=json)
    if json:
        print_json(run)
    elif wait:
        say(f"{run['left']} messages have left; {run['skipped']} subscriptions were passed by.")
    else:
        say(f"Send {run['id']} has begun.")


def _newest(server: Server, schedule: int, namespace: str) -> dict[str, Any]:
    """The one that was just begun; or the one that waited for its beginning, and is for those as well."""
    runs: list[dict[str, Any]] = server.get(ROOT + "runs/", where(namespace))["results"]
    return next(run for run in runs if run["schedule"] == schedule)


def _watch(server: Server, id: int, namespace: str, *, quiet: bool) -> dict[str, Any]:
    """Until all that was queued had its first attempt."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    out = console(stderr=True)
    columns = [BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=out, transient=True, disable=quiet or not out.is_terminal) as progress:
        task = progress.add_task("", total=None)
        while True:
            run: dict[str, Any] = server.get(f"{ROOT}runs/{id}/", where(namespace))
            total = run["queued"] if run["finished_at"] else None
            progress.update(task, completed=run["left"], total=total)
            if run["finished_at"] and run["left"] >= run["queued"]:
                return run
            time.sleep(LOOK)
