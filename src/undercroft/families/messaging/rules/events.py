"""What happens to subscriptions and identities, as rules know it. Pure. Causes name what can happen but once."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from undercroft.families.messaging.model import Person, Subscription
from undercroft.families.messaging.rules.matching import (
    ADDRESS,
    COMPLETED,
    FIELD,
    OPTED_OUT,
    REACHED,
    Details,
    Event,
    text_of,
)


def completed(one: Subscription) -> Event:
    return _of(one, COMPLETED, f"completed:{one.number}")


def reached(one: Subscription, number: int) -> Event:
    """It was sent the message of this number."""
    return _of(one, REACHED, f"reached:{one.number}:{number}")._replace(number=number)


def opted_out(one: Subscription, depth: int = 0) -> Event:
    return _of(one, OPTED_OUT, f"opted_out:{one.number}")._replace(depth=max(depth, one.rule_depth))


def got_address(person: Person, kind: str) -> Event:
    return Event(ADDRESS, f"address:{person.number}:{kind}", person.namespace, person.id, what=kind, lang=person.lang)


def got_value(person: Person, field: str, value: str) -> Event:
    mark = hashlib.blake2b(f"{field}\0{value}".encode(), digest_size=12).hexdigest()
    cause = f"field:{person.number}:{mark}"
    return Event(FIELD, cause, person.namespace, person.id, what=field, value=value, lang=person.lang)


def details(lang: str | None, timezone: str | None, metadata: str) -> Details:
    """What its metadata says, and beside it its language and time zone."""
    read: Any = msgspec.json.decode(metadata)
    fields = {str(name): text_of(value) for name, value in read.items()} if isinstance(read, dict) else {}
    own = {name: text_of(value) for name, value in (("lang", lang), ("timezone", timezone)) if value is not None}
    return Details(lang, {**fields, **own})


def changes(person: Person, before: Mapping[str, str], kinds_before: set[str], kinds: set[str]) -> list[Event]:
    """What the identity has got that it had not: addresses of a kind, values of fields."""
    after = details(person.lang, person.timezone, person.metadata).fields
    values = [(name, value) for name, value in after.items() if value != "null" and before.get(name) != value]
    return [
        *(got_address(person, kind) for kind in sorted(kinds - kinds_before)),
        *(got_value(person, name, value) for name, value in sorted(values)),
    ]


def _of(one: Subscription, event: str, cause: str) -> Event:
    return Event(event, cause, one.namespace, one.identity, one.messageset, lang=one.lang, depth=one.rule_depth)
