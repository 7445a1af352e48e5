"""`croft lock`: run a command while holding a lock; obtain, renew, release, list and show locks."""

import typer

from undercroft.app.cli.locks import running, verbs

app = typer.Typer(no_args_is_help=True, help="Locks: only one at a time, with an end and a fencing number.")
app.command("run")(running.run)
app.command("acquire")(verbs.acquire)
app.command("renew")(verbs.renew)
app.command("release")(verbs.release)
app.command("list")(verbs.list_locks)
app.command("show")(verbs.show)
