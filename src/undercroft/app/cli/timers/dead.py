"""`croft timers dead`: jobs whose attempts are used up, and how they come back."""

from typing import Annotated, Any

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.options import Db, Everything, Json, Limit
from undercroft.app.cli.show import moment_text, print_json, say
from undercroft.app.cli.timers import pages, written
from undercroft.app.cli.urls import path_of

app = typer.Typer(no_args_is_help=True, help="Dead letters: jobs whose attempts are used up.")

OfCollection = Annotated[str, typer.Option("--collection", "-c", metavar="NAME", help="Only of this collection.")]
OfRoute = Annotated[str, typer.Option("--route", "-r", metavar="NAME", help="Only of this route.")]


@app.command("list")
def list_dead(
    context: typer.Context,
    db: Db = "default",
    collection: OfCollection = "",
    route: OfRoute = "",
    limit: Limit = 100,
    everything: Everything = False,
    json: Json = False,
) -> None:
    """Show what has died, and why.

    \b
    croft timers dead list --route orders
    """
    query: dict[str, object] = {"collection": collection or None, "route": route or None, "limit": limit}
    with connect(context) as server:
        listing = pages.Listing(server, path_of("dead", db), "jobs", query)
        headers = ("ID", "COLLECTION", "ROUTE", "DIED", "ATTEMPTS", "REASON")
        listing.show(headers, _row, everything=everything, json=json)


def _row(job: dict[str, Any]) -> list[str]:
    return [
        str(job["id"]),
        str(job["collection"]),
        str(job["route"]),
        moment_text(job.get("died_at")),
        str(job.get("attempts", "")),
        str(job.get("reason") or ""),
    ]


@app.command("replay")
def replay(  # noqa: PLR0913 - one argument per flag
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID")] = None,
    start: Annotated[str, typer.Option("--from", metavar="MOMENT", help="What died from then on; also now, -1h.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="MOMENT", help="What died before then.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Whatever has died.")] = False,
    db: Db = "default",
    collection: OfCollection = "",
    route: OfRoute = "",
    json: Json = False,
) -> None:
    """Send dead jobs again, now.

    With all their attempts anew.

    \b
    croft timers dead replay order-7 order-8 --collection orders
    croft timers dead replay --from -2h --route orders
    """
    wanted = _wanted(ids or [], start, end, everything)
    wanted |= {"collection": collection} if collection else {}
    wanted |= {"route": route} if route else {}
    with connect(context) as server:
        reply = server.post(path_of("dead", db, "replay"), wanted)
    if json:
        print_json(reply)
    else:
        say(f"Sent again: {reply['replayed']}.")


def _wanted(ids: list[str], start: str, end: str, everything: bool) -> dict[str, object]:
    ways = [bool(ids), bool(start or end), everything]
    if sum(ways) != 1:
        raise WrongUsage("say which: ids, or --from and --to, or --all", "`croft timers dead list` shows them")
    if ids:
        return {"ids": ids}
    if everything:
        return {"from": 0}
    moments = {"from": written.moment("--from", start), "to": written.moment("--to", end)}
    return {name: ms for name, ms in moments.items() if ms is not None}
