"""`croft messaging subscribe`, `subscriptions`, `show`, `preview` and what is done with one of them."""

from typing import Annotated, Any

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.messaging.asking import (
    ROOT,
    Namespace,
    Row,
    SubscriptionId,
    everything,
    field,
    report,
    table,
    where,
)
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import note, print_facts, print_json, print_table
from undercroft.app.cli.urls import path_of

_API = ("api", "v1", "subscriptions")


def subscribe(
    context: typer.Context,
    identity: Annotated[str, typer.Argument(metavar="IDENTITY", help="A phone number, an e-mail address, an id.")],
    set_id: Annotated[int, typer.Option("--set", metavar="ID", help="The message set.")],
    lang: Annotated[str, typer.Option(metavar="LANG", help="The language.")] = "eng",
    schedule: Annotated[int, typer.Option(metavar="ID", help="Another schedule than the set's own.")] = 0,
    number: Annotated[int, typer.Option("--from", metavar="NUMBER", help="The first message.")] = 1,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Subscribe somebody to a message set.

    \b
    croft messaging subscribe +27820001001 --set 1
    """
    with connect(context) as server:
        chosen = schedule or server.get(f"{ROOT}messageset/{set_id}/", where(namespace))["default_schedule"]
        body = {"identity": identity, "messageset": set_id, "lang": lang, "schedule": chosen,
                "next_sequence_number": number, "initial_sequence_number": number}  # fmt: skip
        made = server.post(ROOT + "subscriptions/", body, where(namespace))
    report(f"{identity} is subscribed: {made['id']}", made, json=json)


def list_subscriptions(
    context: typer.Context,
    identity: Annotated[str, typer.Option(metavar="IDENTITY", help="Only theirs.")] = "",
    set_id: Annotated[int, typer.Option("--set", metavar="ID", help="Only to this set.")] = 0,
    active: Annotated[bool, typer.Option("--active", help="Only those that are active.")] = False,
    follow: Annotated[bool, typer.Option("--all", help="Follow the pages to the end.")] = False,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Show subscriptions, the newest first.

    \b
    croft messaging subscriptions --set 1 --active
    """
    query = where(namespace, identity=identity or None, messageset=set_id or None, active=True if active else None)
    with connect(context) as server:
        path = ROOT + "subscriptions/"
        if follow:
            found, more = list(everything(server, path, query)), None
        else:
            reply = server.get(path, query)
            found, more = reply["results"], reply["next"]
    table(found, _COLUMNS, json=json)
    if more and not json:
        note("There is more: --all shows it.")


def _state(one: dict[str, Any]) -> str:
    if one["completed"]:
        return "completed"
    if not one["active"]:
        return "stopped"
    words = {0: "ready", -1: "has no address"}
    return words.get(one["process_status"], f"process_status {one['process_status']}")


_COLUMNS: dict[str, Row] = {
    "ID": field("id"),
    "IDENTITY": field("identity"),
    "SET": field("messageset"),
    "LANG": field("lang"),
    "NEXT": field("next_sequence_number"),
    "STATE": _state,
}


def show(context: typer.Context, id: SubscriptionId, namespace: Namespace = "", json: Json = False) -> None:
    """Show a subscription, and what it was sent.

    \b
    croft messaging show 01a1fcb2-a60b-4d1d-a202-f4fc3f7767c3
    """
    with connect(context) as server:
        one = server.get(path_of(*_API, id), where(namespace))
        sends = server.get(path_of(*_API, id, "sends"), where(namespace))["results"]
    if json:
        print_json({**one, "sends": sends})
        return
    print_facts([("identity", one["identity"]), ("set", f"{one['messageset']} {one['messageset_label']}"),
                 ("language", one["lang"]), ("next message", str(one["next_sequence_number"])),
                 ("state", _state(one))])  # fmt: skip
    rows = [(str(s["sequence_number"]), s["state"], s["due_at"], s["reason"] or s["reply"] or "") for s in sends]
    if rows:
        print_table(("MESSAGE", "STATE", "DUE", "WHAT CAME OF IT"), rows)


def preview(
    context: typer.Context,
    id: SubscriptionId,
    limit: Annotated[int, typer.Option(min=1, max=1_000, metavar="N", help="How many messages.")] = 100,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Show what a subscription will be sent, and when.

    Quiet hours and the receiver's own time zone may put a message off beyond its schedule's moment.

    \b
    croft messaging preview 01a1fcb2-a60b-4d1d-a202-f4fc3f7767c3
    """
    with connect(context) as server:
        found = server.get(path_of(*_API, id, "preview"), where(namespace, limit=limit))["results"]
    columns = {"AT": field("at"), "SET": field("messageset"), "MESSAGE": field("sequence_number")}
    table(found, columns, json=json)


def send_next(context: typer.Context, id: SubscriptionId, namespace: Namespace = "", json: Json = False) -> None:
    """Send the next message of a subscription now.

    \b
    croft messaging next 01a1fcb2-a60b-4d1d-a202-f4fc3f7767c3
    """
    with connect(context) as server:
        server.post(path_of(*_API, id, "send"), None, where(namespace))
    report("Its next message is on its way.", {"accepted": True}, json=json)


def resend(context: typer.Context, id: SubscriptionId, namespace: Namespace = "", json: Json = False) -> None:
    """Send the last message of a subscription again.

    \b
    croft messaging resend 01a1fcb2-a60b-4d1d-a202-f4fc3f7767c3
    """
    with connect(context) as server:
        server.post(path_of(*_API, id, "resend"), None, where(namespace))
    report("Its last message is on its way again.", {"accepted": True}, json=json)


def forward(context: typer.Context, id: SubscriptionId, namespace: Namespace = "", json: Json = False) -> None:
    """Bring a subscription to where it should be by now; what lies between is not sent.

    \b
    croft messaging forward 01a1fcb2-a60b-4d1d-a202-f4fc3f7767c3
    """
    with connect(context) as server:
        ids = server.post(path_of(*_API, id, "fast-forward"), None, where(namespace))["subscriptions"]
        found = [server.get(path_of(*_API, one), where(namespace)) for one in ids]
    table(found, _COLUMNS, json=json)


def stop(context: typer.Context, id: SubscriptionId, namespace: Namespace = "", json: Json = False) -> None:
    """Send a subscription nothing more.

    \b
    croft messaging stop 01a1fcb2-a60b-4d1d-a202-f4fc3f7767c3
    """
    with connect(context) as server:
        stopped = server.call("PATCH", path_of(*_API, id), where(namespace), {"active": False})
    report("It is sent nothing more.", stopped, json=json)


def opt_out(context: typer.Context, id: SubscriptionId, namespace: Namespace = "", json: Json = False) -> None:
    """Show the link by which whoever holds it ends this one subscription.

    \b
    croft messaging opt-out 01a1fcb2-a60b-4d1d-a202-f4fc3f7767c3
    """
    with connect(context) as server:
        link = server.get(path_of(*_API, id, "optout"), where(namespace))
    report(link["url"], link, json=json)
