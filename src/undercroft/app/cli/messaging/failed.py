"""`croft messaging failed`, `behind`, `estimate`: what did not arrive, who should be further, what is to come."""

from typing import Annotated

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.messaging.asking import ROOT, Namespace, Row, field, list_at, report, table, where
from undercroft.app.cli.options import Json

app = typer.Typer(no_args_is_help=True, help="Messages whose attempts are used up.")


@app.command("list")
def list_failed(context: typer.Context, namespace: Namespace = "", json: Json = False) -> None:
    """Show what failed for good, and why.

    \b
    croft messaging failed list
    """
    columns = {
        "ID": field("id"),
        "SUBSCRIPTION": field("subscription_id"),
        "BEGAN": field("initiated_at"),
        "REASON": field("reason"),
    }
    list_at(context, "failed-tasks/", namespace, columns, json=json)


@app.command("retry")
def retry(context: typer.Context, namespace: Namespace = "", json: Json = False) -> None:
    """Send to all of them again, each their next message.

    \b
    croft messaging failed retry
    """
    with connect(context) as server:
        done = server.post(ROOT + "failed-tasks/", None, where(namespace))
    report("All of them are tried again.", done, json=json)


def behind(
    context: typer.Context,
    find: Annotated[bool, typer.Option("--find", help="Begin a new search; its findings are listed later.")] = False,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Show who was found to be behind their schedule, the last found first.

    \b
    croft messaging behind --find
    croft messaging behind
    """
    if find:
        with connect(context) as server:
            begun = server.post(ROOT + "behind-subscriptions/find_behind_subscriptions/", None, where(namespace))
        report("The search has begun: `croft messaging behind` shows what it finds.", begun, json=json)
        return
    columns: dict[str, Row] = {
        "SUBSCRIPTION": field("subscription_id"),
        "BEHIND BY": field("messages_behind"),
        "IS AT": lambda one: f"{one['current_messageset_name']} {one['current_sequence_number']}",
        "SHOULD BE AT": lambda one: f"{one['expected_messageset_name']} {one['expected_sequence_number']}",
    }
    list_at(context, "behind-subscriptions/", namespace, columns, json=json)


def estimate(context: typer.Context, namespace: Namespace = "", json: Json = False) -> None:
    """Show what the next seven days will send.

    \b
    croft messaging estimate
    """
    with connect(context) as server:
        found = server.get(ROOT + "runsendestimate", where(namespace))["results"]
    columns = {
        "DAY": field("send_date"),
        "SET": field("messageset"),
        "SUBSCRIPTIONS": field("subscriptions"),
        "IDENTITIES": field("identities"),
    }
    table(found, columns, json=json)
