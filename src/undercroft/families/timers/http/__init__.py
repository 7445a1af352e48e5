"""The wire format of timers: parse, one action, render."""

from typing import Any

from undercroft.database import Database
from undercroft.families.timers.http import shapes
from undercroft.families.timers.http.collections import Collections
from undercroft.families.timers.http.dead import Dead
from undercroft.families.timers.http.jobs import Jobs
from undercroft.families.timers.http.routes import Routes
from undercroft.families.timers.model import JobIn, RouteIn
from undercroft.machinery.operations import Operation, Run

_ERRORS = dict.fromkeys((400, 401, 403, 413, 429, 503), shapes.Problem)


def operations(database: Database, default_scheme: str) -> list[Operation]:
    return [*_on_jobs(Jobs(database)), *_on_collections(Collections(database)),
            *_on_routes(Routes(database, default_scheme)), *_on_dead(Dead(database))]  # fmt: skip


def _on_jobs(jobs: Jobs) -> list[Operation]:
    many, one = "/job/{db}/{collection}", "/job/{db}/{collection}/{id}"
    created = shapes.Created | shapes.BulkDone | shapes.BulkReport
    return [
        _operation("POST", many, jobs.create, "Create a job, or many (a JSON array, or NDJSON)", created,
                   takes=JobIn | list[JobIn], query=shapes.CreateQuery,
                   content_types=("application/json", "application/x-ndjson")),
        _operation("GET", one, jobs.fetch, "Fetch a job", shapes.JobOut | shapes.JobDetail, query=shapes.DetailQuery),
        _operation("PUT", one, jobs.update, "Update a job", shapes.Done, takes=JobIn, query=shapes.UpdateQuery),
        _operation("DELETE", one, jobs.delete, "Delete a job: it will not fire any more", shapes.Done),
        _operation("GET", one + "/attempts", jobs.attempts, "What came of each attempt", shapes.AttemptList,
                   query=shapes.PageQuery),
    ]  # fmt: skip


def _on_collections(collections: Collections) -> list[Operation]:
    many, control = "/job/{db}/{collection}", "/collection/{db}/{collection}"
    return [
        _operation("GET", many, collections.list_page, "List jobs", shapes.JobList, query=shapes.SelectQuery),
        _operation("DELETE", many, collections.delete, "Delete every selected job", shapes.Deleted,
                   query=shapes.SelectAllQuery),
        _operation("PATCH", many, collections.move, "Move every selected job in time", shapes.Moved,
                   takes=shapes.MoveIn, query=shapes.SelectAllQuery),
        _operation("POST", control + "/pause", collections.pause, "Hold what falls due in a collection", shapes.Done),
        _operation("POST", control + "/resume", collections.resume, "Let a paused collection go on", shapes.Done),
    ]  # fmt: skip


def _on_routes(routes: Routes) -> list[Operation]:
    one = "/route/{db}/{id}"
    return [
        _operation("POST", "/route/{db}", routes.create, "Create a route", shapes.RouteDone, takes=RouteIn),
        _operation("GET", "/route/{db}", routes.list_page, "List routes", shapes.RouteList, query=shapes.PageQuery),
        _operation("GET", one, routes.fetch, "Fetch a route", shapes.RouteOut | shapes.RouteDetail,
                   query=shapes.DetailQuery),
        _operation("PUT", one, routes.update, "Update a route", shapes.RouteDone, takes=RouteIn),
        _operation("DELETE", one, routes.delete, "Delete a route", shapes.Done, query=shapes.ForceQuery),
        _operation("POST", one + "/pause", routes.pause, "Hold what falls due for a route", shapes.Done),
        _operation("POST", one + "/resume", routes.resume, "Let a paused route go on", shapes.Done),
    ]  # fmt: skip


def _on_dead(dead: Dead) -> list[Operation]:
    return [
        _operation("GET", "/dead/{db}", dead.list_page, "List dead letters", shapes.DeadList, query=shapes.DeadQuery),
        _operation("POST", "/dead/{db}/replay", dead.replay, "Replay dead letters", shapes.Replayed,
                   takes=shapes.ReplayIn),
    ]  # fmt: skip


def _operation(method: str, path: str, run: Run, summary: str, gives: Any, **more: Any) -> Operation:
    return Operation(
        method, path, run, summary, "read" if method == "GET" else "write", namespace="db", also_anonymous="timers",
        gives={200: gives, **_ERRORS}, **more,
    )  # fmt: skip
