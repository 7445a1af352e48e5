"""`croft timers route`: where jobs call when they are due."""

from decimal import Decimal
from typing import Annotated, Any

import typer

from undercroft.app.cli.client import as_ours, connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.options import Db, Everything, Json, Limit
from undercroft.app.cli.show import print_facts, print_json, say
from undercroft.app.cli.timers import pages, written
from undercroft.app.cli.timers.written import Retries
from undercroft.app.cli.urls import path_of
from undercroft.app.notation import duration_text

app = typer.Typer(no_args_is_help=True, help="Routes: the webhooks that jobs call.")

Name = Annotated[str, typer.Argument(metavar="NAME")]
Secret = Annotated[bool, typer.Option("--secret", help="Have a signing secret made, and show it.")]
Header = Annotated[
    list[str] | None, typer.Option("--header", metavar="K:V", help="Sent with each call; may be repeated.")
]
Method = Annotated[str, typer.Option("--method", metavar="METHOD", help="POST where none is given.")]
Timeout = Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long one call may take.")]
Concurrency = Annotated[int | None, typer.Option("--concurrency", min=1, metavar="N", help="Calls at the same time.")]
Rate = Annotated[int | None, typer.Option("--rate", min=1, metavar="N", help="Calls per second.")]


@app.command("add")
def add(  # noqa: PLR0913 - one argument per flag
    context: typer.Context,
    name: Name,
    url: Annotated[str, typer.Argument(metavar="URL", help="Called when a job is due.")],
    db: Db = "default",
    secret: Secret = False,
    header: Header = None,
    method: Method = "",
    timeout: Timeout = "",
    retries: Retries = "",
    concurrency: Concurrency = None,
    rate: Rate = None,
    json: Json = False,
) -> None:
    """Make a route, or make it anew.

    \b
    croft timers route add hello http://127.0.0.1:9000/hello
    croft timers route add orders https://shop.example/hook --secret --retries 5,30,2m --timeout 10s
    """
    route = {"id": name, "type": "REST", "webhook_url": url}
    route |= _additions(secret, header, method, timeout, retries, concurrency, rate)
    with connect(context) as server:
        reply = server.post(path_of("route", db), route)
    if json:
        print_json(reply)
        return
    say(f"Route {name} calls {url}.")
    if secret:
        _say_secret(reply, name)


@app.command("change")
def change(  # noqa: PLR0913 - one argument per flag
    context: typer.Context,
    name: Name,
    url: Annotated[str, typer.Option("--to", metavar="URL", help="Call this from now on.")] = "",
    db: Db = "default",
    secret: Secret = False,
    header: Header = None,
    method: Method = "",
    timeout: Timeout = "",
    retries: Retries = "",
    concurrency: Concurrency = None,
    rate: Rate = None,
    json: Json = False,
) -> None:
    """Change what the flags name; all else stays.

    With --secret a new secret is made; calls are signed with the old one too, until the next change of it.

    \b
    croft timers route change hello --to http://127.0.0.1:9001/hello --timeout 5s
    """
    fields = {"webhook_url": url} if url else {}
    fields |= _additions(secret, header, method, timeout, retries, concurrency, rate)
    if not fields:
        raise WrongUsage("nothing to change", "name at least one flag, such as --to or --timeout")
    with connect(context) as server:
        reply = server.call("PUT", path_of("route", db, name), None, fields)
    if json:
        print_json(reply)
        return
    say(f"Route {name} is changed.")
    if secret:
        _say_secret(reply, name)


def _say_secret(reply: dict[str, Any], name: str) -> None:
    if reply.get("secret"):
        say(f"Signing secret, shown only now: {reply['secret']}")
    else:
        say(f"It keeps the secret that it has; `croft timers route change {name} --secret` makes another.")


def _additions(
    secret: bool,
    header: list[str] | None,
    method: str,
    timeout: str,
    retries: str,
    concurrency: int | None,
    rate: int | None,
) -> dict[str, Any]:
    """The fields beyond the document's own three, those that were given."""
    fields = {
        "secret": True if secret else None,
        "headers": written.headers(header) if header else None,
        "method": method.upper() or None,
        "timeout": written.whole(written.seconds("--timeout", timeout)) if timeout else None,
        "retries": written.pauses(retries) if retries else None,
        "concurrency": concurrency,
        "rate": rate,
    }
    return {name: value for name, value in fields.items() if value is not None}


@app.command("show")
def show(context: typer.Context, name: Name, db: Db = "default", json: Json = False) -> None:
    """Show one route with all that was set.

    \b
    croft timers route show hello
    """
    with connect(context) as server:
        route = server.get(path_of("route", db, name), {"detail": True})
    if json:
        print_json(route)
        return
    with as_ours(server):
        facts = [
            ("Route", str(route["id"])),
            ("Calls", f"{route.get('method', 'POST')} {route['webhook_url']}"),
            ("Paused", _paused(route)),
            ("Signed", "yes" if route.get("secret") else "no"),
            (
                "Headers",
                "\n".join(f"{name}: {value}" for name, value in (route.get("headers") or {}).items()),
            ),
            ("Timeout", _seconds(route.get("timeout"))),
            ("Retries", ", ".join(_seconds(pause) for pause in route.get("retries") or [])),
            ("Concurrency", str(route.get("concurrency") or "")),
            ("Rate", f"{route['rate']} per second" if route.get("rate") else ""),
        ]
    print_facts(facts)


def _seconds(value: Any) -> str:
    return duration_text(float(value)) if isinstance(value, int | float | Decimal) else ""


def _paused(route: dict[str, Any]) -> str:
    if not route.get("paused"):
        return ""
    return str(route.get("pause_reason") or "yes")


@app.command("list")
def list_routes(
    context: typer.Context,
    db: Db = "default",
    limit: Limit = 100,
    everything: Everything = False,
    json: Json = False,
) -> None:
    """Show all routes of a database of names.

    \b
    croft timers route list
    """
    with connect(context) as server:
        listing = pages.Listing(server, path_of("route", db), "routes", {"limit": limit})
        listing.show(("NAME", "CALLS", "PAUSED"), _row, everything=everything, json=json)


def _row(route: dict[str, Any]) -> list[str]:
    return [str(route["id"]), str(route["webhook_url"]), _paused(route)]


@app.command("remove")
def remove(
    context: typer.Context,
    name: Name,
    db: Db = "default",
    force: Annotated[
        bool, typer.Option("--force", help="Even with jobs pending: they become dead letters when due.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove a route.

    \b
    croft timers route remove hello
    """
    with connect(context) as server:
        reply = server.call("DELETE", path_of("route", db, name), {"force": force or None})
    if json:
        print_json(reply)
    else:
        say(f"Route {name} is removed.")


@app.command("pause")
def pause(context: typer.Context, name: Name, db: Db = "default", json: Json = False) -> None:
    """Hold back the calls of a route.

    Jobs that fall due wait until it is resumed.

    \b
    croft timers route pause orders
    """
    _post(context, path_of("route", db, name, "pause"), f"Route {name} is paused.", json)


@app.command("resume")
def resume(context: typer.Context, name: Name, db: Db = "default", json: Json = False) -> None:
    """Let a paused route call again.

    What waited goes out now.

    \b
    croft timers route resume orders
    """
    _post(context, path_of("route", db, name, "resume"), f"Route {name} calls again.", json)


def _post(context: typer.Context, path: str, done: str, json: bool) -> None:
    with connect(context) as server:
        reply = server.post(path)
    if json:
        print_json(reply)
    else:
        say(done)
