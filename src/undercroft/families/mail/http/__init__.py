"""The wire format of mail: parse, one action, render."""

from typing import Any

from undercroft.database import Database
from undercroft.families.mail.http import shapes
from undercroft.families.mail.http.emails import Emails
from undercroft.families.mail.http.reading import Door
from undercroft.families.mail.http.suppressions import Suppressions
from undercroft.families.mail.http.templates import Templates
from undercroft.families.mail.model import EmailIn, SuppressionIn, SuppressionsIn, TemplateIn
from undercroft.machinery.operations import Operation, Run

_ERRORS = dict.fromkeys((400, 401, 403, 404, 409, 413, 429, 503), shapes.Problem)


def operations(database: Database, door: Door, emails: Emails) -> list[Operation]:
    return [
        *_on_emails(emails),
        *_on_templates(Templates(database, door)),
        *_on_suppressions(Suppressions(database, door)),
    ]


def _on_emails(emails: Emails) -> list[Operation]:
    many, one = "/systems/emails", "/systems/emails/{id}"
    said = {200: shapes.Said, 202: shapes.Said | shapes.ListSaid}
    return [
        _operation("POST", many, emails.send, "Send an e-mail, or several (a JSON array)", said,
                   takes=EmailIn | list[EmailIn], query=shapes.WhereQuery),
        _operation("GET", many, emails.list_page, "List e-mails, newest first", shapes.EmailList,
                   query=shapes.ListQuery),
        _operation("GET", one, emails.fetch, "What became of an e-mail", shapes.EmailOut, query=shapes.WhereQuery),
        _operation("GET", one + "/source", emails.source, "The message as the relay gets it", None,
                   query=shapes.WhereQuery),
        _operation("DELETE", one, emails.cancel, "Cancel an e-mail for whom it has not gone to yet", shapes.Said,
                   query=shapes.WhereQuery),
    ]  # fmt: skip


def _on_templates(templates: Templates) -> list[Operation]:
    many, one = "/systems/emails/templates", "/systems/emails/templates/{name}"
    return [
        _operation("GET", many, templates.list_page, "List templates", shapes.TemplateList, query=shapes.PageQuery),
        _operation("PUT", one, templates.put, "Make or change a template", shapes.Done, takes=TemplateIn,
                   query=shapes.WhereQuery),
        _operation("GET", one, templates.fetch, "Fetch a template", shapes.TemplateOut, query=shapes.WhereQuery),
        _operation("DELETE", one, templates.remove, "Remove a template", shapes.Done, query=shapes.WhereQuery),
    ]  # fmt: skip


def _on_suppressions(suppressions: Suppressions) -> list[Operation]:
    many, one = "/systems/suppressions", "/systems/suppressions/{address}"
    return [
        _operation("POST", many, suppressions.put_all, "Send no mail to these addresses any more", shapes.Done,
                   takes=SuppressionsIn, query=shapes.WhereQuery),
        _operation("GET", many, suppressions.list_page, "Whom no mail goes to any more", shapes.SuppressionList,
                   query=shapes.PageQuery),
        _operation("PUT", one, suppressions.put, "Send no mail to this address any more", shapes.Done,
                   takes=SuppressionIn, query=shapes.WhereQuery),
        _operation("DELETE", one, suppressions.remove, "Send mail to this address again", shapes.Done,
                   query=shapes.WhereQuery),
    ]  # fmt: skip


def _operation(method: str, path: str, run: Run, summary: str, gives: Any, **more: Any) -> Operation:
    verb = "read" if method == "GET" else "send" if path == "/systems/emails" else "write"
    answers = gives if isinstance(gives, dict) else {200: gives}
    return Operation(
        method, path, run, summary, verb, also_anonymous="mail", gives={**answers, **_ERRORS}, **more
    )  # fmt: skip
