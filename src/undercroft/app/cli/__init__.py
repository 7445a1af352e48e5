"""`croft`: the server's verbs, the login, and one group of verbs per family.

What is slow to import is imported inside the verbs, so that `croft --help` answers at once.
"""

import sys
from typing import Annotated

import typer

from undercroft import __version__
from undercroft.app.cli import (
    accounts,
    check,
    listen,
    locks,
    login,
    mail,
    messaging,
    permissions,
    run,
    serve,
    sync,
    timers,
    tokens,
)
from undercroft.app.cli.failures import Failure
from undercroft.app.cli.profiles import Wanted
from undercroft.app.cli.show import note

# Typer's rich help is prettier and doubles the time to the first line; examples also need lines left alone.
app = typer.Typer(
    name="croft",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("run")(run.run)
app.command("serve")(serve.serve)
app.command("check")(check.check_settings)
app.command("login")(login.log_in)
app.command("logout")(login.log_out)
app.command("status")(login.status)
app.command("listen")(listen.listen)
app.add_typer(timers.app, name="timers")
app.add_typer(locks.app, name="lock")
app.add_typer(mail.app, name="mail")
app.add_typer(messaging.app, name="messaging")
app.add_typer(sync.app, name="sync")
app.add_typer(tokens.app, name="token")
app.add_typer(tokens.app, name="tokens", hidden=True)
app.add_typer(accounts.users, name="user")
app.add_typer(accounts.users, name="users", hidden=True)
app.add_typer(accounts.teams, name="team")
app.add_typer(accounts.teams, name="teams", hidden=True)
app.add_typer(accounts.keys, name="key")
app.add_typer(accounts.keys, name="keys", hidden=True)
app.command("permissions")(permissions.show)
app.add_typer(login.profiles_app, name="profile")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"croft {__version__}")
        raise typer.Exit


@app.callback()
def croft(
    context: typer.Context,
    profile: Annotated[str, typer.Option(metavar="NAME", help="Speak to the server of this profile.")] = "",
    url: Annotated[str, typer.Option(metavar="URL", help="Speak to this server, also by UNDERCROFT_URL.")] = "",
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show it and exit.")
    ] = False,
) -> None:
    """Undercroft: one self-hosted server for what a team's apps need underneath them.

    \b
    croft run                                    try it on this machine
    croft listen                                 see webhooks arrive
    croft timers route add hello http://127.0.0.1:9000/hello
    croft timers add --route hello --in 5s --meta '{"hi": "there"}'
    """
    context.obj = Wanted(profile, url)


def main(arguments: list[str] | None = None) -> None:
    """Ends with SystemExit: 0 done, 1 refused by the server, 2 wrong usage or settings, 3 no server there."""
    try:
        app(arguments)
    except Failure as failure:
        note(f"croft: {failure}")
        if failure.hint:
            note(f"  {failure.hint}")
        sys.exit(failure.exit_code)
