"""The wire format of sync: parse, one action, render."""

from collections.abc import Mapping
from typing import Any

from undercroft.database import Database
from undercroft.families.sync.contents import Contents
from undercroft.families.sync.engine import Engine
from undercroft.families.sync.http import shapes
from undercroft.families.sync.http.entries import Entries
from undercroft.families.sync.http.files import Files
from undercroft.families.sync.http.reading import Door
from undercroft.families.sync.http.rules import Rules
from undercroft.families.sync.model import FAMILY
from undercroft.machinery.identity.entering import Enter
from undercroft.machinery.operations import Operation, Reply, Request, Run

BASE = "/api/v1.0"
_ERRORS = dict.fromkeys((400, 401, 403, 404, 409, 413, 429, 503), shapes.Problem)


def operations(database: Database, engine: Engine, contents: Contents, enter: Enter) -> list[Operation]:
    door = Door(enter)
    return [
        *_to_docs(),
        *_on_files(Files(database, engine, contents, door)),
        *_on_entries(Entries(database, engine, door)),
        *_on_rules(Rules(database, engine, door)),
    ]


def _to_docs() -> list[Operation]:
    """The roots of the API lead to its pages. (contract §2)"""

    async def lead(_request: Request) -> Reply:
        return Reply(302, b"", b"text/plain", ((b"location", b"/docs"),))

    return [
        Operation("GET", path, lead, "Leads to the pages that describe the API", "find docs", gives={302: None})
        for path in ("/api", BASE)
    ]


def _on_files(files: Files) -> list[Operation]:
    one = "/files/{fid}"
    return [
        _operation("GET", "/files", files.list_page, "List files", shapes.FileList, query=shapes.FilesQuery),
        _operation("GET", "/files/id/{name}", files.id_of, "The id that a file of this name has", dict[str, str]),
        _operation("GET", one + "/metadata", files.metadata, "What is known of a file", shapes.FileOut),
        _operation("GET", one + "/content", files.content, "A file's content", None, also={206: None, 416: None}),
        _operation("GET", one + "/versions", files.versions, "What was replaced or deleted, newest first",
                   shapes.VersionList, query=shapes.VersionsQuery),
        _operation("POST", one + "/restore", files.restore, "Put a kept version back", shapes.Done,
                   takes=shapes.RestoreIn),
    ]  # fmt: skip


def _on_entries(entries: Entries) -> list[Operation]:
    one = "/entries/{name}"
    state = shapes.EntryState
    return [
        _operation("GET", "/entries", entries.list_all, "List entries", shapes.EntryList),
        _operation("POST", "/entries", entries.add, "Add an entry", shapes.EntryOut, "manage", 201,
                   takes=shapes.EntryIn),
        _operation("GET", one, entries.fetch, "Fetch an entry", shapes.EntryOut),
        _operation("PUT", one, entries.change, "Change an entry's options", shapes.EntryOut, "manage",
                   takes=shapes.OptionsIn),
        _operation("DELETE", one, entries.remove, "Remove an entry; its files stay", shapes.Done, "manage",
                   also={202: shapes.UnderWay}),
        _operation("GET", one + "/stats", entries.stats, "What its process takes", shapes.EntryStats),
        _operation("GET", one + "/status", entries.status, "Whether it runs", state),
        _operation("GET", one + "/progress", entries.progress, "How far it is, and what it leaves alone",
                   shapes.Progress),
        _operation("PUT", one + "/start", entries.start, "Start an entry", state),
        _operation("PUT", one + "/stop", entries.stop, "Stop an entry", state),
        _operation("PUT", one + "/restart", entries.restart, "Stop and start an entry", state),
        _operation("PUT", one + "/rescan", entries.rescan, "Look at all of its files again", state),
        _operation("POST", one + "/deletions", entries.confirm, "Confirm or undo a wave of deletions",
                   shapes.Confirmed, takes=shapes.ConfirmIn),
        _operation("GET", "/transfers", entries.transfers, "What is being transferred", shapes.TransferList),
        _operation("GET", "/conflicts", entries.conflicts, "The last conflicts", shapes.ConflictList,
                   query=shapes.LimitQuery),
        _operation("GET", "/events", entries.happenings, "What happens, as server-sent events", None),
    ]  # fmt: skip


def _on_rules(rules: Rules) -> list[Operation]:
    return [
        _operation("GET", "/rules", rules.fetch, "Get the rules", shapes.RulesOut),
        _operation("PUT", "/rules", rules.put, "Update the rules", shapes.Done, takes=shapes.RulesIn),
        _operation("PUT", "/rules/reload", rules.reload, "Apply the rules to every file", shapes.Done,
                   also={202: shapes.UnderWay}),
        _operation("GET", "/rules/reload", rules.applied, "Whether the rules are applied to every file", shapes.Done),
        _operation("POST", "/rules/preview", rules.preview, "What such rules would change", shapes.Preview,
                   takes=shapes.RulesIn),
    ]  # fmt: skip


def _operation(
    method: str,
    path: str,
    run: Run,
    summary: str,
    gives: Any,
    verb: str = "",
    status: int = 200,
    *,
    also: Mapping[int, Any] | None = None,
    **more: Any,
) -> Operation:
    verb = verb or ("read" if method == "GET" else "write")
    answers = {status: gives, **(also or {}), **_ERRORS}
    return Operation(method, BASE + path, run, summary, verb, gives=answers, also_anonymous=FAMILY, **more)
