"""`croft mail list` and `show`."""

from typing import Annotated, Any

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.mail import written
from undercroft.app.cli.mail.written import EmailId, Namespace
from undercroft.app.cli.options import Everything, Json, Limit
from undercroft.app.cli.show import moment_and_distance, moment_text, print_facts, print_json, say
from undercroft.app.cli.timers import pages
from undercroft.app.cli.urls import path_of

State = Annotated[
    str,
    typer.Option(
        "--state",
        metavar="STATE",
        help="queued, deferred, sent, captured, refused, failed, suppressed, cancelled or partly.",
    ),
]


def list_emails(
    context: typer.Context,
    state: State = "",
    to: Annotated[str, typer.Option("--to", metavar="ADDRESS", help="Only those to this address.")] = "",
    limit: Limit = 100,
    everything: Everything = False,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Show e-mails, newest first.

    \b
    croft mail list --state refused
    croft mail list --to ann@example.com
    """
    query: dict[str, object] = {"state": state or None, "to": to or None, "limit": limit, **written.where(namespace)}
    with connect(context) as server:
        listing = pages.Listing(server, path_of("systems", "emails"), "emails", query)
        listing.show(("ID", "STATE", "CREATED", "TO", "SUBJECT"), _row, everything=everything, json=json)


def show(context: typer.Context, id: EmailId, namespace: Namespace = "", json: Json = False) -> None:
    """Show one e-mail, and what became of it.

    \b
    croft mail show g1m7y9s42rpb4vptm5qdx8pqte
    """
    with connect(context) as server:
        email = server.get(path_of("systems", "emails", id), written.where(namespace))
    if json:
        print_json(email)
        return
    print_facts(
        [
            ("state", email["state"]),
            ("from", email["from"]),
            ("subject", email["subject"]),
            ("created", moment_and_distance(email["created_at"])),
            ("to go out", moment_and_distance(email["send_at"]) if email["send_at"] else ""),
            ("attached", ", ".join(f"{one['name']} ({one['size']} bytes)" for one in email["attachments"])),
            ("tags", ", ".join(email["tags"])),
            ("message id", email["message_id"]),
            *((one["kind"], _recipient(one)) for one in email["recipients"]),
        ]
    )
    say("")
    say(email["text"])


def _row(email: dict[str, Any]) -> list[str]:
    return [email["id"], email["state"], moment_text(email["created_at"]), ", ".join(email["to"]), email["subject"]]


def _recipient(one: dict[str, Any]) -> str:
    tried = f" after {one['attempts']} attempts" if one["attempts"] > 1 else ""
    again = f"; again {moment_and_distance(one['next_attempt'])}" if one["next_attempt"] and one["attempts"] else ""
    return f"{one['address']} {one['state']}{tried}: {one['reply'] or '-'}{again}"
