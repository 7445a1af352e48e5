"""`croft timers add`, `show`, `list`, `attempts`: jobs, and the calls made for them."""

from typing import Annotated, Any

import typer

from undercroft.app.cli.client import as_ours, connect
from undercroft.app.cli.options import Collection, Db, Everything, Json, Limit
from undercroft.app.cli.show import (
    distance_text,
    moment_and_distance,
    moment_text,
    now_ms,
    one_line,
    pretty_json,
    print_facts,
    print_json,
    say,
)
from undercroft.app.cli.timers import pages, written
from undercroft.app.cli.timers.written import (
    After,
    At,
    Before,
    Cron,
    In,
    JobId,
    Late,
    Meta,
    OfRoute,
    Retries,
    State,
    Timezone,
)
from undercroft.app.cli.urls import path_of
from undercroft.app.notation import duration_text


def add(  # noqa: PLR0913 - one argument per flag
    context: typer.Context,
    route: Annotated[str, typer.Option("--route", "-r", metavar="NAME", help="Whom to call.")],
    id: Annotated[str, typer.Argument(metavar="ID", help="One is made where none is given.")] = "",
    delay: In = "",
    at: At = "",
    cron: Cron = "",
    timezone: Timezone = "",
    meta: Meta = "",
    db: Db = "default",
    collection: Collection = "default",
    retries: Retries = "",
    idempotency_key: Annotated[str, typer.Option(metavar="KEY", help="The same key makes one job only.")] = "",
    upsert: Annotated[bool, typer.Option("--upsert", help="Replace a job that has this id.")] = False,
    late: Late = "",
    json: Json = False,
) -> None:
    """Make a job.

    Its route's webhook is called at its moment, with --meta as the body. A recurring one begins now, or with
    --in or --at.

    \b
    croft timers add --route hello --in 5s --meta '{"hi": "there"}'
    croft timers add order-7 --route orders --at 2030-05-01T09:00 --meta @order.json
    croft timers add standup --route chat --cron '0 9 * * 1-5' --timezone Europe/Berlin
    """
    when = written.due(delay, at) if cron else written.due_or_fail(delay, at)
    job = written.job_fields(when, route, cron, timezone, meta, retries)
    job |= {"id": id} if id else {}
    job |= {"idempotency_key": idempotency_key} if idempotency_key else {}
    with connect(context) as server:
        reply = server.post(path_of("job", db, collection), job, {"upsert": upsert or None, "late": late or None})
    if json:
        print_json(reply)
        return
    moment = f"by cron {cron}" if cron or when is None else f"at {moment_and_distance(when)}"
    say(f"Job {reply.get('id', id)} calls {route} {moment}.")


def show(
    context: typer.Context,
    id: JobId,
    detail: Annotated[bool, typer.Option("--detail", help="With state, attempts, what comes next.")] = False,
    db: Db = "default",
    collection: Collection = "default",
    json: Json = False,
) -> None:
    """Show one job.

    \b
    croft timers show order-7 --detail
    """
    with connect(context) as server:
        job = server.get(path_of("job", db, collection, id), {"detail": detail or None})
    if json:
        print_json(job)
        return
    told = {"id", "route", "trigger_time", "meta"}
    with as_ours(server):
        facts = [
            ("Job", str(job["id"])),
            ("Route", str(job["route"])),
            ("Due", moment_and_distance(job["trigger_time"])),
            *((name.replace("_", " ").capitalize(), _fact(value)) for name, value in job.items() if name not in told),
            ("Meta", pretty_json(job.get("meta"))),
        ]
    print_facts(facts)


def _fact(value: Any) -> str:
    """A field of ?detail=1; a number with twelve or more digits is a moment."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10**11:
        return moment_and_distance(value)
    if isinstance(value, dict) and "took_ms" in value:
        what = value.get("error") or f"answered {value.get('status')}"
        return f"{what}, {moment_and_distance(value['at'])}"
    if value is None or isinstance(value, str):
        return value or ""
    return one_line(value, 200)


def list_jobs(  # noqa: PLR0913 - one argument per flag
    context: typer.Context,
    state: State = "",
    after: After = "",
    before: Before = "",
    route: OfRoute = "",
    db: Db = "default",
    collection: Collection = "default",
    limit: Limit = 100,
    everything: Everything = False,
    json: Json = False,
) -> None:
    """Show the jobs of a collection, by the day they are due; within a day as they were made.

    \b
    croft timers list --state scheduled --before +1h
    croft timers list --all --json > jobs.ndjson
    """
    query = {**written.filters(state, after, before, route), "limit": limit}
    now = now_ms()
    with connect(context) as server:
        listing = pages.Listing(server, path_of("job", db, collection), "jobs", query)
        headers = ("ID", "DUE", "", "ROUTE", "STATE", "ATTEMPTS", "META")
        listing.show(headers, lambda job: _row(job, now), everything=everything, json=json)


def _row(job: dict[str, Any], now: int) -> list[str]:
    due = job["trigger_time"]
    return [
        str(job["id"]),
        moment_text(due),
        distance_text(due, now),
        str(job["route"]),
        str(job.get("state", "")),
        str(job.get("attempts", "")),
        one_line(job.get("meta")),
    ]


def attempts(
    context: typer.Context,
    id: JobId,
    db: Db = "default",
    collection: Collection = "default",
    everything: Everything = False,
    json: Json = False,
) -> None:
    """Show each call made for a job, and what came of it.

    \b
    croft timers attempts order-7
    """
    with connect(context) as server:
        listing = pages.Listing(server, path_of("job", db, collection, id, "attempts"), "attempts", {})
        headers = ("ATTEMPT", "STARTED", "TOOK", "STATUS", "ERROR", "REPLY")
        listing.show(headers, _attempt_row, everything=everything, json=json)


def _attempt_row(attempt: dict[str, Any]) -> list[str]:
    took = attempt.get("took_ms")
    return [
        str(attempt["attempt"]),
        moment_text(attempt["started_at"]),
        (duration_text(took / 1_000) if took else "0ms") if isinstance(took, int) else "",
        str(attempt.get("status") or ""),
        str(attempt.get("error") or ""),
        str(attempt.get("reply") or "")[:80],
    ]
