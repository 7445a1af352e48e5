"""`croft timers`: routes, jobs, what is dead and how it comes back."""

import typer

from undercroft.app.cli.timers import bulk, changes, collections, dead, jobs, routes

app = typer.Typer(no_args_is_help=True, help="Timers: jobs that call back at their moment, once or by cron.")
app.add_typer(routes.app, name="route")
app.command("add")(jobs.add)
app.command("show")(jobs.show)
app.command("list")(jobs.list_jobs)
app.command("move")(changes.move)
app.command("change")(changes.change)
app.command("remove")(changes.remove)
app.command("attempts")(jobs.attempts)
app.command("pause")(collections.pause)
app.command("resume")(collections.resume)
app.command("import")(bulk.import_jobs)
app.command("move-all")(bulk.move_all)
app.command("remove-all")(bulk.remove_all)
app.add_typer(dead.app, name="dead")
