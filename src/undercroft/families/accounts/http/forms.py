"""Bodies of the messaging document: JSON, a form, or a form in parts; and what it says where they can't be read."""

import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

from undercroft.machinery.operations import Reply, Request, json_reply

_JSON = ("application/json", "")
_FORM = "application/x-www-form-urlencoded"
_PARTS = "multipart/form-data"
CONTENT_TYPES = ("application/json", _FORM, _PARTS)
# Headers of that document on each answer of these paths, besides those of the family.
ALLOW = ((b"allow", b"POST, OPTIONS"),)


def fields_in(request: Request) -> dict[str, Any] | Reply:
    """The body's fields; a body that is empty has none. Or the refusal, in the document's words."""
    given = request.header(b"content-type") or ""
    kind = given.partition(";")[0].strip().lower()
    if kind not in (*CONTENT_TYPES, ""):
        return problem({"detail": f'Unsupported media type "{given[:200]}" in request.'}, 415)
    try:
        found = _read(kind, given, request.body)
    except (ValueError, RecursionError) as error:
        return problem({"detail": f"JSON parse error - {error}" if kind in _JSON else f"Form parse error - {error}"})
    if not isinstance(found, dict):
        got = type(found).__name__
        return problem({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {got}."]})
    return found


def problem(detail: dict[str, Any], status: int = 400) -> Reply:
    return json_reply(detail, status, ALLOW)


def _read(kind: str, given: str, body: bytes) -> Any:
    if not body:
        return {}
    if kind in _JSON:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    if kind == _FORM:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    return _parts(given, body)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"Out of range float values are not JSON compliant: {name!r}")


def _parts(given: str, body: bytes) -> dict[str, str]:
    head = f"Content-Type: {given}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise ValueError("the body is not in parts as its Content-Type says")
    found = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            found[name] = content.decode()
    return found
