"""`croft sync files …`: what is kept where, what is under way, what collided, what can be had back."""

import contextlib
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from undercroft.app.cli.client import Server, as_ours, connect
from undercroft.app.cli.failures import Refused
from undercroft.app.cli.options import Everything, Json
from undercroft.app.cli.show import console, in_one_line, moment_text, print_json, print_table, say
from undercroft.app.cli.sync.paths import api

Filename = Annotated[str, typer.Argument(metavar="FILE", help="As `croft sync files` shows it.")]
_PAGE = 1_000
_NOT_FOUND = 404


def list_files(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="Those with this in their name.")] = "",
    entry: Annotated[str, typer.Option("--entry", metavar="NAME", help="Those of this entry.")] = "",
    behind: Annotated[bool, typer.Option("--behind", help="Those that are not everywhere yet.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, metavar="N", help="How many.")] = 100,
    everything: Everything = False,
    json: Json = False,
) -> None:
    """Which files there are, and who has them.

    \b
    croft sync files
    croft sync files .pdf --behind
    """
    query = {"q": text or None, "entry": entry or None, "state": "behind" if behind else None}
    with connect(context) as server, as_ours(server):
        files = list(_all(server, query)) if everything else _page(server, query, 0, limit)
        if json and everything:
            for file in files:
                print_json(file)
            return
        if json:
            print_json({"files": files})
            return
        rows = [
            (file["filename"], str(file["size"]), ", ".join(file["uptodate"]), ", ".join(_late(file))) for file in files
        ]
    print_table(("FILE", "BYTES", "UP TO DATE", "NOT YET"), rows)


def versions(context: typer.Context, filename: Filename, json: Json = False) -> None:
    """What a file was before it was replaced or deleted.

    \b
    croft sync versions docs/report.txt
    """
    with connect(context) as server, as_ours(server):
        reply = _versions(server, filename)
        if json:
            print_json(reply)
            return
        rows = [
            (kept["id"], kept["entry"], str(kept["size"]), moment_text(int(kept["replaced_at"] * 1_000)))
            for kept in reply["versions"]
        ]
    print_table(("VERSION", "AT", "BYTES", "REPLACED"), rows)


def restore(
    context: typer.Context,
    filename: Filename,
    version: Annotated[str, typer.Option("--version", metavar="ID", help="The newest where none is given.")] = "",
    json: Json = False,
) -> None:
    """Put a kept version back under its name, everywhere.

    It is asked for, and under way when this ends; `croft sync status` says why where it can't be.

    \b
    croft sync restore docs/report.txt
    """
    with connect(context) as server, as_ours(server):
        kept = _versions(server, filename)["versions"]
        wanted = version or (kept[0]["id"] if kept else "")
        if not wanted:
            raise Refused(f"nothing is kept of {filename}", "`croft sync versions FILE` shows what is")
        reply = server.post(api("files", _fid(server, filename), "restore"), {"version": wanted})
    if json:
        print_json(reply)
    else:
        say(f"{filename} is being put back as it was in version {wanted}.")


def conflicts(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, metavar="N", help="How many.")] = 100,
    json: Json = False,
) -> None:
    """Where two changes met, and under which name the other one was kept.

    \b
    croft sync conflicts
    """
    with connect(context) as server, as_ours(server):
        reply = server.get(api("conflicts"), {"limit": limit})
        if json:
            print_json(reply)
            return
        rows = [(moment_text(int(met["time"] * 1_000)), met["filename"], met["kept_as"]) for met in reply["conflicts"]]
    print_table(("WHEN", "FILE", "THE OTHER IS KEPT AS"), rows)


def transfers(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until nothing is under way.")] = False,
    json: Json = False,
) -> None:
    """Which large files are on their way, and how far.

    \b
    croft sync transfers --watch
    """
    with connect(context) as server, as_ours(server):
        if watch and not json:
            _watch(server)
            return
        reply = server.get(api("transfers"))
        if json:
            print_json(reply)
            return
        rows = [(one["filename"], one["entry"], f"{_percent(one)} %") for one in reply["transfers"]]
    print_table(("FILE", "TO", "DONE"), rows)


def _watch(server: Server) -> None:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    out = console()
    # A file's name is no markup; a long one leaves no bar any room, neither its own nor others'.
    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=out.width // 2))
    columns = (name, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=out, transient=True, disable=not out.is_terminal)
    with bars, contextlib.suppress(KeyboardInterrupt):
        shown: dict[tuple[str, str], Any] = {}
        while under_way := server.get(api("transfers"))["transfers"]:
            for arrived in shown.keys() - {(one["entry"], one["filename"]) for one in under_way}:
                bars.remove_task(shown.pop(arrived))
            for one in under_way:
                key = (one["entry"], one["filename"])
                if key not in shown:
                    shown[key] = bars.add_task(in_one_line(f"{key[1]} → {key[0]}"), total=one["size"])
                bars.update(shown[key], completed=one["done"])
            time.sleep(0.3)
    say("Nothing large is under way.")


def _percent(one: dict[str, Any]) -> int:
    return 100 * int(one["done"]) // max(1, int(one["size"]))


def _all(server: Server, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    offset = 0
    while page := _page(server, query, offset, _PAGE):
        yield from page
        offset += len(page)


def _page(server: Server, query: dict[str, Any], offset: int, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get(api("files"), {**query, "offset": offset, "limit": limit})["files"]
    return found


def _late(file: dict[str, Any]) -> list[str]:
    return [owner for owner in file["owners"] if owner not in file["uptodate"]]


def _fid(server: Server, filename: str) -> str:
    return str(server.get(api("files", "id", filename))[filename])


def _versions(server: Server, filename: str) -> Any:
    try:
        return server.get(api("files", _fid(server, filename), "versions"))
    except Refused as refused:
        if refused.status != _NOT_FOUND:
            raise
        raise Refused(
            f"file {filename} not found", "`croft sync files` shows which there are", status=_NOT_FOUND
        ) from None
