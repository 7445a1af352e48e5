"""`croft mail template`: e-mails with blanks."""

from typing import Annotated, Any

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.mail import written
from undercroft.app.cli.mail.written import Namespace
from undercroft.app.cli.options import Everything, Json, Limit
from undercroft.app.cli.show import moment_text, print_facts, print_json, say
from undercroft.app.cli.timers import pages
from undercroft.app.cli.urls import path_of

app = typer.Typer(no_args_is_help=True, help="Templates: e-mails with blanks, written {{ name }}.")

Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.command("put")
def put(
    context: typer.Context,
    name: Name,
    subject: Annotated[str, typer.Option("--subject", "-s", metavar="TEXT", help="One line, with blanks.")],
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="With blanks; @FILE, - for stdin.")] = "",
    html: Annotated[str, typer.Option("--html", metavar="HTML", help="What is filled in is escaped; @FILE.")] = "",
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Make a template, or change it.

    \b
    croft mail template put welcome --subject 'Welcome, {{ name }}' --text 'Hello {{ name }}'
    """
    if not text and not html:
        raise WrongUsage("the template says nothing", "write --text, --html or both")
    body = {
        "subject": subject,
        "text": written.text("--text", text) if text else None,
        "html": written.text("--html", html) if html else None,
    }
    with connect(context) as server:
        reply = server.call("PUT", path_of("systems", "emails", "templates", name), written.where(namespace), body)
    if json:
        print_json(reply)
    else:
        say(f"Template {name} is kept: croft mail send … --template {name}")


@app.command("list")
def list_templates(
    context: typer.Context,
    limit: Limit = 100,
    everything: Everything = False,
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Show templates, and their blanks.

    \b
    croft mail template list
    """
    with connect(context) as server:
        query: dict[str, object] = {"limit": limit, **written.where(namespace)}
        listing = pages.Listing(server, path_of("systems", "emails", "templates"), "templates", query)
        listing.show(("NAME", "CHANGED", "BLANKS", "SUBJECT"), _row, everything=everything, json=json)


@app.command("show")
def show(context: typer.Context, name: Name, namespace: Namespace = "", json: Json = False) -> None:
    """Show one template.

    \b
    croft mail template show welcome
    """
    with connect(context) as server:
        found = server.get(path_of("systems", "emails", "templates", name), written.where(namespace))
    if json:
        print_json(found)
        return
    facts = [("blanks", ", ".join(found["variables"])), ("text", found["text"] or ""), ("html", found["html"] or "")]
    print_facts([("subject", found["subject"]), ("changed", moment_text(found["changed_at"])), *facts])


@app.command("remove")
def remove(context: typer.Context, name: Name, namespace: Namespace = "", json: Json = False) -> None:
    """Remove a template.

    \b
    croft mail template remove welcome
    """
    with connect(context) as server:
        reply = server.call("DELETE", path_of("systems", "emails", "templates", name), written.where(namespace))
    if json:
        print_json(reply)
    else:
        say(f"Template {name} is removed.")


def _row(one: dict[str, Any]) -> list[str]:
    return [one["name"], moment_text(one["changed_at"]), ", ".join(one["variables"]), one["subject"]]
