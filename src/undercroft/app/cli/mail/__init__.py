"""`croft mail`: send e-mails, see what became of them, say whom none goes to any more."""

import typer

from undercroft.app.cli.mail import looking, sending, suppressions, templates

app = typer.Typer(no_args_is_help=True, help="Mail: e-mails now or later, templates, whom none goes to any more.")
app.command("send")(sending.send)
app.command("list")(looking.list_emails)
app.command("show")(looking.show)
app.command("cancel")(sending.cancel)
app.command("suppress")(suppressions.suppress)
app.command("unsuppress")(suppressions.unsuppress)
app.command("suppressed")(suppressions.list_suppressed)
app.add_typer(templates.app, name="template")
