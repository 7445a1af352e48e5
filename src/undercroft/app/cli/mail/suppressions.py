"""`croft mail suppress`, `unsuppress` and `suppressed`: whom no e-mail goes to any more."""

from typing import Annotated, Any

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.mail import written
from undercroft.app.cli.mail.written import Address, Namespace
from undercroft.app.cli.options import Everything, Json, Limit
from undercroft.app.cli.show import moment_text, print_json, say
from undercroft.app.cli.timers import pages
from undercroft.app.cli.urls import path_of


def suppress(
    context: typer.Context,
    address: Address,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for people.")] = "",
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Send no e-mail to an address any more.

    Also none that was ordered before, and is to go out later.

    \b
    croft mail suppress eve@example.com --reason 'asked us to'
    """
    with connect(context) as server:
        path = path_of("systems", "suppressions", address)
        reply = server.call("PUT", path, written.where(namespace), {"reason": reason or None})
    if json:
        print_json(reply)
    else:
        say(f"No e-mail goes to {address} any more.")


def unsuppress(context: typer.Context, address: Address, namespace: Namespace = "", json: Json = False) -> None:
    """Send e-mails to an address again.

    \b
    croft mail unsuppress eve@example.com
    """
    with connect(context) as server:
        reply = server.call("DELETE", path_of("systems", "suppressions", address), written.where(namespace))
    if json:
        print_json(reply)
    else:
        say(f"E-mails go to {address} again.")


def list_suppressed(
    context: typer.Context,
    limit: Limit = 100,
    everything: Everything = False,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Show whom no e-mail goes to.

    \b
    croft mail suppressed
    """
    with connect(context) as server:
        query: dict[str, object] = {"limit": limit, **written.where(namespace)}
        listing = pages.Listing(server, path_of("systems", "suppressions"), "suppressions", query)
        listing.show(("ADDRESS", "SINCE", "REASON"), _row, everything=everything, json=json)


def _row(one: dict[str, Any]) -> list[str]:
    return [one["address"], moment_text(one["created_at"]), one["reason"] or ""]
