"""`croft sync`: entries, files, rules; what is under way, what collided, what can be had back."""

import typer

from undercroft.app.cli.sync import entries, files, rules

app = typer.Typer(no_args_is_help=True, help="Sync: files kept the same in several places.")
app.command("status")(entries.status)
app.command("files")(files.list_files)
app.command("versions")(files.versions)
app.command("restore")(files.restore)
app.command("conflicts")(files.conflicts)
app.command("transfers")(files.transfers)
app.add_typer(entries.app, name="entries")
app.add_typer(rules.app, name="rules")
