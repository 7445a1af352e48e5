"""`croft messaging import`: many subscribers from a file."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TextIO

import typer

from undercroft.app.cli.client import Server, as_ours, connect
from undercroft.app.cli.failures import Failure, NotReachable, WrongUsage
from undercroft.app.cli.messaging.asking import ROOT, Namespace, where
from undercroft.app.cli.options import Json
from undercroft.app.cli.show import console, note, print_json, say

_TAKEN = ("lang", "next_sequence_number", "initial_sequence_number")
# Of one request: nobody waits long for the database, and it stays far below what a server takes.
MOST_ROWS = 250
MOST_LETTERS = 250_000


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
    """Subscribe everybody in a file to a message set, each once.

    Who is on the set already, or was, is passed by: an import that was cut off is taken up by running it again. Rows
    that are refused are told with their lines; the others are subscribed. A column metadata holds JSON.

    \b
    croft messaging import members.csv --set 1
    """
    if not os.access(file, os.R_OK) or file.is_dir():
        raise WrongUsage(f"{file} can't be read", "name a file with a column identity")
    with connect(context) as server, file.open(encoding="utf-8-sig", newline="") as stream:
        tally = Import(server, f"{ROOT}messageset/{set_id}/subscribers", where(namespace))
        tally.run(_rows(stream, lang), file.stat().st_size, quiet=json)
    failed = sorted(tally.failed)
    if json:
        print_json(
            {
                "subscribed": tally.subscribed,
                "passed_by": tally.passed_by,
                "failed": [{"line": line, "error": error} for line, error in failed],
            }
        )
    else:
        for line, error in failed:
            note(f"line {line}: {error}")
        there = f", passed by {tally.passed_by} who were there" if tally.passed_by else ""
        say(f"Subscribed {tally.subscribed}{there}, refused {len(failed)}.")
    raise typer.Exit(1 if failed else 0)


class Row(NamedTuple):
    """`letters`: about as long as it is in the file; `body` is None where `error` says what is wrong with it."""

    line: int
    letters: int
    body: dict[str, Any] | None
    error: str = ""


class Import:
    """Sends page after page; `subscribed`, `passed_by` and `failed` (line, why) say how far it came."""

    def __init__(self, server: Server, path: str, query: dict[str, object]) -> None:
        self.subscribed = 0
        self.passed_by = 0
        self.failed: list[tuple[int, str]] = []
        self._server = server
        self._path = path
        self._query = query

    def run(self, rows: Iterator[Row], size: int, *, quiet: bool) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        read = 0
        out = console(stderr=True)
        columns = [BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
        with Progress(*columns, console=out, transient=True, disable=quiet or not out.is_terminal) as progress:
            task = progress.add_task("0 subscribers", total=size or None)
            for page in _pages(rows):
                self._send(page)
                read += sum(row.letters for row in page)
                progress.update(task, completed=min(read, size), description=f"{self.subscribed} subscribers")

    def _send(self, page: list[Row]) -> None:
        self.failed += [(row.line, row.error) for row in page if row.body is None]
        sent = [row for row in page if row.body is not None]
        try:
            reply = self._server.post(self._path, {"subscriptions": [row.body for row in sent]}, self._query)
        except Failure as failure:
            raise self._cut_off(failure, page[0].line) from None
        with as_ours(self._server):
            self.subscribed += reply["subscribed"]
            self.passed_by += reply["passed_by"]
            self.failed += [(sent[one["row"]].line, _words(one["error"])) for one in reply["failed"]]

    def _cut_off(self, failure: Failure, line: int) -> Failure:
        if not (self.subscribed or self.passed_by or self.failed):
            return failure
        failure.message = f"{failure.message}; {self.subscribed} before line {line} were subscribed"
        failure.args = (failure.message,)
        if isinstance(failure, NotReachable):
            failure.hint = "run it again: who is subscribed is passed by"
        return failure


def _rows(stream: TextIO, lang: str) -> Iterator[Row]:
    reader = csv.DictReader(stream)
    try:
        if "identity" not in (reader.fieldnames or ()):
            raise WrongUsage("the first line names no column identity", "such as: identity,lang")
        for row in reader:
            row.pop(None, None)
            letters = sum(len(value or "") + 1 for value in row.values())
            yield Row(reader.line_num, letters, *_read(row, lang))
    except (csv.Error, UnicodeDecodeError) as error:
        raise WrongUsage(f"the file is no CSV in UTF-8: {error}", "save it as CSV, UTF-8") from None


def _read(row: dict[str, str], lang: str) -> tuple[dict[str, Any] | None, str]:
    import msgspec

    body: dict[str, Any] = {"lang": lang, "identity": row["identity"] or ""}
    body |= {name: row[name] for name in _TAKEN if row.get(name)}
    metadata = row.get("metadata") or ""
    if metadata.strip():
        try:
            body["metadata"] = msgspec.json.decode(metadata)
        except (msgspec.DecodeError, RecursionError) as error:
            return None, f'metadata: it is no JSON such as {{"city": "Lagos"}}: {error}'
    return body, ""


def _pages(rows: Iterator[Row]) -> Iterator[list[Row]]:
    page: list[Row] = []
    letters = 0
    for row in rows:
        if page and (len(page) == MOST_ROWS or letters + row.letters > MOST_LETTERS):
            yield page
            page, letters = [], 0
        page.append(row)
        letters += row.letters
    if page:
        yield page


def _words(error: Any) -> str:
    """Field by field, as the server words a refusal."""
    if not isinstance(error, dict):
        return str(error)
    return "; ".join(
        " ".join(words) if name == "non_field_errors" else f"{name}: {' '.join(words)}" for name, words in error.items()
    )
