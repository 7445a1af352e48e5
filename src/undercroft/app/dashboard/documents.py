"""From the OpenAPI document to what the docs page shows. Pure."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from undercroft.machinery.guide import Example, Guide

HOUSE = "undercroft"
"""The tag of what is no family's."""
_REFUSED = "4", "5"
Schema = Mapping[str, Any]


class Piece(NamedTuple):
    """A piece of a type in words; `shape` is the name of the shape that it links to."""

    text: str
    shape: str | None = None


class Field(NamedTuple):
    name: str
    type: list[Piece]
    note: str
    """Where it goes, whether it must be there, what it is otherwise."""
    about: str = ""


class Operation(NamedTuple):
    anchor: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Field]
    body: list[Piece]
    content_types: list[str]
    gives: list[tuple[str, list[Piece]]]
    """Status and type of the answers that are no refusals."""
    refused: list[Piece]
    refusals: list[str]
    open: bool
    """Answers without a token."""
    curl: str


class Shape(NamedTuple):
    anchor: str
    name: str
    about: str
    fields: list[Field]


class Section(NamedTuple):
    """A family's part of the page."""

    name: str
    about: str
    operations: list[Operation]
    shapes: list[Shape]
    errors: Sequence[tuple[str, str]]


def sections(document: Mapping[str, Any], guides: Mapping[str, Guide], origin: str, now: int) -> list[Section]:
    """One for each tag, the house's own the last; `origin` is where examples send their requests."""
    found: dict[str, list[tuple[str, str, Schema]]] = {}
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            found.setdefault(described["tags"][0], []).append((method.upper(), path, described))
    schemas = document["components"]["schemas"]
    order = sorted(found, key=lambda name: name == HOUSE)
    return [_section(name, found[name], schemas, guides.get(name, Guide()), origin, now) for name in order]


def _section(
    name: str, those: list[tuple[str, str, Schema]], schemas: Schema, guide: Guide, origin: str, now: int
) -> Section:
    examples = guide.examples(now)
    operations = [
        _operation(method, path, described, examples.get(f"{method} {path}"), origin)
        for method, path, described in those
    ]
    used = _shapes_used([described for _, _, described in those], schemas)
    shapes = [_shape(shape, schemas[shape], guide.fields.get(shape, {})) for shape in used]
    return Section(name, guide.about, operations, shapes, guide.errors)


def _operation(method: str, path: str, described: Schema, example: Example | None, origin: str) -> Operation:
    content = described.get("requestBody", {}).get("content", {})
    bodies = [kind["schema"] for kind in content.values()]
    answers = {status: _answer(answer) for status, answer in described["responses"].items()}
    refusals = [status for status in answers if status.startswith(_REFUSED)]
    return Operation(
        described["operationId"],
        method,
        path,
        described["summary"],
        described.get("description", ""),
        [_parameter(parameter) for parameter in described["parameters"]],
        type_words(bodies[0]) if bodies else [],
        list(content),
        [(status, pieces) for status, pieces in answers.items() if status not in refusals],
        answers[refusals[0]] if refusals else [],
        refusals,
        "security" not in described,
        curl(origin, method, example or Example(_placeholders(path), {} if bodies else None), "security" in described),
    )


def _answer(answer: Schema) -> list[Piece]:
    for content in answer.get("content", {}).values():
        return type_words(content["schema"])
    return []


def _parameter(parameter: Schema) -> Field:
    schema = parameter["schema"]
    place = parameter["in"]
    default = schema.get("default")
    otherwise = "" if default is None else f", {json.dumps(default)} unless given"
    return Field(parameter["name"], type_words(schema), f"{place}{otherwise}", schema.get("description", ""))


def _shape(name: str, schema: Schema, about: Mapping[str, str]) -> Shape:
    required = schema.get("required", ())
    fields = [
        Field(field, type_words(kind), _field_note(field in required, kind), about.get(field, ""))
        for field, kind in schema.get("properties", {}).items()
    ]
    return Shape(name, _short(name), schema.get("description", ""), fields)


def _field_note(required: bool, kind: Schema) -> str:
    if required:
        return "always there"
    default = kind.get("default")
    return "may be left out" if default is None else f"{json.dumps(default)} unless given"


def type_words(schema: Schema) -> list[Piece]:
    """A type in words: `list of JobIn`, `text or nothing`."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [Piece(_short(name), name)]
    if "enum" in schema:
        return [Piece(" or ".join(json.dumps(value) for value in schema["enum"]))]
    if "const" in schema:
        return [Piece(json.dumps(schema["const"]))]
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return _joined([type_words(option) for option in options])
    match schema.get("type"):
        case "array":
            items = schema.get("prefixItems") or [schema.get("items", {})]
            return [Piece("list of "), *_joined([type_words(item) for item in items], ", ")]
        case "object":
            values = schema.get("additionalProperties")
            return (
                [Piece("names to "), *type_words(values)] if isinstance(values, dict) and values else [Piece("object")]
            )
        case str(word):
            return [Piece({"string": "text", "integer": "whole number", "boolean": "true or false"}.get(word, word))]
        case _:
            return [Piece("any JSON")]


def _short(name: str) -> str:
    """Shapes of two families with one name are told apart by where they are defined; people need not know."""
    return name.rpartition(".")[2]


def _joined(options: list[list[Piece]], by: str = " or ") -> list[Piece]:
    joined = list(options[0])
    for option in options[1:]:
        joined += [Piece(by), *option]
    return joined


def _shapes_used(parts: list[Schema], schemas: Schema) -> list[str]:
    """The names of the shapes that these refer to, and what those refer to, in order of appearance."""
    used: list[str] = []
    waiting: list[Any] = list(parts)
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in used:
                used.append(name)
                waiting.append(schemas[name])
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return used


def curl(origin: str, method: str, example: Example, with_token: bool) -> str:
    """A command for a shell in which TOKEN is set."""
    lines = ["curl" if method == "GET" else f"curl -X {method}"]
    lines[0] += " " + shlex.quote(origin + example.url)
    if with_token:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if example.body is not None:
        lines.append("-H 'Content-Type: application/json'")
        lines.append("-d " + shlex.quote(json.dumps(example.body, ensure_ascii=False)))
    return " \\\n  ".join(lines)


def _placeholders(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), path)
