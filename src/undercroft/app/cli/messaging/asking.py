"""Flags of these verbs, and lists whose pages are found by following their links."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import typer

from undercroft.app.cli.client import Server, as_ours, connect
from undercroft.app.cli.show import print_json, print_table, say

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


Row = Callable[[dict[str, Any]], str]


def table(found: list[dict[str, Any]], columns: dict[str, Row], *, json: bool) -> None:
    """These, for programs as they came, for people one a line; `columns`: header → what of one stands below."""
    if json:
        print_json(found)
    else:
        print_table(tuple(columns), [tuple(cell(one) for cell in columns.values()) for one in found])


def list_at(
    context: typer.Context, path: str, namespace: str, columns: dict[str, Row], *, json: bool, only: int = 0
) -> None:
    """Everything at this path below ROOT, or the first `only` of it."""
    with connect(context) as server:
        every = everything(server, ROOT + path, where(namespace))
        found = list(islice(every, only) if only else every)
    table(found, columns, json=json)


def remove_at(context: typer.Context, path: str, namespace: str, words: str, removed: object, *, json: bool) -> None:
    """Remove what is at this path, and say so."""
    with connect(context) as server:
        server.call("DELETE", path, where(namespace))
    report(words, {"removed": removed}, json=json)


def field(name: str) -> Row:
    """A column: that field, empty for null."""
    return lambda one: "" if one[name] is None else str(one[name])


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
