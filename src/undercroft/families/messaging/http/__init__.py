"""The wire format of messaging: parse, one action, render. Every path is served with and without its final slash."""

from typing import Any

from undercroft.database import Database
from undercroft.families.messaging import messages, messagesets, schedules, setfiles
from undercroft.families.messaging.channels import Ways
from undercroft.families.messaging.files import Files
from undercroft.families.messaging.http import fields, filters, rendering, rules, shapes
from undercroft.families.messaging.http.about import About
from undercroft.families.messaging.http.beyond import Beyond
from undercroft.families.messaging.http.binaries import Binaries
from undercroft.families.messaging.http.describing import Written, browsable, with_options
from undercroft.families.messaging.http.directory import Directory
from undercroft.families.messaging.http.entering import Doorway
from undercroft.families.messaging.http.fields import Field
from undercroft.families.messaging.http.rendering import ROOT
from undercroft.families.messaging.http.resource import Noun, Resource
from undercroft.families.messaging.http.rules import Rules
from undercroft.families.messaging.http.sets import MessageSets
from undercroft.families.messaging.http.subscriptions import Subscriptions
from undercroft.families.messaging.http.work import Work
from undercroft.families.messaging.store import MESSAGES, SCHEDULES, SETS
from undercroft.machinery.identity.entering import Enter
from undercroft.machinery.operations import Operation, Run

SCHEDULE = Noun(f"{ROOT}/schedule", SCHEDULES, fields.SCHEDULE,
                schedules.create, schedules.change, schedules.delete, rendering.schedule)  # fmt: skip
MESSAGE_SET = Noun(f"{ROOT}/messageset", SETS, fields.MESSAGE_SET, messagesets.create, messagesets.change,
                   messagesets.delete, rendering.message_set, filters.MESSAGE_SET)  # fmt: skip
MESSAGE = Noun(f"{ROOT}/message", MESSAGES, fields.MESSAGE,
               messages.create, messages.change, messages.delete, rendering.message, filters.MESSAGE)  # fmt: skip

# Nothing but files is longer: what is read on the loop may not take long.
MOST_BODY = 2**20


def operations(database: Database, enter: Enter, ways: Ways, files: Files) -> list[Operation]:
    door = Doorway(enter)
    made = [
        *_usual("schedule", SCHEDULE.path, Resource(database, door, SCHEDULE), shapes.Schedule, shapes.Schedules),
        *_usual("message set", MESSAGE_SET.path, Resource(database, door, MESSAGE_SET), shapes.MessageSet,
                shapes.MessageSets),
        *_usual("message", MESSAGE.path, Resource(database, door, MESSAGE), shapes.Message, shapes.Messages),
        *_usual("file", f"{ROOT}/binarycontent", Binaries(database, door, files), shapes.File, shapes.Files),
        *_usual("subscription", f"{ROOT}/subscriptions", Subscriptions(database, door, ways), shapes.Subscription,
                shapes.Subscriptions),
        *_on_sets(MessageSets(database, door), Work(database, door, ways), Binaries(database, door, files)),
        *_on_subscriptions(Subscriptions(database, door, ways), Beyond(database, door, ways)),
        *_on_rules(Resource(database, door, rules.NOUN), Rules(database, door)),
        *_on_work(Work(database, door, ways)),
        *_on_directory(Directory(database, door)),
        *_on_itself(About(database, door)),
    ]  # fmt: skip
    return with_options(made, door, _WRITTEN)


_WRITTEN = {
    SCHEDULE.path: Written(fields.SCHEDULE, shapes.Schedule),
    MESSAGE_SET.path: Written(fields.MESSAGE_SET, shapes.MessageSet),
    MESSAGE.path: Written(fields.MESSAGE, shapes.Message),
    f"{ROOT}/binarycontent": Written((Field("content", fields.anything, required=True),), shapes.File),
    f"{ROOT}/subscriptions": Written(fields.SUBSCRIPTION, shapes.Subscription),
    rules.PATH: Written(rules.RULE, shapes.Rule),
}


