"""`croft timers pause` and `resume`: a whole collection waits, and goes on."""

import typer

from undercroft.app.cli.client import connect
from undercroft.app.cli.options import Collection, Db, Json
from undercroft.app.cli.show import print_json, say
from undercroft.app.cli.urls import path_of


def pause(context: typer.Context, db: Db = "default", collection: Collection = "default", json: Json = False) -> None:
    """Hold back a whole collection.

    Its jobs wait, from the moment they are due, until it is resumed.

    \b
    croft timers pause --collection orders
    """
    _switch(context, path_of("collection", db, collection, "pause"), f"{db}/{collection} is paused.", json)


def resume(context: typer.Context, db: Db = "default", collection: Collection = "default", json: Json = False) -> None:
    """Let a paused collection fire again.

    What waited goes out now.

    \b
    croft timers resume --collection orders
    """
    _switch(context, path_of("collection", db, collection, "resume"), f"{db}/{collection} fires again.", json)


def _switch(context: typer.Context, path: str, done: str, json: bool) -> None:
    with connect(context) as server:
        reply = server.post(path)
    if json:
        print_json(reply)
    else:
        say(done)
