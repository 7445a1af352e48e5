"""`croft sync entries` and `croft sync status`: where files are kept, and how far each place is."""

import json as notation
from typing import Annotated, Any

import typer

from undercroft.app.cli.client import Server, WrongUsage, as_ours, connect
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import one_line, print_json, print_table, say
from undercroft.app.cli.sync.paths import api

app = typer.Typer(no_args_is_help=True, help="Entries: a storage and its options each.")

Name = Annotated[str, typer.Argument(metavar="NAME")]
Options = Annotated[
    list[str] | None, typer.Option("--option", "-o", metavar="NAME=VALUE", help="Of the driver; may be repeated.")
]


def status(context: typer.Context, json: Json = False) -> None:
    """How every entry is.

    \b
    croft sync status
    """
    with connect(context) as server:
        found = [_state_of(server, entry["name"]) for entry in server.get(api("entries"))["entries"]]
        if json:
            print_json(found)
            return
        with as_ours(server):
            rows = [_row(state) for state in found]
    if not rows:
        say("There are no entries: `croft sync entries add NAME FOLDER` makes one.")
        return
    print_table(("ENTRY", "STATUS", "FILES", "BEHIND", "HELD", "SKIPPED", "WHY"), rows)


@app.command("list")
def list_entries(context: typer.Context, json: Json = False) -> None:
    """Which entries there are.

    \b
    croft sync entries list
    """
    with connect(context) as server:
        reply = server.get(api("entries"))
        if json:
            print_json(reply)
            return
        with as_ours(server):
            rows = [(e["name"], e["driver"], one_line(notation.dumps(e["options"]))) for e in reply["entries"]]
    print_table(("ENTRY", "DRIVER", "OPTIONS"), rows)


@app.command("add")
def add(
    context: typer.Context,
    name: Name,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="On the server's machine.")],
    option: Options = None,
    json: Json = False,
) -> None:
    """Keep files in a folder of the server's machine.

    \b
    croft sync entries add office /srv/office
    croft sync entries add laptop /home/me/files -o bandwidth=1000000 -o 'ignore=["*.tmp"]'
    """
    options = {"root": folder, **_options(option or [])}
    with connect(context) as server:
        reply = server.post(api("entries"), {"name": name, "driver": "local_storage", "options": options})
    if json:
        print_json(reply)
    else:
        say(f"Entry {name} keeps files in {folder}.")


@app.command("remove")
def remove(context: typer.Context, name: Name, json: Json = False) -> None:
    """Forget an entry. Its files stay where they are.

    \b
    croft sync entries remove laptop
    """
    with connect(context) as server:
        reply = server.call("DELETE", api("entries", name))
    if json:
        print_json(reply)
    else:
        say(f"Entry {name} is no more; its files are where they were.")


@app.command("start")
def start(context: typer.Context, name: Name, json: Json = False) -> None:
    """Start a stopped entry.

    \b
    croft sync entries start laptop
    """
    _turn(context, name, "start", "runs", json)


@app.command("stop")
def stop(context: typer.Context, name: Name, json: Json = False) -> None:
    """Stop an entry; the others go on.

    \b
    croft sync entries stop laptop
    """
    _turn(context, name, "stop", "is stopped", json)


@app.command("restart")
def restart(context: typer.Context, name: Name, json: Json = False) -> None:
    """Stop and start an entry.

    \b
    croft sync entries restart laptop
    """
    _turn(context, name, "restart", "runs anew", json)


@app.command("confirm")
def confirm(
    context: typer.Context,
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Give the entry its files back instead.")] = False,
    json: Json = False,
) -> None:
    """Let a wave of deletions that was held go on, or undo it.

    \b
    croft sync entries confirm laptop
    croft sync entries confirm laptop --undo
    """
    with connect(context) as server:
        reply = server.post(api("entries", name, "deletions"), {"confirm": not undo})
        if json:
            print_json(reply)
            return
        with as_ours(server):
            say(f"{reply['files']} deletions are {'undone' if undo else 'carried out'}.")


def _turn(context: typer.Context, name: str, verb: str, result: str, json: bool) -> None:
    with connect(context) as server:
        reply = server.call("PUT", api("entries", name, verb))
    if json:
        print_json(reply)
    else:
        say(f"Entry {name} {result}.")


def _state_of(server: Server, name: str) -> dict[str, Any]:
    return {**server.get(api("entries", name, "progress")), **server.get(api("entries", name, "status"))}


def _row(state: dict[str, Any]) -> tuple[str, ...]:
    numbers = (str(state["files"]), str(state["behind"]), str(state["held"]), str(len(state["skipped"])))
    failed = next(iter(state["failed"].items()), None)
    why = state.get("reason") or (f"{failed[0]}: {failed[1]}" if failed else "")
    return (state["name"], state["status"], *numbers, one_line(why))


def _options(given: list[str]) -> dict[str, Any]:
    """A value is JSON where it can be read as such, and else a text."""
    options: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise WrongUsage(f"{text!r} is no option", "write NAME=VALUE")
        try:
            options[name] = notation.loads(value)
        except ValueError:
            options[name] = value
    return options
