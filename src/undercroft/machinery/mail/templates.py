"""Mails with blanks, filled in for each reader: the rows of `mail_templates`, and the filling in, which is pure.

A blank is `{{ name }}` and nothing more: no conditions, no loops, nothing that could run. In HTML what is filled in is
escaped; in the subject it may hold no line break, as in any other.
"""

import re
from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from undercroft.base.refusals import invalid
from undercroft.database import Transaction

LONGEST_NAME = 100
# Characters of what comes of a subject, a text or a page; a body takes less.
LONGEST_FILLED = 2 * 2**20
_BLANK = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_.-]{0,99})[ \t]*\}\}")

Values = Mapping[str, str | int | float | bool]


class Template(NamedTuple):
    name: str
    subject: str
    text: str | None
    html: str | None
    changed_at: int


class Filled(NamedTuple):
    subject: str
    text: str | None
    html: str | None


def blanks(template: Template) -> list[str]:
    """The names of its blanks, each once, in order."""
    every = _BLANK.findall("\n".join((template.subject, template.text or "", template.html or "")))
    return list(dict.fromkeys(every))


def fill_in(template: Template, values: Values) -> Filled:
    """Raises Refusal(INVALID, "template") that names the blanks without a value."""
    missing = [name for name in blanks(template) if name not in values]
    if missing:
        raise invalid("template", f"the template {template.name!r} wants variables: {', '.join(missing[:20])}")
    plain = {name: _written(value) for name, value in values.items()}
    escaped = {name: escape(value) for name, value in plain.items()}
    return Filled(
        _filled(template.subject, plain),
        None if template.text is None else _filled(template.text, plain),
        None if template.html is None else _filled(template.html, escaped),
    )


def put(tx: Transaction, namespace: str, template: Template) -> None:
    tx.run(
        "INSERT INTO mail_templates (namespace, name, subject, text, html, changed_at)"
        " VALUES (:namespace, :name, :subject, :text, :html, :changed_at)"
        " ON CONFLICT (namespace, name) DO UPDATE"
        " SET subject = :subject, text = :text, html = :html, changed_at = :changed_at",
        namespace=namespace,
        **template._asdict(),
    )


def find(tx: Transaction, namespace: str, name: str) -> Template | None:
    row = tx.one(
        "SELECT name, subject, text, html, changed_at FROM mail_templates"
        " WHERE namespace = :namespace AND name = :name",
        namespace=namespace,
        name=name,
    )
    return Template._make(row) if row else None


def page(tx: Transaction, namespace: str, after: str, limit: int) -> list[Template]:
    rows = tx.all(
        "SELECT name, subject, text, html, changed_at FROM mail_templates"
        " WHERE namespace = :namespace AND name > :after ORDER BY name LIMIT :limit",
        namespace=namespace,
        after=after,
        limit=limit,
    )
    return [Template._make(row) for row in rows]


def remove(tx: Transaction, namespace: str, name: str) -> bool:
    return bool(
        tx.run(
            "DELETE FROM mail_templates WHERE namespace = :namespace AND name = :name", namespace=namespace, name=name
        )
    )


def _filled(text: str, values: Mapping[str, str]) -> str:
    # A long value in a thousand blanks is counted before it is written a thousand times.
    if len(text) + sum(len(values[name]) for name in _BLANK.findall(text)) > LONGEST_FILLED:
        raise invalid("template", f"filled in, the template is longer than {LONGEST_FILLED} characters")
    return _BLANK.sub(lambda match: values[match[1]], text)


def _written(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
