"""`croft team`: who works together. What one keeps, the others see."""

from typing import Annotated

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import print_json, print_table, say
from undercroft.app.cli.urls import path_of

app = typer.Typer(no_args_is_help=True, help="Teams: make, list, show, remove; their members.")

Name = Annotated[str, typer.Argument(metavar="TEAM")]
Email = Annotated[str, typer.Argument(metavar="EMAIL")]


@app.command("add")
def add(context: typer.Context, name: Name, json: Json = False) -> None:
    """Make a team. You are its first member.

    \b
    croft team add shop
    """
    with connect(context) as server:
        server.call("POST", "/teams", None, {"name": name}, lines=True)
    _done(f"Team {name} is made; `croft team add-member {name} EMAIL` takes others in.", json)


@app.command("list")
def list_teams(context: typer.Context, json: Json = False) -> None:
    """Show your teams.

    \b
    croft team list
    """
    with connect(context) as server:
        found = server.call("GET", "/teams", lines=True)
    if json:
        print_json(found)
    else:
        print_table(("TEAM",), [[str(team["name"])] for team in found])


@app.command("show")
def show(context: typer.Context, name: Name, json: Json = False) -> None:
    """Show the members of a team.

    \b
    croft team show shop
    """
    with connect(context) as server:
        found = server.call("GET", path_of("teams", name), lines=True)
    if json:
        print_json(found)
    else:
        print_table(("MEMBER",), [[str(email)] for email in found["users"]])


@app.command("remove")
def remove(context: typer.Context, name: Name, json: Json = False) -> None:
    """Remove a team. What it kept is the admins' from then on.

    \b
    croft team remove shop
    """
    with connect(context) as server:
        server.call("DELETE", path_of("teams", name), lines=True)
    _done(f"Team {name} is removed.", json)


@app.command("add-member")
def add_member(context: typer.Context, name: Name, email: Email, json: Json = False) -> None:
    """Take a user into a team of yours.

    \b
    croft team add-member shop bob@example.org
    """
    with connect(context) as server:
        server.call("PUT", path_of("teams", name, email), lines=True)
    _done(f"{email} is in the team {name}.", json)


@app.command("remove-member")
def remove_member(context: typer.Context, name: Name, email: Email, json: Json = False) -> None:
    """Take a user, or yourself, out of a team. Its last member stays.

    \b
    croft team remove-member shop bob@example.org
    """
    with connect(context) as server:
        server.call("DELETE", path_of("teams", name, email), lines=True)
    _done(f"{email} is in the team {name} no more.", json)


def _done(text: str, json: bool) -> None:
    if json:
        print_json({"status": "ok"})
    else:
        say(text)
