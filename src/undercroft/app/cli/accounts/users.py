"""`croft user`: who there is, and passwords."""

import sys
from typing import Annotated, Any

import typer

from undercroft.app.cli.asking import asked_password, new_password
from undercroft.app.cli.client import connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.options import Everything, Json, Limit
from undercroft.app.cli.show import moment_text, note, print_facts, print_json, print_table, say
from undercroft.app.cli.urls import path_of

app = typer.Typer(no_args_is_help=True, help="Users: create, list, remove; passwords and quotas.")

Email = Annotated[str, typer.Argument(metavar="EMAIL")]
OrYou = Annotated[str, typer.Argument(metavar="[EMAIL]", help="Another user, for admins; else you.")]
OK = {"status": "ok"}


@app.command("create")
def create(context: typer.Context, email: Email, json: Json = False) -> None:
    """Make a user with a password, which is asked for or read from stdin.

    Admins do so; anybody may where the server's setting public_signup says so.

    \b
    croft user create ann@example.org
    croft user create ann@example.org < password-file
    """
    with connect(context) as server:
        server.call("POST", "/users", None, {"email": email, "password": new_password()}, lines=True)
    _done(f"User {email} is made; `croft login URL --email {email}` signs in.", json)


@app.command("list")
def list_users(context: typer.Context, limit: Limit = 100, everything: Everything = False, json: Json = False) -> None:
    """Show users with their teams. For admins.

    \b
    croft user list
    """
    with connect(context) as server:
        cursor: str | None = None
        first = True
        while first or (everything and cursor):
            query = {"limit": limit, "cursor": cursor}
            page: dict[str, Any] = server.call("GET", "/users", query, lines=True)
            _show_page(page, first, everything, json)
            cursor, first = page["cursor"], False
    if cursor and not json:
        note("There are more: add --all.")


def _show_page(page: dict[str, Any], first: bool, everything: bool, json: bool) -> None:
    if json and everything:
        for user in page["users"]:
            print_json(user)
    elif json:
        print_json(page)
    else:
        print_table(("EMAIL", "TEAMS", "PASSWORD", "KEYS", "SINCE"), map(_row, page["users"]), show_header=first)


def _row(user: dict[str, Any]) -> list[str]:
    return [
        str(user["email"]),
        ", ".join(user["teams"]),
        "yes" if user["has_password"] else "no",
        str(user["keys"]),
        moment_text(user["created_at"]),
    ]


@app.command("remove")
def remove(
    context: typer.Context,
    email: OrYou = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    json: Json = False,
) -> None:
    """Remove a user with all tokens, keys and memberships.

    Not the last member of a team: remove the team first.

    \b
    croft user remove ann@example.org
    """
    who = email or "you"
    if not yes and sys.stdin.isatty() and not typer.confirm(f"Remove {who}?", err=True):
        raise WrongUsage("nothing was removed")
    if not yes and not sys.stdin.isatty() and not email:
        raise WrongUsage("that would remove you", "say so with --yes")
    with connect(context) as server:
        server.call("DELETE", path_of("users", email) if email else "/users", lines=True)
    _done(f"User {email} is removed." if email else "You are removed.", json)


@app.command("password")
def password(context: typer.Context, email: OrYou = "", json: Json = False) -> None:
    """Change your password, or set another user's.

    It is asked for, or read from stdin: the old one and the new one on a line each, for another user the new one
    alone. All tokens and sessions of the user end; of yours the one that you do this with stays.

    \b
    croft user password
    croft user password ann@example.org
    """
    with connect(context) as server:
        if email:
            server.call("PUT", path_of("users", email, "password"), None, {"new": new_password()}, lines=True)
        else:
            change = {"old": asked_password("Old password"), "new": new_password()}
            server.call("PUT", "/users/password", None, change, lines=True)
    _done(f"The password of {email} is set." if email else "Your password is changed.", json)


@app.command("reset")
def reset(
    context: typer.Context,
    email: Email,
    token: Annotated[str, typer.Option(metavar="TOKEN", help="As it was mailed; - asks for it.")] = "",
    json: Json = False,
) -> None:
    """Get another password when it was forgotten.

    First a token is mailed, good once and for a day. With it the new password is set, which is asked for or read from
    stdin. All tokens and sessions of the user end.

    \b
    croft user reset ann@example.org
    croft user reset ann@example.org --token -
    """
    if not token:
        with connect(context) as server:
            server.call("POST", path_of("users", email, "password"), lines=True)
        _done(f"A token was mailed to {email}; `croft user reset {email} --token -` takes it.", json)
        return
    given = asked_password("Token") if token == "-" else token
    with connect(context) as server:
        path = path_of("users", email, "password")
        server.call("POST", path, {"token": given}, {"password": new_password()}, lines=True)
    _done(f"The password of {email} is set; `croft login URL --email {email}` signs in.", json)


@app.command("quota")
def quota(
    context: typer.Context,
    email: OrYou = "",
    most: Annotated[
        int | None, typer.Option("--set", min=-1, metavar="N", help="So many apps; -1 for as many as there can be.")
    ] = None,
    json: Json = False,
) -> None:
    """Show how many apps a user has and may still have, or set how many. Admins see and set others'.

    \b
    croft user quota
    croft user quota ann@example.org --set 20
    """
    with connect(context) as server:
        who = email or str(server.get("/undercroft/me")["user"])
        if most is not None:
            server.call("PUT", path_of("quota", who), None, f"quota={most}".encode(), lines=True)
        found = server.call("GET", path_of("quota", who), lines=True)
    if json:
        print_json(found)
    else:
        print_facts([("User", who), ("Apps", str(found["items"])), ("Left", str(found["available"]))])


def _done(text: str, json: bool) -> None:
    if json:
        print_json(OK)
    else:
        say(text)
