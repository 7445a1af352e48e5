"""`croft messaging`: schedules, sets and their messages, subscribers, and what becomes of what is sent."""

import typer

from undercroft.app.cli.messaging import failed, people, rules, schedules, sets, subscribers, subscriptions

app = typer.Typer(no_args_is_help=True, help="Staged messaging: series of messages on schedules.")
app.add_typer(schedules.app, name="schedule")
app.add_typer(sets.app, name="set")
app.add_typer(people.routes, name="route")
app.add_typer(people.identities, name="identity")
app.add_typer(rules.app, name="rule")
app.add_typer(failed.app, name="failed")
app.command("say")(sets.say)
app.command("upload")(sets.upload)
app.command("subscribe")(subscriptions.subscribe)
app.command("subscriptions")(subscriptions.list_subscriptions)
app.command("show")(subscriptions.show)
app.command("preview")(subscriptions.preview)
app.command("next")(subscriptions.send_next)
app.command("resend")(subscriptions.resend)
app.command("forward")(subscriptions.forward)
app.command("stop")(subscriptions.stop)
app.command("opt-out")(subscriptions.opt_out)
app.command("import")(subscribers.import_subscribers)
app.command("behind")(failed.behind)
app.command("estimate")(failed.estimate)
