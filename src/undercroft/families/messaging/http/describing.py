"""What OPTIONS says of a path, and the same answers as pages for people with a browser. (contract §1)"""

import html
import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NamedTuple, get_type_hints

import msgspec

from undercroft.families.messaging.http.entering import Doorway
from undercroft.families.messaging.http.fields import Field
from undercroft.families.messaging.http.parsing import FORM, JSON, MULTIPART, wants_page
from undercroft.families.messaging.model import AUDIO, EMAIL, MSISDN, TEXT
from undercroft.families.messaging.rules.matching import OF_IDENTITIES, OF_SUBSCRIPTIONS, SUBSCRIBE, UNSUBSCRIBE
from undercroft.machinery.operations import Operation, Reply, Request, Run, json_reply

_PARSES = [JSON, FORM, MULTIPART]
_RENDERS = [JSON, "text/html"]
_TYPES = {int: "integer", str: "string", bool: "boolean"}
_REFERRING = {"messageset", "schedule", "next_set", "default_schedule", "binary_content", "target"}
_CHOICES = {
    "content_type": (TEXT, AUDIO),
    "event": (*OF_SUBSCRIPTIONS, *OF_IDENTITIES),
    "action": (SUBSCRIBE, UNSUBSCRIBE),
    "address_type": (MSISDN, EMAIL),
}
_LINK = re.compile(r"&quot;(https?://[^&\s]{1,500})&quot;")


class Written(NamedTuple):
    """What a noun's body may hold, and the struct that it is shown as."""

    fields: tuple[Field, ...]
    shown: type[msgspec.Struct]


def with_options(operations: Sequence[Operation], door: Doorway, nouns: Mapping[str, Written]) -> list[Operation]:
    """These, and OPTIONS for each of their paths that asks who is calling. `nouns` by the path of their list."""
    by_path: dict[str, list[Operation]] = {}
    for one in operations:
        if one.verb in ("read", "write"):
            by_path.setdefault(one.path, []).append(one)
    told = []
    for path, those in by_path.items():
        written = nouns.get(path.removesuffix("/{id}"))
        tell = _telling(door, _description(path, those, written))
        told.append(Operation("OPTIONS", path, tell, "What this path takes and gives", "read"))
    return [*operations, *told]


def _telling(door: Doorway, description: dict[str, Any]) -> Run:
    async def tell(request: Request) -> Reply:
        await door.into(request)
        return json_reply(description)

    return tell


def _description(path: str, those: list[Operation], written: Written | None) -> dict[str, Any]:
    words = [word for word in path.split("/") if word and not word.startswith("{")]
    described: dict[str, Any] = {
        "name": f"{words[-1].replace('_', ' ').replace('-', ' ').title()} {'Instance' if path[-1] == '}' else 'List'}",
        "description": ". ".join(one.summary for one in those) + ".",
        "renders": _RENDERS,
        "parses": _PARSES,
    }
    actions = [one.method for one in those if one.method in ("POST", "PUT")]
    if written is not None and actions:
        described["actions"] = dict.fromkeys(actions, _fields(written))
    return described


def _fields(written: Written) -> dict[str, dict[str, Any]]:
    """Each in the order of the answer: its type, and whether it has to or may be written."""
    kinds, rules = get_type_hints(written.shown), {field.name: field for field in written.fields}
    return {name: _field(name, kind, rules.get(name)) for name, kind in kinds.items()}


def _field(name: str, kind: Any, rule: Field | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": _type(name, kind),
        "required": rule is not None and rule.required,
        "read_only": rule is None,
        "label": name.replace("_", " ").capitalize(),
    }
    if name in _CHOICES:
        told["choices"] = [{"value": value, "display_name": value.capitalize()} for value in _CHOICES[name]]
    return told


def _type(name: str, kind: Any) -> str:
    if name in _CHOICES:
        return "choice"
    if name.endswith("_at"):
        return "datetime"
    alternatives = set(getattr(kind, "__args__", (kind,))) - {type(None)}
    return "field" if name in _REFERRING else _TYPES.get(alternatives.pop(), "field")


def browsable(run: Run, summary: str) -> Run:
    """The same operation; who asks for HTML gets its JSON on a page. Refusals stay JSON."""

    def asked(request: Request) -> Awaitable[Reply]:
        return _as_page(run, summary, request) if wants_page(request) else run(request)

    return asked


async def _as_page(run: Run, summary: str, request: Request) -> Reply:
    reply = await run(request)
    if reply.content_type != b"application/json" or not reply.body:
        return reply
    shown = html.escape(msgspec.json.format(reply.body, indent=2).decode())
    title = html.escape(f"{request.method} {summary}")
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(summary)}</title><body style='font:16px sans-serif;margin:2em auto;max-width:60em'>"
        f"<h1>{title}</h1><p>{reply.status}</p><pre style='white-space:pre-wrap'>"
        + _LINK.sub(r'&quot;<a href="\1">\1</a>&quot;', shown)
        + "</pre>"
    )
    headers = (*reply.headers, (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"))
    return Reply(reply.status, page.encode(), b"text/html; charset=utf-8", headers)
