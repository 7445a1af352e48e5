"""`croft lock acquire`, `renew`, `release`, `list`, `show`: for scripts that hold a lock over several steps."""

from typing import Annotated, Any

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.locks import flags
from undercroft.app.cli.locks.flags import Lost, Name, Namespace, NotObtained, Owner, Token, Wait
from undercroft.app.cli.options import Everything, Json, Limit
from undercroft.app.cli.show import print_facts, print_json, say
from undercroft.app.cli.timers.pages import Listing
from undercroft.app.cli.urls import path_of

LONGEST_WAIT = 60
Ttl = Annotated[str, typer.Option("--ttl", metavar="DURATION", help="It ends by itself after this: 30s, 10m.")]


def acquire(
    context: typer.Context,
    name: Name,
    ttl: Ttl,
    wait: Wait = "0s",
    owner: Owner = "",
    require_token: Annotated[bool, typer.Option("--require-token", help="Only its token removes it.")] = False,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Obtain a lock and print its token; exit 75 when another holds it.

    It ends after --ttl unless it is renewed: nothing renews it here. `croft lock run` does.

    \b
    croft lock acquire products_sync --ttl 10m --wait 1m
    token=$(croft lock acquire products_sync --ttl 10m) || exit
    sync_products
    croft lock release products_sync --token "$token"
    """
    body: dict[str, object] = {"name": name, "ttl": flags.seconds("--ttl", ttl), "details": True}
    body["wait"] = _wait(wait)
    body["owner"] = owner or flags.default_owner()
    if require_token:
        body["require_token"] = True
    with connect(context) as server:
        reply = server.post("/systems/locks", body, _where(namespace))
    if json:
        print_json(reply)
    elif reply["lock_obtained"]:
        say(reply["token"])
    if not reply["lock_obtained"]:
        raise _held(name, reply)


def renew(
    context: typer.Context, name: Name, ttl: Ttl, token: Token, namespace: Namespace = "", json: Json = False
) -> None:
    """Let a lock of yours end later, counted from now; exit 76 when it is yours no more.

    \b
    croft lock renew products_sync --token "$token" --ttl 10m
    """
    body = {"token": token, "ttl": flags.seconds("--ttl", ttl), "details": True}
    with connect(context) as server:
        reply = server.call("PUT", path_of("systems", "locks", name), _where(namespace), body)
    if json:
        print_json(reply)
    elif reply["lock_renewed"]:
        say(f"Yours until {reply['expires_at']} UTC.")
    if not reply["lock_renewed"]:
        raise Lost(f"the lock {name!r} is yours no more", "its time was over, or it was removed")


def release(
    context: typer.Context,
    name: Name,
    token: Token = "",
    whoever: Annotated[bool, typer.Option("--whoever", help="Without a token: whoever holds it.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Even one that needs its token; admins, recorded.")] = False,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Give a lock back; exit 76 when it was yours no more.

    With --whoever or --force it is taken from whoever holds it: what runs under it goes on, unprotected.

    \b
    croft lock release products_sync --token "$token"
    croft lock release products_sync --force
    """
    if sum([bool(token), whoever, force]) != 1:
        raise WrongUsage("say how: --token, --whoever or --force", "`croft lock show NAME` tells who holds it")
    query: dict[str, object] = {**_where(namespace), "token": token or None, "force": True if force else None}
    with connect(context) as server:
        reply = server.call("DELETE", path_of("systems", "locks", name), query)
    if json:
        print_json(reply)
    elif reply["lock_removed"]:
        say("Released.")
    if not reply["lock_removed"]:
        message = f"the lock {name!r} was yours no more" if token else f"nobody holds the lock {name!r}"
        raise Lost(message, "its time was over, or it was removed" if token else "")


def list_locks(
    context: typer.Context,
    prefix: Annotated[str, typer.Argument(metavar="[PREFIX]", help="Names that begin with it.")] = "",
    namespace: Namespace = "",
    limit: Limit = 100,
    everything: Everything = False,
    json: Json = False,
) -> None:
    """Show what is held: by whom, since when, until when, under which number, and how many wait.

    \b
    croft lock list
    croft lock list products_ --json
    """
    query: dict[str, object] = {"prefix": prefix or None, "limit": limit, **_where(namespace)}
    with connect(context) as server:
        listing = Listing(server, "/systems/locks", "locks", query)
        headers = ("NAME", "OWNER", "SINCE (UTC)", "ENDS (UTC)", "FENCE", "WAITING")
        listing.show(headers, _row, everything=everything, json=json)


def show(context: typer.Context, name: Name, namespace: Namespace = "", json: Json = False) -> None:
    """Show one lock: whether it is held, by whom, until when, and how many wait.

    \b
    croft lock show products_sync
    """
    with connect(context) as server:
        lock = server.get(path_of("systems", "locks", name), _where(namespace))
    if json:
        print_json(lock)
        return
    facts = [
        ("name", lock["name"]),
        ("held", "yes" if lock["held"] else "no"),
        ("owner", lock["owner"] or ""),
        ("since", _utc(lock["since"])),
        ("ends", _utc(lock["expires_at"]) or ("never" if lock["held"] else "")),
        ("fence", str(lock["fence"] or "")),
        ("waiting", str(lock["waiters"])),
        ("removed by", "its token only" if lock["require_token"] else ""),
    ]
    print_facts(facts)


def _row(lock: dict[str, Any]) -> list[str]:
    return [
        str(lock["name"]),
        str(lock["owner"] or ""),
        str(lock["since"] or ""),
        str(lock["expires_at"] or "never"),
        str(lock["fence"]),
        str(lock["waiters"]),
    ]


def _wait(text: str) -> float:
    wait = flags.seconds("--wait", text)
    if wait > LONGEST_WAIT:
        raise WrongUsage(f"--wait: {LONGEST_WAIT}s at the most in one call", "`croft lock run --wait 1h` asks again")
    return wait


def _where(namespace: str) -> dict[str, object]:
    return {"namespace": namespace} if namespace else {}


def _utc(text: str | None) -> str:
    return f"{text} UTC" if text else ""


def _held(name: str, reply: dict[str, Any]) -> NotObtained:
    by = f" by {reply['owner']}" if reply["owner"] else ""
    until = f"until {reply['held_until']} UTC at the latest" if reply["held_until"] else "without an end"
    return NotObtained(f"the lock {name!r} is held{by}, {until}", "--wait 30s stands in line for it")
