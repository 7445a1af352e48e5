"""`croft messaging failed`, `behind`, `estimate`: what did not arrive, who should be further, what is to come."""

from typing import Annotated

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.messaging.asking import ROOT, Namespace, everything, report, where
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import print_json, print_table, say

app = typer.Typer(no_args_is_help=True, help="Messages whose attempts are used up.")


@app.command("list")
def list_failed(context: typer.Context, namespace: Namespace = "", json: Json = False) -> None:
    """Show what failed for good, and why.

    \b
    croft messaging failed list
    """
    with connect(context) as server:
        found = list(everything(server, ROOT + "failed-tasks/", where(namespace)))
    if json:
        print_json(found)
        return
    rows = [(str(one["id"]), one["subscription_id"], one["initiated_at"], one["reason"]) for one in found]
    print_table(("ID", "SUBSCRIPTION", "BEGAN", "REASON"), rows)


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
    with connect(context) as server:
        if find:
            begun = server.post(ROOT + "behind-subscriptions/find_behind_subscriptions/", None, where(namespace))
            print_json(begun) if json else say("The search has begun: `croft messaging behind` shows what it finds.")
            return
        found = list(everything(server, ROOT + "behind-subscriptions/", where(namespace)))
    if json:
        print_json(found)
        return
    print_table(("SUBSCRIPTION", "BEHIND BY", "IS AT", "SHOULD BE AT"), [
        (one["subscription_id"], str(one["messages_behind"]),
         f"{one['current_messageset_name']} {one['current_sequence_number']}",
         f"{one['expected_messageset_name']} {one['expected_sequence_number']}")
        for one in found
    ])  # fmt: skip


def estimate(context: typer.Context, namespace: Namespace = "", json: Json = False) -> None:
    """Show what the next seven days will send.

    \b
    croft messaging estimate
    """
    with connect(context) as server:
        found = server.get(ROOT + "runsendestimate", where(namespace))["results"]
    if json:
        print_json(found)
        return
    print_table(("DAY", "SET", "SUBSCRIPTIONS", "IDENTITIES"), [
        (one["send_date"], str(one["messageset"]), str(one["subscriptions"]), str(one["identities"])) for one in found
    ])  # fmt: skip
