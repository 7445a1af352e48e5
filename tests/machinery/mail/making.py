"""Mails and orders as the tests need them."""

from typing import Any

from undercroft.machinery.mail.actions import Order, new_id
from undercroft.machinery.mail.content import content_of
from undercroft.machinery.mail.model import Draft, Mail, Rules, check_draft

NOW = 1_700_000_000_000
RULES = Rules("House <house@home.example>", ("@home.example", "boss@other.example"))


def draft(**fields: Any) -> Draft:
    return Draft(**{"to": "ann@example.com", "subject": "Hello", "body": "How are you?", **fields})


def mail(**fields: Any) -> Mail:
    return check_draft(draft(**fields), RULES, NOW)


def order(namespace: str = "@admin", *, key: str | None = None, now: int = NOW, **fields: Any) -> Order:
    made = mail(**fields)
    return Order(new_id(), namespace, "admin@localhost", made, content_of(made), now, key)
