"""`croft login`, `logout`, `status` and `profile`: who speaks to which server."""

import os
import sys
from typing import Annotated, Any

import typer

from undercroft.app.cli.asking import asked_password
from undercroft.app.cli.client import Server, connect
from undercroft.app.cli.failures import Failure, NotReachable, Refused, WrongUsage
from undercroft.app.cli.options import Json, Profile
from undercroft.app.cli.profiles import Profile as Kept
from undercroft.app.cli.profiles import (
    Profiles,
    chosen,
    known_profile,
    profile_name,
    read_profiles,
    save_profile,
    write_profiles,
)
from undercroft.app.cli.show import note, print_facts, print_json, print_table, say
from undercroft.app.cli.urls import checked_url, is_loopback, path_of

profiles_app = typer.Typer(no_args_is_help=True, help="The servers that `croft` knows.")


def log_in(
    url: Annotated[str, typer.Argument(help="The server's URL.", metavar="URL")],
    token: Annotated[
        str, typer.Option(metavar="TOKEN", help="Better not on a command line: - reads it from stdin.")
    ] = "",
    email: Annotated[
        str, typer.Option(metavar="EMAIL", help="Sign in as this user: the password is asked for, or read from stdin.")
    ] = "",
    profile: Profile = "",
    json: Json = False,
) -> None:
    """Keep a token for a server, and speak to that one.

    It is kept once the server has accepted it. Without --token it is asked for; UNDERCROFT_TOKEN counts too. With
    --email one is got for the password, and ends with `croft logout`, or by itself after some days.

    \b
    croft login http://127.0.0.1:3862
    croft login https://undercroft.example.org --email ann@example.org
    croft login https://undercroft.example.org --profile work --token - < token-file
    """
    url = checked_url(url)
    if url.startswith("http://") and not is_loopback(url):
        note(f"croft: the {'password' if email else 'token'} goes to {url} unencrypted; https:// would hide it from"
             " the network")  # fmt: skip
    if email and token:
        raise WrongUsage("--email and --token are two ways to sign in", "choose one")
    text = _for_password(url, email) if email else _token(token)
    with Server(url, text) as server:
        me = server.get("/undercroft/me")
    name = profile or profile_name(url)
    save_profile(name, Kept(url, text, by_password=bool(email)))
    if json:
        print_json({"profile": name, "url": url, **me})
    else:
        say(f"Logged in to {url} as {me['user']} (profile {name}).")


def _for_password(url: str, email: str) -> str:
    with Server(url) as server:
        path = path_of("users", email, "tokens")
        made = server.call("POST", path, None, {"password": asked_password()}, lines=True)
    if not isinstance(made, dict) or not isinstance(made.get("token"), str):
        raise NotReachable(f"{url} answered, but not as Undercroft does")
    return str(made["token"])


def _token(flag: str) -> str:
    text = _asked() if not flag else sys.stdin.read() if flag == "-" else flag
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise WrongUsage("that is no token", "a token is one word of ASCII characters")
    return text


def _asked() -> str:
    if preset := os.environ.get("UNDERCROFT_TOKEN"):
        return preset
    if not sys.stdin.isatty():
        raise WrongUsage("no token given", "add --token - to read it from stdin, or set UNDERCROFT_TOKEN")
    return str(typer.prompt("Token", hide_input=True, err=True))


def log_out(context: typer.Context, profile: Profile = "", json: Json = False) -> None:
    """Forget the token of a profile.

    By default of the current one. A token that was got for a password ends; any other stays valid.

    \b
    croft logout --profile work
    croft token revoke ID        makes a token invalid
    """
    profiles = read_profiles()
    name = profile or chosen(context).profile
    if not name:
        raise WrongUsage("you are not logged in", "`croft profile list` shows what is known")
    _end(known_profile(profiles, name))
    _forget(profiles, name)
    if json:
        print_json({"status": "ok", "profile": name})
    else:
        say(f"Logged out: profile {name} is forgotten.")


def _end(kept: Kept) -> None:
    if not kept.by_password:
        return
    try:
        with Server(kept.url, kept.token) as server:
            server.call("DELETE", "/users/tokens", lines=True)
    except Failure as failure:
        if not isinstance(failure, Refused) or failure.status != 401:  # which has ended already
            note(f"croft: the token could not be ended, it does so by itself: {failure}")


def _forget(profiles: Profiles, name: str) -> None:
    known = {other: kept for other, kept in profiles.known.items() if other != name}
    current = profiles.current if profiles.current in known else ""
    write_profiles(Profiles(current, known))


def status(context: typer.Context, json: Json = False) -> None:
    """Show the server, its health, and who you are to it.

    \b
    croft status
    croft --profile work status --json
    """
    login = chosen(context)
    with connect(context) as server:
        health = _health(server)
        me, refusal = _me(server)
    if json:
        print_json({"profile": login.profile, "url": login.url, "health": health, "me": me})
    else:
        print_facts(
            [
                ("Server", login.url),
                ("Profile", login.profile),
                ("Health", ", ".join(f"{name} {text}" for name, text in health.items())),
                *_who(me),
            ]
        )
    if refusal is not None:
        raise refusal


def _health(server: Server) -> dict[str, Any]:
    """A server that says that it is not well is still reached."""
    health = server.call("GET", "/health", fine=(503,))
    if not isinstance(health, dict):
        raise NotReachable(f"{server.url} answered, but not as Undercroft does")
    return health


def _me(server: Server) -> tuple[dict[str, Any] | None, Refused | None]:
    try:
        return server.get("/undercroft/me"), None
    except Refused as refused:
        return None, refused


def _who(me: dict[str, Any] | None) -> list[tuple[str, str]]:
    if me is None:
        return [("User", "nobody")]
    scopes = me.get("scopes")
    return [
        ("User", str(me.get("user"))),
        ("Teams", ", ".join(me.get("teams") or [])),
        ("Scopes", ", ".join(scopes) if scopes else "everything"),
    ]


@profiles_app.command("list")
def list_profiles(json: Json = False) -> None:
    """Show all profiles, the current one with a star.

    \b
    croft profile list
    """
    profiles = read_profiles()
    if json:
        known = [{"name": name, "url": kept.url} for name, kept in profiles.known.items()]
        print_json({"current": profiles.current or None, "profiles": known})
        return
    rows = [("*" if name == profiles.current else "", name, kept.url) for name, kept in profiles.known.items()]
    print_table(("", "NAME", "URL"), rows)


@profiles_app.command("use")
def use_profile(name: Annotated[str, typer.Argument(metavar="NAME")], json: Json = False) -> None:
    """Speak to this profile's server from now on.

    \b
    croft profile use work
    """
    kept = known_profile(read_profiles(), name)
    save_profile(name, kept)
    if json:
        print_json({"status": "ok", "profile": name, "url": kept.url})
    else:
        say(f"croft now speaks to {kept.url} (profile {name}).")
