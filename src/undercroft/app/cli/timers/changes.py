"""`croft timers move`, `change`, `remove`: what becomes of a job that is there."""

from typing import Annotated

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.options import Collection, Db, Json
from undercroft.app.cli.show import moment_and_distance, print_json, say
from undercroft.app.cli.timers import written
from undercroft.app.cli.timers.written import At, Cron, In, JobId, Meta, Retries, Timezone
from undercroft.app.cli.urls import path_of


def move(
    context: typer.Context,
    id: JobId,
    delay: In = "",
    at: At = "",
    db: Db = "default",
    collection: Collection = "default",
    json: Json = False,
) -> None:
    """Let a job fire at another moment; all else stays.

    A recurring one then fires that one time.

    \b
    croft timers move order-7 --in 10m
    """
    when = written.due_or_fail(delay, at)
    with connect(context) as server:
        reply = server.call("PUT", path_of("job", db, collection, id), None, {"trigger_time": when})
    if json:
        print_json(reply)
    else:
        say(f"Job {id} fires at {moment_and_distance(when)}.")


def change(  # noqa: PLR0913 - one argument per flag
    context: typer.Context,
    id: JobId,
    route: Annotated[str, typer.Option("--route", "-r", metavar="NAME", help="Whom to call.")] = "",
    delay: In = "",
    at: At = "",
    cron: Cron = "",
    timezone: Timezone = "",
    meta: Meta = "",
    retries: Retries = "",
    late: written.Late = "",
    db: Db = "default",
    collection: Collection = "default",
    json: Json = False,
) -> None:
    """Change what the flags name; all else stays.

    \b
    croft timers change order-7 --route orders-v2 --meta @order.json
    """
    fields = written.job_fields(written.due(delay, at), route, cron, timezone, meta, retries)
    if not fields:
        raise WrongUsage("nothing to change", "name at least one flag, such as --in or --route")
    with connect(context) as server:
        reply = server.call("PUT", path_of("job", db, collection, id), {"late": late or None}, fields)
    if json:
        print_json(reply)
    else:
        say(f"Job {id} is changed.")


def remove(
    context: typer.Context,
    id: JobId,
    db: Db = "default",
    collection: Collection = "default",
    json: Json = False,
) -> None:
    """Remove a job.

    Once this has said so, it does not fire any more.

    \b
    croft timers remove order-7
    """
    with connect(context) as server:
        reply = server.call("DELETE", path_of("job", db, collection, id))
    if json:
        print_json(reply)
    else:
        say(f"Job {id} is removed.")
