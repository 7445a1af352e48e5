"""`croft token`: tokens for programs and people, with scopes and an end."""

from typing import Annotated, Any

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import distance_text, moment_text, note, now_ms, print_json, print_table, say
from undercroft.app.cli.urls import path_of
from undercroft.app.notation import duration

app = typer.Typer(no_args_is_help=True, help="Tokens: yours, those of apps, and for others.")


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="What it is for; else its scopes say so.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="What it may do, such as timers:shop; may be repeated. Else all."),
    ] = None,
    expires: Annotated[
        str, typer.Option(metavar="DURATION", help="When it ends by itself, such as 30d. Else never.")
    ] = "",
    json: Json = False,
) -> None:
    """Make a token.

    It is shown this once, alone on stdout; the server keeps only its hash.

    \b
    croft token create shop --scope timers:shop --expires 30d
    TOKEN=$(croft token create ci)
    """
    body = {
        "name": name or ", ".join(scope or ["everything"]),
        "scopes": scope or None,
        "expires_in": _seconds(expires),
    }
    with connect(context) as server:
        made = server.post("/undercroft/tokens", body)
    if json:
        print_json(made)
        return
    print(made["token"])
    end = moment_text(made.get("expires_at"))
    note(f"Token {made['name']} (id {made['id']}{f', until {end}' if end else ''}): it is shown only now.")


def _seconds(text: str) -> int | None:
    if not text:
        return None
    try:
        seconds = int(duration(text))
    except ValueError as error:
        raise WrongUsage(f"--expires: {error}") from None
    if seconds < 1:
        raise WrongUsage("--expires: a token that has ended is of no use", "write a second or more")
    return seconds


@app.command("list")
def list_tokens(context: typer.Context, json: Json = False) -> None:
    """Show all tokens and their last use.

    The tokens themselves are known to nobody any more.

    \b
    croft token list
    """
    with connect(context) as server:
        reply = server.get("/undercroft/tokens")
    if json:
        print_json(reply)
        return
    now = now_ms()
    print_table(("ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED"), [_row(t, now) for t in reply["tokens"]])


def _row(token: dict[str, Any], now: int) -> list[str]:
    used = token.get("last_used_at")
    return [
        str(token["id"]),
        str(token["name"]),
        ", ".join(token.get("scopes") or ["everything"]),
        moment_text(token.get("created_at")),
        moment_text(token.get("expires_at")) or "never",
        distance_text(used, now) if isinstance(used, int) else "never",
    ]


@app.command("revoke")
def revoke(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="As `croft token list` shows it.")],
    json: Json = False,
) -> None:
    """Make a token invalid, at once.

    \b
    croft token revoke 01hzy
    """
    with connect(context) as server:
        reply = server.call("DELETE", path_of("undercroft", "tokens", id))
    if json:
        print_json(reply)
    else:
        say(f"Token {id} is revoked.")


@app.command("app")
def for_app(
    context: typer.Context,
    app_name: Annotated[str, typer.Argument(metavar="APP")],
    json: Json = False,
) -> None:
    """Make a token for an app, good for a year and for nothing but that app.

    Admins make them. It is shown this once, alone on stdout.

    \b
    croft token app cart
    TOKEN=$(croft token app cart)
    """
    with connect(context) as server:
        made = server.call("POST", "/tokens", None, {"client": app_name, "export": False}, lines=True)
    _show_once(made, made["Token"], f"Token of the app {app_name}", json)


@app.command("user")
def for_user(
    context: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL")],
    json: Json = False,
) -> None:
    """Make a token for a user, who is made too where there is none.

    Admins make them. It may do all that the user may, and stays good until it is revoked.

    \b
    croft token user ci@example.org
    """
    with connect(context) as server:
        made = server.post("/api/v1/user/token", {"email": email})
    _show_once(made, made["token"], f"Token of {email}", json)


def _show_once(made: dict[str, Any], token: str, what: str, json: bool) -> None:
    if json:
        print_json(made)
        return
    print(token)
    note(f"{what}: it is shown only now.")
