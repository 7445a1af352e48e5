"""From a request to plain values: JSON, forms, multipart; and what is refused on the way. (contract §1)"""

import json
import re
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from undercroft.base.refusals import Refusal, invalid
from undercroft.families.messaging.errors import WHOLE, Wrong, missing
from undercroft.machinery.operations import Request

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
_MOST_FIELDS = 1_000


class File(NamedTuple):
    name: str
    type: str
    content: bytes


class Body(NamedTuple):
    """`fields` is any JSON, of a form a dictionary of texts; `files` by the name of their field."""

    fields: Any
    files: dict[str, File]
    is_form: bool = False

    @property
    def object(self) -> dict[str, Any]:
        """Raises Wrong where it is no object."""
        if isinstance(self.fields, dict):
            return self.fields
        kind = type(self.fields).__name__
        raise Wrong({WHOLE: [f"Invalid data. Expected a dictionary, but got {kind}."]})


def read_body(request: Request) -> Body:
    """Raises Refusal for another media type, and for what is not what its media type says."""
    content_type = request.header(b"content-type") or ""
    kind = content_type.partition(";")[0].strip().lower()
    if not request.body:
        return Body({}, {}, is_form=kind in (FORM, MULTIPART))
    if kind == JSON or (kind == FORM and _is_json_after_all(request.body)):
        return Body(_json(request.body), {})
    if kind == FORM:
        return Body(_form(request.body), {}, is_form=True)
    if kind == MULTIPART:
        return _multipart(request.body, content_type)
    if not kind:
        return Body(_untold(request.body), {})
    raise _unsupported(content_type)


def _is_json_after_all(content: bytes) -> bool:
    """No form begins so; curl calls whatever it is given a form, unless it is told otherwise."""
    return content[:64].lstrip()[:1] in (b"{", b"[", b'"')


def _untold(content: bytes) -> Any:
    """What has no type is JSON, or nothing that is taken here."""
    try:
        return _json(content)
    except Refusal:
        raise _unsupported("") from None


def _unsupported(content_type: str, why: str = "") -> Refusal:
    return invalid("media_type", f'Unsupported media type "{content_type}" in request{why}.')


_PAGES, _DATA, _EITHER = {"text/html", "text/*"}, {JSON, "application/*"}, {"*/*", ""}


def check_accept(request: Request) -> None:
    """Raises Refusal(…, "accept") where the caller takes neither JSON nor a page."""
    accept = request.headers.get(b"accept")
    if accept is not None and accept != b"*/*" and not _accepted(accept) & (_PAGES | _DATA | _EITHER):
        raise invalid("accept", "Could not satisfy the request Accept header.")


def wants_page(request: Request) -> bool:
    """`?format=` decides; else a page is for whoever names HTML and not JSON, as browsers do."""
    query = request.query_string
    if b"format=" in query and (named := parameters(request).get("format")):
        return named == "api"
    accept = request.headers.get(b"accept")
    return (
        accept is not None and b"text/" in accept and not (kinds := _accepted(accept)) & _DATA and bool(kinds & _PAGES)
    )


def _accepted(accept: bytes) -> set[str]:
    return {word.partition(";")[0].strip() for word in accept.decode("latin-1").lower().split(",")}


def parameters(request: Request) -> dict[str, str]:
    """Of the query string; of repeated ones the last."""
    try:
        pairs = parse_qsl(request.query_string.decode("ascii"), keep_blank_values=True, errors="strict",
                          max_num_fields=_MOST_FIELDS)  # fmt: skip
    except ValueError as error:
        raise invalid("query", f"The query string can't be read: {error}.") from None
    if any("\x00" in name + value for name, value in pairs):
        raise invalid("query", "Null characters are not allowed.")
    given = dict(pairs)
    if given.get("format", "json") not in ("json", "api"):
        raise missing()
    return given


def number_in_path(request: Request, name: str = "id") -> int:
    """Raises Refusal(NOT_FOUND) for what is no number: nothing has such an id."""
    text = _without_suffix(request.path[name])
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise missing()
    return int(text)


def id_in_path(request: Request, name: str = "id") -> str:
    return _without_suffix(request.path[name])


def _without_suffix(text: str) -> str:
    return text.removesuffix(".json")


def _json(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except RecursionError:
        raise invalid("body", "JSON parse error - it is nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise invalid("body", f"JSON parse error - {_python_words(content) or error}") from None


def _python_words(content: bytes) -> str | None:
    """What Python's own parser says of it, which clients may know; None where it would take it."""
    try:
        json.loads(content[: 2**20])
    except RecursionError:
        return "it is nested too deeply"
    except ValueError as error:
        return str(error)
    return None


def _form(content: bytes) -> dict[str, str]:
    if not all(b"=" in pair for pair in content.split(b"&", _MOST_FIELDS) if pair):
        raise _unsupported(FORM, ": its body is no form; JSON is sent as application/json")
    try:
        return dict(parse_qsl(content.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise invalid("body", f"Form parse error - {error}") from None


_BOUNDARY = re.compile(r'boundary="?([A-Za-z0-9\'()+_,./:=? -]{1,70})"?', re.ASCII)
_PARAMETER = re.compile(r'(name|filename)="((?:[^"\\]|\\.)*)"')


def _multipart(content: bytes, content_type: str) -> Body:
    """RFC 7578, as browsers and clients send it. (Parts of parts are not a thing any more.)"""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise invalid("body", "Multipart form parse error - Invalid boundary in multipart: None")
    boundary = b"--" + found[1].strip().encode()
    pieces = (b"\r\n" + content).split(b"\r\n" + boundary)
    if len(pieces) < 2 or len(pieces) > _MOST_FIELDS or not pieces[-1].startswith(b"--"):
        raise invalid("body", "Multipart form parse error - its end is missing")
    fields: dict[str, str] = {}
    files: dict[str, File] = {}
    for piece in pieces[1:-1]:
        _add_part(piece, fields, files)
    return Body(fields, files, is_form=True)


def _add_part(piece: bytes, fields: dict[str, str], files: dict[str, File]) -> None:
    head, separator, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = dict(_header(line) for line in head.decode("utf-8", "replace").split("\r\n"))
    named = dict(_PARAMETER.findall(headers.get("content-disposition", "")))
    if not separator or "name" not in named:
        raise invalid("body", "Multipart form parse error - a part has no name")
    if "filename" in named:
        kind = headers.get("content-type", "application/octet-stream")
        files[named["name"]] = File(named["filename"], kind, content)
        return
    try:
        fields[named["name"]] = content.decode()
    except UnicodeDecodeError:
        raise invalid("body", f"Multipart form parse error - {named['name'][:50]} is not UTF-8") from None


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()
