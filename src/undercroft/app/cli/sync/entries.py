"""`croft sync entries` and `croft sync status`: where files are kept, and how far each place is."""

import json as notation
from pathlib import Path
from typing import Annotated, Any

import typer

from undercroft.app.cli.client import Server, as_ours, connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import one_line, print_json, print_table, say
from undercroft.app.cli.sync.paths import UNDER_WAY, api

app = typer.Typer(no_args_is_help=True, help="Entries: a storage and its options each.")

Name = Annotated[str, typer.Argument(metavar="NAME")]
LOCAL = "local_storage"
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
            rows = [(e["name"], e["driver"], one_line(e["options"])) for e in reply["entries"]]
    print_table(("ENTRY", "DRIVER", "OPTIONS"), rows)


@app.command("add")
def add(
    context: typer.Context,
    name: Name,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Of the server's machine, or of the storage.")] = "",
    driver: Annotated[
        str, typer.Option("--driver", "-d", help="local_storage, sftp, webdav, amazon_s3, dropbox")
    ] = LOCAL,
    option: Options = None,
    json: Json = False,
) -> None:
    """Keep files in a folder of the server's machine, or on another storage.

    \b
    croft sync entries add office /srv/office
    croft sync entries add laptop /home/me/files -o bandwidth=1000000 -o 'ignore=["*.tmp"]'
    croft sync entries add cloud files -d webdav -o hostname=cloud.example.org -o username=ann -o password=@secret
    """
    options = _options(driver, option or [])
    if folder:
        options["root"] = folder
    with connect(context) as server:
        reply = server.post(api("entries"), {"name": name, "driver": driver, "options": options})
    if json:
        print_json(reply)
    else:
        say(f"Entry {name} keeps files in {folder or 'the ' + driver}.")


@app.command("change")
def change(context: typer.Context, name: Name, option: Options = None, json: Json = False) -> None:
    """Change options of an entry; those that are not named stay as they are.

    \b
    croft sync entries change laptop -o bandwidth=0 -o keep_versions=90
    """
    if not option:
        raise WrongUsage("no option is named", "write -o NAME=VALUE")
    with connect(context) as server, as_ours(server):
        before = server.get(api("entries", name))
        options = {**before["options"], **_options(before["driver"], option)}
        reply = server.call("PUT", api("entries", name), None, {"options": options})
        if json:
            print_json(reply)
        else:
            say(f"Entry {name} has the options {notation.dumps(reply['options'], ensure_ascii=False)}.")


@app.command("remove")
def remove(context: typer.Context, name: Name, json: Json = False) -> None:
    """Forget an entry, which no rule names any more (`croft sync rules set`). Its files stay where they are.

    \b
    croft sync entries remove laptop
    """
    with connect(context) as server:
        reply = server.call("DELETE", api("entries", name))
    if json:
        print_json(reply)
    elif reply["status"] == UNDER_WAY:
        say(f"Entry {name} is being removed: {reply['reason']}.")
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


@app.command("rescan")
def rescan(context: typer.Context, name: Name, json: Json = False) -> None:
    """Look at all files of an entry now, without waiting for the next look.

    \b
    croft sync entries rescan cloud
    """
    _turn(context, name, "rescan", "is looked through", json)


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
    numbers = (str(state["files"]), str(state["behind"]), str(state["held"]), str(state["skipped_count"]))
    failed = next(iter(state["failed"].items()), None)
    why = state.get("reason") or (f"{failed[0]}: {failed[1]}" if failed else state["drops_early"] or "")
    return (state["name"], state["status"], *numbers, why)


def _options(driver: str, given: list[str]) -> dict[str, Any]:
    """`NAME=@FILE` is what stands in a file: secrets need not stand on a command line."""
    from undercroft.families.sync.drivers import COMMON, DRIVERS

    known = {**DRIVERS.get(driver, {}), **COMMON}
    options: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise WrongUsage(f"{text!r} is no option", "write NAME=VALUE")
        if value.startswith("@"):
            value = _read(Path(value[1:]))
        options[name] = value if name not in known or known[name].kind is str else _number_or_list(value)
    return options


def _read(file: Path) -> str:
    try:
        return file.read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{file} can't be read: {error}", "write NAME=@FILE, or NAME=VALUE") from None


def _number_or_list(value: str) -> Any:
    """Whatever it is, the server says whether it can be used."""
    try:
        return notation.loads(value)
    except ValueError:
        return value
