"""`croft messaging import`: many subscribers from a file."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from undercroft.app.cli.client import Refused, Server, WrongUsage, connect
from undercroft.app.cli.messaging.asking import ROOT, Namespace, where
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import console, note, print_json, say

_TAKEN = ("lang", "next_sequence_number", "initial_sequence_number", "metadata")


def import_subscribers(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with a column identity, and lang where they differ.")
    ],
    set_id: Annotated[int, typer.Option("--set", metavar="ID", help="The message set.")],
    lang: Annotated[str, typer.Option(metavar="LANG", help="Of those whose row names none.")] = "eng",
    namespace: Namespace = "",
    json: Json = False,
) -> None:
    """Subscribe everybody in a file to a message set.

    Rows that are refused are told with their lines; the others are subscribed.

    \b
    croft messaging import members.csv --set 1
    """
    if not os.access(file, os.R_OK) or file.is_dir():
        raise WrongUsage(f"{file} can't be read", "name a file with a column identity")
    with connect(context) as server, file.open(encoding="utf-8-sig", newline="") as stream:
        schedule = server.get(f"{ROOT}messageset/{set_id}/", where(namespace))["default_schedule"]
        base = {"messageset": set_id, "schedule": schedule, "lang": lang}
        done, failed = _send_all(server, stream, base, namespace, file.stat().st_size, quiet=json)
    if json:
        print_json({"subscribed": done, "failed": [{"line": line, "error": error} for line, error in failed]})
    else:
        for line, error in failed:
            note(f"line {line}: {error}")
        say(f"Subscribed {done}, refused {len(failed)}.")
    raise typer.Exit(1 if failed else 0)


def _send_all(
    server: Server, stream: TextIO, base: dict[str, Any], namespace: str, size: int, *, quiet: bool
) -> tuple[int, list[tuple[int, str]]]:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    done, read, failed = 0, 0, []
    out = console(stderr=True)
    columns = [BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
    with Progress(*columns, console=out, transient=True, disable=quiet or not out.is_terminal) as progress:
        task = progress.add_task("0 subscribers", total=size or None)
        for line, row in _rows(stream):
            body = {**base, "identity": row["identity"], **{name: row[name] for name in _TAKEN if row.get(name)}}
            try:
                server.post(ROOT + "subscriptions/", body, where(namespace))
                done += 1
            except Refused as refused:
                if refused.status != 400:
                    raise
                failed.append((line, refused.message))
            read += sum(len(value or "") + 1 for value in row.values())
            progress.update(task, completed=min(read, size), description=f"{done} subscribers")
    return done, failed


def _rows(stream: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(stream)
    try:
        if "identity" not in (reader.fieldnames or ()):
            raise WrongUsage("the first line names no column identity", "such as: identity,lang")
        for row in reader:
            row.pop(None, None)
            yield reader.line_num, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise WrongUsage(f"the file is no CSV in UTF-8: {error}", "save it as CSV, UTF-8") from None
