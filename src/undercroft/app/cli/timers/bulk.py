"""`croft timers import`, `move-all`, `remove-all`: many jobs at once."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from undercroft.app.cli.client import Server, connect
from undercroft.app.cli.failures import Refused, WrongUsage
from undercroft.app.cli.options import Collection, Db, Json
from undercroft.app.cli.show import console, note, print_json, say
from undercroft.app.cli.timers import written
from undercroft.app.cli.timers.loading import Bulk, Failed, bulks
from undercroft.app.cli.timers.written import After, At, Before, In, OfRoute, State
from undercroft.app.cli.urls import path_of


def import_jobs(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="One job per line, or a JSON array; - for stdin.")],
    db: Db = "default",
    collection: Collection = "default",
    report: Annotated[
        bool, typer.Option("--report", help="Take the good ones and tell what is wrong with the others.")
    ] = False,
    upsert: Annotated[bool, typer.Option("--upsert", help="Replace jobs that have these ids.")] = False,
    late: Annotated[str, typer.Option(metavar="fire", help="fire: past moments are called at once.")] = "",
    json: Json = False,
) -> None:
    """Make many jobs, in bulks of 500.

    A bulk with one wrong job is refused whole, unless --report is given. Jobs with ids can be imported again
    without harm: what is there already stays as it is.

    \b
    croft timers import jobs.ndjson --collection orders
    croft timers list --all --json | croft --profile new timers import - --report
    """
    query: dict[str, object] = {"report": report or None, "upsert": upsert or None, "late": late or None}
    with _opened(file) as stream, connect(context) as server:
        tally = Import(server, path_of("job", db, collection), query)
        tally.run(stream, _length(file), quiet=json)
    if json:
        print_json({"created": tally.created, "failed": [failed._asdict() for failed in tally.failed]})
    else:
        for failed in tally.failed:
            note(f"{failed.place}: {failed.error}" + (f" ({failed.code})" if failed.code else ""))
        say(f"Created {tally.created} jobs, refused {len(tally.failed)}.")
    raise typer.Exit(1 if tally.failed else 0)


class Import:
    """Sends bulk after bulk; `created` and `failed` say how far it came."""

    def __init__(self, server: Server, path: str, query: dict[str, object]) -> None:
        self.created = 0
        self.failed: list[Failed] = []
        self._server = server
        self._path = path
        self._query = query

    def run(self, stream: BinaryIO, length: int | None, *, quiet: bool) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        columns = [BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
        out = console(stderr=True)
        with Progress(*columns, console=out, transient=True, disable=quiet or not out.is_terminal) as progress:
            # Where the number of jobs is not known, the bytes of the file say how far it is.
            task = progress.add_task("0 jobs", total=length)
            for bulk in bulks(stream):
                self._send(bulk)
                progress.update(task, completed=bulk.read, description=f"{self.created} jobs")

    def _send(self, bulk: Bulk) -> None:
        try:
            reply = self._server.post(self._path, bulk.body, self._query)
        except Refused as refused:
            raise self._stopped(bulk, refused) from None
        self.created += reply["created"]
        for place, result in zip(bulk.places, reply.get("results", ()), strict=False):
            if "error" in result:
                self.failed.append(
                    Failed(place, str(result.get("id") or ""), result["error"], str(result.get("code", "")))
                )

    def _stopped(self, bulk: Bulk, refused: Refused) -> Refused:
        """Says which line it was, where the refusal says which job of the bulk."""
        named = re.match(r"job (\d+)\b", refused.message)
        number = int(named[1]) if named else len(bulk.places)
        place = bulk.places[number] if number < len(bulk.places) else bulk.place
        hint = refused.hint or "mend it and import again, or add --report to take the good ones"
        message = f"{place}: {refused.message}; {self.created} jobs before that bulk were created"
        return Refused(message, hint, status=refused.status, code=refused.code)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    path = Path(file)
    if path.is_dir() or not os.access(path, os.R_OK):
        raise WrongUsage(f"{file} can't be read", "name a file, or - for stdin")
    with path.open("rb") as stream:
        yield stream


def _length(file: str) -> int | None:
    """None where it is not known beforehand, as of a pipe."""
    return None if file == "-" else Path(file).stat().st_size or None


def remove_all(  # noqa: PLR0913 - one argument per flag
    context: typer.Context,
    state: State = "",
    after: After = "",
    before: Before = "",
    route: OfRoute = "",
    db: Db = "default",
    collection: Collection = "default",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Remove all jobs of a collection.

    Or those that the flags choose.

    \b
    croft timers remove-all --collection orders --before now
    """
    query = _selection(state, after, before, route)
    if not yes:
        flags = (("state", state), ("due after", after), ("due before", before), ("route", route))
        chosen = ", ".join(f"{name} {text}" for name, text in flags if text)
        _ask(f"Remove the jobs of {db}/{collection}: {chosen or 'all of them'}?")
    with connect(context) as server:
        reply = server.call("DELETE", path_of("job", db, collection), query)
    if json:
        print_json(reply)
    else:
        busy = reply.get("in_flight")
        say(f"Removed: {reply['deleted']}." + (f" {busy} are being delivered just now and stay." if busy else ""))


def _selection(state: str, after: str, before: str, route: str) -> dict[str, object]:
    """Without any filter all of them have to be asked for."""
    query = written.filters(state, after, before, route)
    return query if any(query.values()) else {"all": True}


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise WrongUsage("this removes many jobs and nobody is there to ask", "add --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(0)


def move_all(  # noqa: PLR0913 - one argument per flag
    context: typer.Context,
    delay: In = "",
    at: At = "",
    shift: Annotated[
        str, typer.Option(metavar="±DURATION", help="Each by so much from its own moment: 1h, -30m.")
    ] = "",
    state: State = "",
    after: After = "",
    before: Before = "",
    route: OfRoute = "",
    db: Db = "default",
    collection: Collection = "default",
    json: Json = False,
) -> None:
    """Let many jobs fire at another moment.

    All at one, or each earlier or later by --shift.

    \b
    croft timers move-all --collection orders --before +1h --shift 2h
    croft timers move-all --collection orders --in 10m
    """
    when = written.due(delay, at)
    if (when is None) == (not shift):
        raise WrongUsage("say where to: --in, --at or --shift", "one of them")
    change = {"trigger_time": when} if when is not None else {"shift_ms": _shift(shift)}
    query = _selection(state, after, before, route)
    with connect(context) as server:
        reply = server.call("PATCH", path_of("job", db, collection), query, change)
    if json:
        print_json(reply)
    else:
        say(f"Moved: {reply['moved']}.")


def _shift(text: str) -> int:
    bare = text.strip().lstrip("+-")
    by = round(written.seconds("--shift", bare) * 1_000)
    return -by if text.strip().startswith("-") else by