def _usual(noun: str, many: str, resource: Any, one: Any, page: Any) -> list[Operation]:
    single = many + "/{id}"
    changes: list[Operation] = []
    if hasattr(resource, "change"):
        changes.append(_operation("PATCH", single, resource.change, f"Change parts of a {noun}", one))
    query = shapes.SubscriptionQuery if noun == "subscription" else shapes.ListQuery
    return [
        _operation("GET", many, resource.list_page, f"List {noun}s", page, query=query),
        _operation("POST", many, resource.create, f"Make a {noun}", one, status=201),
        _operation("GET", single, resource.fetch, f"Show a {noun}", one),
        _operation("PUT", single, resource.replace, f"Change a {noun}", one),
        *changes,
        _operation("DELETE", single, resource.delete, f"Remove a {noun}", None, status=204),
    ]


def _on_sets(sets: MessageSets, work: Work, binaries: Binaries) -> list[Operation]:
    one = f"{ROOT}/messageset/{{id}}"
    return [
        _operation("GET", one + "/messages", sets.messages, "A set with its messages", shapes.SetWithMessages),
        _operation("GET", f"{ROOT}/messageset_languages", sets.languages, "The languages of each set",
                   dict[str, list[str]]),
        _operation("POST", one + "/clone", sets.clone, "The same set under another name", shapes.MessageSet,
                   status=201),
        _operation("GET", one + "/export", sets.export, "A set as a file", None, query=shapes.FileQuery),
        _operation("POST", one + "/import", sets.import_set, "Put a file's messages into a set", shapes.Imported,
                   query=shapes.FileQuery, content_types=("application/yaml", "text/csv"), takes=str,
                   most_body=setfiles.LONGEST_FILE),
        _operation("POST", one + "/subscribers", sets.subscribe, "Subscribe many people, each once",
                   shapes.Subscribed, takes=shapes.Subscribers),
        _operation("GET", f"{ROOT}/message/{{id}}/content", sets.content, "A message as it is sent", shapes.Content),
        _operation("POST", f"{ROOT}/schedule/{{id}}/send", work.fire, "Send everybody the next message now",
                   dict[str, Any], status=202),
        Operation("GET", "/media/{name}", binaries.download, "A file, whole or in part", "download",
                  gives={200: None, 206: None, 404: shapes.Detail, 416: None}),
    ]  # fmt: skip


def _on_subscriptions(subscriptions: Subscriptions, beyond: Beyond) -> list[Operation]:
    one, link = f"{ROOT}/subscriptions/{{id}}", f"{ROOT}/optout/{{token}}"
    return [
        _operation("POST", f"{ROOT}/subscriptions/request", subscriptions.request, "Ask for a subscription",
                   shapes.Accepted, status=201),
        _operation("POST", one + "/send", subscriptions.send, "Send the next message now", shapes.Accepted, status=201),
        _operation("POST", one + "/resend", subscriptions.resend, "Send the last message again", shapes.Accepted,
                   status=202),
        _operation("POST", one + "/fast-forward", beyond.fast_forward, "Bring it to where it should be by now",
                   dict[str, list[str]]),
        _operation("GET", one + "/preview", beyond.preview, "What it will be sent, and when", dict[str, Any],
                   query=shapes.PreviewQuery),
        _operation("GET", one + "/sends", beyond.sends, "What it was sent", dict[str, Any]),
        _operation("GET", one + "/optout", beyond.opt_out_link, "Its opt-out link", dict[str, str]),
        Operation("GET", link, beyond.ask, "The page behind an opt-out link", "opt out",
                  gives={200: None, 404: shapes.Detail}),
        Operation("POST", link, beyond.opt_out, "End the subscription of this link", "opt out",
                  gives={200: None, 404: shapes.Detail}),
    ]  # fmt: skip


def _on_rules(resource: Resource, more: Rules) -> list[Operation]:
    one = f"{rules.PATH}/{{id}}"
    return [
        *_usual("rule", rules.PATH, resource, shapes.Rule, shapes.Rules),
        _operation("GET", one + "/preview", more.preview, "Whom it would subscribe as things stand", shapes.Previewed,
                   query=shapes.CursorQuery),
        _operation("POST", f"{rules.PATH}/preview", more.preview_unsaved, "Whom such a rule would subscribe",
                   shapes.Previewed, query=shapes.CursorQuery),
        _operation("POST", one + "/apply", more.apply, "Have it done for them", shapes.Applied),
        _operation("GET", one + "/firings", more.firings, "What it did", shapes.Page, query=shapes.CursorQuery),
    ]  # fmt: skip


