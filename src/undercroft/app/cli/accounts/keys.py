"""`croft key`: your SSH keys, by which you push."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from undercroft.app.cli.client import Server, connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import print_json, print_table, say, shortened
from undercroft.app.cli.urls import path_of

app = typer.Typer(no_args_is_help=True, help="SSH keys of yours: add, list, remove.")


@app.command("add")
def add(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="The public one; - for stdin. Else ~/.ssh/id_ed25519.pub.")
    ] = "~/.ssh/id_ed25519.pub",
    json: Json = False,
) -> None:
    """Add a public key.

    \b
    croft key add
    croft key add ~/.ssh/work.pub
    """
    key = _read(file)
    with connect(context) as server:
        server.call("POST", "/users/keys", None, {"key": key}, lines=True)
    _done("The key is added.", json)


@app.command("list")
def list_keys(context: typer.Context, json: Json = False) -> None:
    """Show your keys by name.

    \b
    croft key list
    """
    with connect(context) as server:
        found = _keys(server)
    if json:
        print_json(found)
    else:
        print_table(("NAME", "KEY"), [(name, shortened(key, 60)) for name, key in found.items()])


@app.command("remove")
def remove(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `croft key list` shows it.")],
    json: Json = False,
) -> None:
    """Remove a key.

    \b
    croft key remove ann@example.org-1
    """
    with connect(context) as server:
        found = _keys(server)
        if name not in found:
            raise WrongUsage(f"you have no key {name!r}", "`croft key list` shows them")
        server.call("DELETE", "/users/keys", None, {"key": found[name]}, lines=True)
    _done(f"Key {name} is removed.", json)


def _keys(server: Server) -> dict[str, str]:
    me = str(server.get("/undercroft/me")["user"])
    found: dict[str, str] = server.call("GET", path_of("users", me, "keys"), lines=True)
    return found


def _read(file: str) -> str:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).expanduser().read_text()
    except (OSError, ValueError) as error:
        raise WrongUsage(f"{file} can't be read: {error}", "name the file of a public key, it ends in .pub") from None
    if "PRIVATE KEY" in text:
        raise WrongUsage(f"{file} is a private key", "keep that to yourself: the public one ends in .pub")
    return text.strip()


def _done(text: str, json: bool) -> None:
    if json:
        print_json({"status": "ok"})
    else:
        say(text)
