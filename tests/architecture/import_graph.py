"""Reads every import of the package from its source and says which of them point the wrong way.

Nothing is executed. Imports in function bodies, under TYPE_CHECKING and by `import_module("…")` count too.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "undercroft"
LAYERS = ("base", "database", "machinery", "families", "app")  # each may import those before it
ROOMS = ("model", "store", "actions", "http")  # of a family or a part of the machinery, likewise
IMPURE = {f"{PACKAGE}.database", "apsw", "sqlite3", "psycopg", "psycopg_pool", "asyncio", "anyio", "uvloop"}

NOWHERE = f"stands in none of the layers {', '.join(LAYERS)}"


@dataclass(frozen=True)
class Module:
    """Where a module of the package stands; what it is not in is None."""

    layer: str | None
    family: str | None
    room: str | None


@dataclass(frozen=True)
class Arrow:
    """`source` imports `target`, both dotted names."""

    source: str
    target: str
    path: Path
    line: int


def wrong_imports(root: Path) -> list[str]:
    """One line `file:line: what is wrong` per wrong import or misplaced module of the package in `root`."""
    paths = modules_in(root)
    homeless = [f"{path}:1: {name} {NOWHERE}" for name, path in sorted(paths.items()) if not place(name).layer]
    wrong = [
        f"{arrow.path}:{arrow.line}: {arrow.source} imports {arrow.target}: {complaint}"
        for name, path in sorted(paths.items())
        for arrow in arrows_of(name, path, set(paths))
        if (complaint := judge(arrow))
    ]
    return [*homeless, *dict.fromkeys(wrong)]


def modules_in(root: Path) -> dict[str, Path]:
    """Dotted name → file, for every module under `root`, the folder that holds the package."""
    paths = {}
    for path in (root / PACKAGE).rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


def arrows_of(name: str, path: Path, known: set[str]) -> Iterator[Arrow]:
    """Every import of one module; `from a import b` is one of `a.b` where that is a module, else of `a`."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        for target in _targets(node, package, known):
            yield Arrow(name, target, path, getattr(node, "lineno", 0))


def judge(arrow: Arrow) -> str | None:
    """What is wrong with an import, None when nothing is."""
    source = place(arrow.source)
    if source.layer == "base" and not _is_ours(arrow.target):
        return None if _is_standard(arrow.target) else "base imports the standard library only"
    if source.room == "model" and _is_impure(arrow.target):
        return "a model is pure: no database, no asyncio"
    return _judge_places(source, place(arrow.target)) if _is_ours(arrow.target) else None


def place(name: str) -> Module:
    """Where the dotted name of a module of ours stands. The package itself counts as base, and so does the client:
    other programs import it, and it may need nothing but Python."""
    parts = name.split(".")
    if len(parts) == 1:
        return Module("base", None, None)
    layer = {"__main__": "app", "client": "base"}.get(parts[1], parts[1])
    if layer not in LAYERS:
        return Module(None, None, None)
    family = parts[2] if layer == "families" and len(parts) > 2 else None
    has_rooms = layer in ("machinery", "families")
    return Module(layer, family, next(filter(None, map(_room, parts[2:])), None) if has_rooms else None)


def _judge_places(source: Module, target: Module) -> str | None:
    if source.layer is None:
        return None  # said once for the module itself
    if target.layer is None:
        return f"it {NOWHERE}"
    if LAYERS.index(target.layer) > LAYERS.index(source.layer):
        return f"up from {source.layer} to {target.layer}; imports point down only"
    if target.family and source.layer == "families" and target.family != source.family:
        return "families are strangers to each other; what two need goes down into machinery"
    if source.room and target.room and ROOMS.index(target.room) > ROOMS.index(source.room):
        return f"{source.room} must not know {target.room}; rooms import in the order {' < '.join(ROOMS)}"
    return None


def _targets(node: ast.AST, package: str, known: set[str]) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            base = _absolute(node, package)
            named = (f"{base}.{alias.name}" for alias in node.names)
            return [name if name in known else base for name in named]
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    above = parts[: max(0, len(parts) - node.level + 1)]
    return ".".join([*above, node.module] if node.module else above)


def _room(part: str) -> str | None:
    """`store`, and where a room was split by noun `store_jobs` and `job_store` too."""
    words = part.split("_")
    return next((word for word in (words[0], words[-1]) if word in ROOMS), None)


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == PACKAGE


def _is_standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def _is_impure(name: str) -> bool:
    parts = name.split(".")
    return parts[0] in IMPURE or ".".join(parts[:2]) in IMPURE