def _on_work(work: Work) -> list[Operation]:
    failed, behind, runs = f"{ROOT}/failed-tasks", f"{ROOT}/behind-subscriptions", f"{ROOT}/runs"
    page = shapes.Page
    return [
        _operation("GET", failed, work.failed_tasks, "List messages that failed for good", page,
                   query=shapes.ListQuery),
        _operation("POST", failed, work.requeue, "Try them all again", dict[str, bool], status=201),
        _operation("GET", failed + "/{id}", work.failed_task, "One that failed", dict[str, Any]),
        _operation("GET", behind, work.behind, "List who was found behind", page, query=shapes.ListQuery),
        _operation("GET", behind + "/{id}", work.behind_one, "One who was found behind", dict[str, Any]),
        _operation("POST", behind + "/find_behind_subscriptions", work.find_behind, "Find who is behind",
                   shapes.Accepted, status=202),
        _operation("POST", f"{ROOT}/runsendestimate", work.estimate, "Estimate the week's messages", shapes.Accepted,
                   status=202),
        _operation("GET", f"{ROOT}/runsendestimate", work.estimates, "The week's messages, as estimated now",
                   dict[str, Any]),
        _operation("GET", runs, work.runs, "List sends, and how far they have come", page, query=shapes.ListQuery),
        _operation("GET", runs + "/{id}", work.run, "How far a send has come", dict[str, Any]),
    ]  # fmt: skip


def _on_directory(directory: Directory) -> list[Operation]:
    people, routes = f"{ROOT}/identities", f"{ROOT}/routes"
    one = people + "/{id}"
    return [
        _operation("GET", people, directory.list_identities, "List identities", shapes.Page,
                   query=shapes.ListQuery),
        _operation("POST", people, directory.put_identity, "Make an identity, or change it", dict[str, Any],
                   status=201),
        _operation("GET", one, directory.identity, "Show an identity", dict[str, Any]),
        _operation("PUT", one, directory.put_identity, "Make an identity, or change it", dict[str, Any], takes=None),
        _operation("DELETE", one, directory.remove_identity, "Forget an identity", None, status=204),
        _operation("GET", one + "/addresses/{kind}", directory.addresses, "Its addresses of a kind", shapes.Page),
        _operation("GET", routes, directory.list_routes, "List routes", shapes.Page),
        _operation("POST", routes, directory.put_route, "Make a route, or change it", dict[str, Any], status=201),
        _operation("GET", routes + "/{name}", directory.route, "Show a route", dict[str, Any]),
        _operation("DELETE", routes + "/{name}", directory.remove_route, "Remove a route", None, status=204),
    ]  # fmt: skip


def _on_itself(about: About) -> list[Operation]:
    return [
        _operation("GET", "/api/metrics", about.metrics, "Names of metrics", dict[str, list[str]]),
        _operation("POST", "/api/metrics", about.fire_metrics, "Estimate the week anew", dict[str, bool], status=201),
        _operation("GET", "/api/health", about.health, "Whether the database answers", dict[str, Any]),
        _operation("POST", f"{ROOT}/sync_audio_files", about.sync_audio, "Kept for callers: nothing is to be synced",
                   dict[str, Any], status=202),
        _operation("GET", ROOT, about.root, "Where everything is", dict[str, str]),
    ]  # fmt: skip


def _operation(
    method: str, path: str, run: Run, summary: str, gives: Any, *, status: int = 200, **more: Any
) -> Operation:
    """Whoever may read may GET; a change takes a body, unless it is a form with a file or a word of command."""
    verb = "read" if method == "GET" else "write"
    wrong = {400: None, **dict.fromkeys((401, 403, 404, 406, 409, 413, 415, 429, 503), shapes.Detail)}
    has_body = method in ("PUT", "PATCH") or (method == "POST" and path in _WITH_BODY)
    most = None if "/binarycontent" in path else MOST_BODY
    given = {
        "most_body": most,
        "takes": dict[str, Any] if has_body and "/binarycontent" not in path else None,
        "query": shapes.AnyQuery,
    }
    run = browsable(run, summary)
    return Operation(method, path, run, summary, verb, gives={status: gives, **wrong}, **{**given, **more})


# A schedule may be made of nothing: an empty body is an empty object, and it fires every minute.
_WITH_BODY = {
    *(f"{ROOT}/{noun}" for noun in ("messageset", "message", "subscriptions", "identities", "routes", "rules")),
    f"{ROOT}/rules/preview",
    f"{ROOT}/subscriptions/request",
    f"{ROOT}/messageset/{{id}}/clone",
}
