"""`croft sync rules`: which entries hold which files."""

import json as notation
from pathlib import Path
from typing import Annotated, Any

import typer

from undercroft.app.cli.client import as_ours, connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import print_json, print_table, say
from undercroft.app.cli.sync.paths import UNDER_WAY, api

app = typer.Typer(no_args_is_help=True, help="Rules: which entries hold which files.")

File = Annotated[Path, typer.Argument(metavar="FILE", help='JSON: {"rules": [{"match": {…}, "sync": […]}]}')]


@app.command("show")
def show(context: typer.Context, json: Json = False) -> None:
    """The rules as they are stored.

    \b
    croft sync rules show
    """
    with connect(context) as server, as_ours(server):
        reply = server.get(api("rules"))
        if json:
            print_json(reply)
            return
        rows = [
            (rule["match"].get("path", "/"), ", ".join(rule["match"].get("mime") or ["any"]), ", ".join(rule["sync"]))
            for rule in reply["rules"]
        ]
    print_table(("PATH", "KIND", "HELD BY"), rows)


@app.command("share")
def share(
    context: typer.Context,
    entries: Annotated[list[str], typer.Argument(metavar="ENTRY...")],
    path: Annotated[str, typer.Option("--path", metavar="PATH", help="What is below it.")] = "/",
    json: Json = False,
) -> None:
    """Add a rule, unless it is there: these entries hold what is below a path. It counts at once.

    \b
    croft sync rules share office laptop
    croft sync rules share office archive --path /contracts
    """
    with connect(context) as server, as_ours(server):
        rules, wanted = server.get(api("rules"))["rules"], {"match": {"path": path}, "sync": entries}
        if wanted not in rules:
            server.call("PUT", api("rules"), None, {"rules": [*rules, wanted]})
        reply = server.call("PUT", api("rules", "reload"))
    if json:
        print_json(reply)
    else:
        say(f"{', '.join(entries)} hold what is below {path}.")
        _say_under_way(reply)


@app.command("set")
def set_rules(
    context: typer.Context,
    file: File,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    json: Json = False,
) -> None:
    """Replace all rules by those of a file, and apply them.

    \b
    croft sync rules set rules.json --dry-run
    croft sync rules set rules.json
    """
    rules, applied = _read(file), None
    with connect(context) as server, as_ours(server):
        preview = server.post(api("rules", "preview"), rules)
        if dry_run and not json:
            rows = [(f["filename"], ", ".join(f["gains"]), ", ".join(f["loses"])) for f in preview["files"]]
            print_table(("FILE", "COMES TO", "IS NO MORE KEPT AT"), rows)
        elif not dry_run:
            server.call("PUT", api("rules"), None, rules)
            applied = server.call("PUT", api("rules", "reload"))
    if json:
        print_json(preview)
        return
    say(f"{preview['count']} files {'would change' if dry_run else 'change'} their places.")
    _say_under_way(applied)


def _say_under_way(reply: Any) -> None:
    if reply is not None and reply["status"] == UNDER_WAY:
        say(f"That takes a while and goes on by itself: {reply['reason']}.")


def _read(file: Path) -> Any:
    try:
        return notation.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise WrongUsage(f"{file} can't be read: {error}", "name a file that holds JSON") from None
