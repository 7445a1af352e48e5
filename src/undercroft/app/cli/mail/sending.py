"""`croft mail send` and `cancel`."""

from typing import Annotated

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.mail import written
from undercroft.app.cli.mail.written import EmailId, Namespace
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import moment_and_distance, print_json, say
from undercroft.app.cli.timers.written import At, In, due
from undercroft.app.cli.urls import path_of


def send(  # noqa: PLR0913 - one argument per flag
    context: typer.Context,
    to: Annotated[list[str], typer.Argument(metavar="TO...", help="ann@example.com, 'Ann <ann@example.com>'.")],
    subject: Annotated[str, typer.Option("--subject", "-s", metavar="TEXT", help="One line.")] = "",
    body: Annotated[str, typer.Option("--body", "-b", metavar="TEXT", help="Text or HTML; @FILE, - for stdin.")] = "",
    html: Annotated[str, typer.Option("--html", metavar="HTML", help="Beside a text in --body; also @FILE.")] = "",
    cc: Annotated[list[str] | None, typer.Option("--cc", metavar="ADDRESS", help="May be repeated.")] = None,
    bcc: Annotated[list[str] | None, typer.Option("--bcc", metavar="ADDRESS", help="Seen by nobody else.")] = None,
    sender: Annotated[str, typer.Option("--from", metavar="ADDRESS", help="Where the server lets you say so.")] = "",
    reply_to: Annotated[str, typer.Option("--reply-to", metavar="ADDRESS", help="Whom answers go to.")] = "",
    attach: Annotated[list[str] | None, typer.Option("--attach", "-a", metavar="FILE", help="May be repeated.")] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", metavar="'NAME: VALUE'", help="A further one.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="WORD", help="To find it by.")] = None,
    template: Annotated[str, typer.Option("--template", "-t", metavar="NAME", help="Has subject and bodies.")] = "",
    value: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=TEXT", help="Fills in a blank.")] = None,
    delay: In = "",
    at: At = "",
    idempotency_key: Annotated[str, typer.Option(metavar="KEY", help="The same key sends once a day.")] = "",
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Send an e-mail.

    It waits for the relay's word. Where the relay is late the e-mail is kept and goes out as soon as it can.

    \b
    croft mail send ann@example.com --subject Hello --body 'How are you?'
    croft mail send ann@example.com bob@example.com -s Report -b @report.txt --attach report.pdf --in 2h
    croft mail send ann@example.com --template welcome --set name=Ann
    """
    if not template and not (body or html):
        raise WrongUsage("the e-mail says nothing", "write --body, --html or --template")
    when = due(delay, at)
    fields: dict[str, object] = {
        "to": to,
        "subject": subject or (None if template else ""),
        "body": written.text("--body", body) if body else None,
        "html": written.text("--html", html) if html else None,
        "cc": cc,
        "bcc": bcc,
        "from": sender,
        "reply_to": reply_to,
        "attachments": [written.attachment(path) for path in attach or ()],
        "headers": written.pairs("--header", header or [], ":"),
        "tags": tag,
        "template": template,
        "variables": written.pairs("--set", value or [], "="),
        "send_at": when,
        "idempotency_key": idempotency_key,
        "namespace": namespace,
    }
    if fields["body"] is not None and fields["html"] is not None:
        fields["text"] = fields.pop("body")
    asked = {name: given for name, given in fields.items() if given or (name == "subject" and given is not None)}
    with connect(context) as server:
        reply = server.post(path_of("systems", "emails"), {**asked, "details": True})
    if json:
        print_json(reply)
        return
    later = f" It goes out {moment_and_distance(when)}." if when else ""
    say(f"{' '.join(reply['message'].split())}{later} Its id is {reply['id']}.")
    for address, words in reply.get("refused", {}).items():
        say(f"  not to {address}: {words}")


def cancel(context: typer.Context, id: EmailId, namespace: Namespace = "", json: Json = False) -> None:
    """Keep an e-mail from going out.

    Whom it has not gone to by now, it does not go to any more.

    \b
    croft mail cancel g1m7y9s42rpb4vptm5qdx8pqte
    """
    with connect(context) as server:
        reply = server.call("DELETE", path_of("systems", "emails", id), written.where(namespace))
    if json:
        print_json(reply)
    else:
        say(reply["message"])
