"""Flags of these verbs, and lists whose pages are found by following their links."""

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import typer

from undercroft.app.cli.client import Server, as_ours
from undercroft.app.cli.show import print_json, say

Namespace = Annotated[
    str, typer.Option("--namespace", metavar="NAME", help="Where it belongs, if not to your own team.")
]
ScheduleId = Annotated[int, typer.Argument(metavar="SCHEDULE", help="Its number.")]
SetId = Annotated[int, typer.Argument(metavar="SET", help="Its number.")]
SubscriptionId = Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="Its id.")]
ROOT = "/api/v1/"


def report(text: str, done: dict[str, object], *, json: bool) -> None:
    """What was done, for people or for programs."""
    if json:
        print_json(done)
    else:
        say(text)


def where(namespace: str, **more: object) -> dict[str, object]:
    return {"namespace": namespace or None, **more}


def everything(server: Server, path: str, query: dict[str, object]) -> Iterator[dict[str, Any]]:
    """Every item of a list, page after page."""
    while True:
        reply = server.get(path, query)
        with as_ours(server):
            yield from reply["results"]
            following = reply["next"]
        if not following:
            return
        query = {**query, **dict(parse_qsl(urlsplit(following).query))}
