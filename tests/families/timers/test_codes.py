"""Codes: each refusal that a caller of timers can meet has one, each has one meaning, and the docs list them."""

import ast
import re
from pathlib import Path

import pytest

import undercroft
from undercroft.base.refusals import Kind, Refusal
from undercroft.families.timers.refusing import CODES, code_of, refuse

SOURCE = Path(undercroft.__file__).parent
DOCS = SOURCE.parents[1] / "docs" / "timers.md"
# Rooms whose refusals reach a caller of timers.
ROOMS = (
    "base",
    "database",
    "families/timers",
    "machinery/deliveries",
    "machinery/operations.py",
    "app/router.py",
    "app/server.py",
)
MAKERS = {"invalid", "not_found", "conflict"}
# Of the house's own operations, which word their refusals themselves.
OF_THE_HOUSE = {"scope", "name", "token", "expires_in", "wrong_token", "page", "request"}

# Made by a function of its own, chosen by its status, kept free by the contract.
NOT_SPELT_OUT = {"unavailable", "request", "too_many", "unauthorized"}


def codes_in(path: Path) -> set[str]:
    """The codes that are handed to what makes refusals."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        position = {"Refusal": 1, **dict.fromkeys(MAKERS, 0)}.get(node.func.id)
        if position is not None and len(node.args) > position:
            code = node.args[position]
            if isinstance(code, ast.Constant):
                found.add(str(code.value))
    return found


def test_every_refusal_has_a_code() -> None:
    files = [
        path for room in ROOMS for path in ([SOURCE / room] if room.endswith(".py") else (SOURCE / room).rglob("*.py"))
    ]
    used = set().union(*map(codes_in, files))

    assert len(used) > 20, "the search itself found them"
    assert used - OF_THE_HOUSE - set(CODES) == set()


def test_each_code_is_used_and_has_one_meaning() -> None:
    used = set().union(*map(codes_in, SOURCE.rglob("*.py"))) | NOT_SPELT_OUT
    numbers = [number for number, _ in CODES.values()]

    assert set(CODES) - used == set()
    assert len(set(numbers)) == len(numbers)
    assert len({meaning for _, meaning in CODES.values()}) == len(numbers)
    assert all(re.fullmatch(r"E\d{3}", number) for number in numbers)


@pytest.mark.parametrize("number", [number for number, _ in CODES.values()])
def test_each_code_stands_in_the_docs_once(number: str) -> None:
    rows = re.findall(rf"^\| *`?{number}`? *\|", DOCS.read_text(), re.MULTILINE)

    assert len(rows) == 1


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Kind.INVALID, 400),
        (Kind.NOT_FOUND, 400),
        (Kind.CONFLICT, 400),
        (Kind.UNAUTHORIZED, 401),
        (Kind.FORBIDDEN, 403),
        (Kind.TOO_LARGE, 413),
        (Kind.TOO_MANY, 429),
        (Kind.UNAVAILABLE, 503),
        (Kind.INTERNAL, 500),
    ],
)
def test_the_status_of_each_kind(kind: Kind, status: int) -> None:
    reply = refuse(Refusal(kind, "past", "too late"))

    assert (reply.status, reply.body) == (status, b'{"error":"too late","code":"E004"}')


def test_a_code_that_nobody_knows_is_a_fault_of_ours() -> None:
    assert code_of(Refusal(Kind.INVALID, "never heard of", "?")) == "E099"
