"""OpenAPI 3.1, made from the typed operations: what is not declared is not answered, what is declared is described."""

import re
from functools import cached_property
from types import UnionType
from typing import Any, get_args

import msgspec

from undercroft import __version__
from undercroft.app.house import PROBLEMS
from undercroft.app.router import Served
from undercroft.machinery.operations import Access, Operation, Reply, Request

_ANY_JSON: dict[str, Any] = {}


class Describing:
    """GET /openapi.json."""

    def __init__(self, served: list[Served]) -> None:
        self._served = served

    def operations(self) -> list[Operation]:
        return [
            Operation("GET", "/openapi.json", self.openapi, "This description", "read docs",
                      gives={200: dict[str, Any], **PROBLEMS}, also_anonymous="docs"),
        ]  # fmt: skip

    async def openapi(self, _request: Request) -> Reply:
        return Reply(200, self._document)

    @cached_property
    def _document(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(describe(self._served)), indent=1)


def describe(served: list[Served]) -> dict[str, Any]:
    """The OpenAPI document of these operations."""
    schemas, components = _schemas(served)
    paths: dict[str, dict[str, Any]] = {}
    for one in served:
        if one.operation.method == "OPTIONS":  # says in other words what stands here
            continue
        paths.setdefault(one.operation.path, {})[one.operation.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Undercroft", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(served: list[Served]) -> tuple[dict[Any, Any], dict[str, Any]]:
    kinds = dict.fromkeys(
        kind
        for one in served
        for kind in (one.operation.takes, one.operation.query, *one.operation.gives.values())
        if kind is not None
    )
    types = list(dict.fromkeys(member for kind in kinds for member in _members(kind)))
    schemas, components = msgspec.json.schema_components(
        types, schema_hook=_hook, ref_template="#/components/schemas/{name}"
    )
    by_type = dict(zip(types, schemas, strict=True))
    return {kind: _any_of([by_type[member] for member in _members(kind)]) for kind in kinds}, components


def _members(kind: Any) -> tuple[Any, ...]:
    """Of a union each: msgspec describes no union of several structs, as it could not decode one."""
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


def _any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _hook(kind: type) -> dict[str, Any]:
    """msgspec.Raw is JSON of any sort."""
    if kind is msgspec.Raw:
        return _ANY_JSON
    raise NotImplementedError(kind)


def _operation(one: Served, schemas: dict[Any, Any]) -> dict[str, Any]:
    operation = one.operation
    described: dict[str, Any] = {
        "operationId": _name(operation),
        "tags": [one.family or "undercroft"],
        "summary": operation.summary,
        "parameters": _path_parameters(operation) + _query_parameters(operation),
        "responses": {str(status): _response(status, kind, schemas) for status, kind in operation.gives.items()},
    }
    if operation.description:
        described["description"] = operation.description
    if one.access is not Access.PUBLIC:
        described["security"] = [{"token": []}]
    if operation.takes is not None:
        content = {kind: {"schema": schemas[operation.takes]} for kind in operation.content_types}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _name(operation: Operation) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", operation.path).strip("_")
    return f"{operation.method.lower()}_{words}"


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = msgspec.json.schema_components([operation.query])[1][operation.query.__name__]
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_null(field)}
        for name, field in schema["properties"].items()
    ]


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """A parameter is there or not; null can't be written into a query string."""
    field = {key: value for key, value in field.items() if key != "default" or value is not None}
    options = [option for option in field.pop("anyOf", ()) if option != {"type": "null"}]
    if "enum" in field:
        field["enum"] = [value for value in field["enum"] if value is not None]
    return {**field, **options[0]} if len(options) == 1 else field


def _response(status: int, kind: Any, schemas: dict[Any, Any]) -> dict[str, Any]:
    words = {200: "Done", 206: "A part of it", 302: "It is elsewhere", 400: "Refused: the request is wrong",
             401: "Refused: no valid token", 403: "Refused: the token is not for this", 404: "Not found",
             409: "Refused: it is not as it has to be", 413: "Refused: too large", 416: "There is no such part",
             429: "Refused: slow down", 503: "Refused: not at this moment"}  # fmt: skip
    described: dict[str, Any] = {"description": words.get(status, "")}
    if kind is not None:
        described["content"] = {"application/json": {"schema": schemas[kind]}}
    return described
