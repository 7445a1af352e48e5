"""How a rule of messaging says no: with the very JSON that the contract names."""

from typing import Any

from undercroft.base.refusals import Kind, Refusal


class Wrong(Refusal):
    """400 with this answer: `{"field": ["what is wrong"]}`, a bare list, or an object of its own."""

    def __init__(self, answer: Any) -> None:
        super().__init__(Kind.INVALID, "fields", str(answer)[:500])
        self.answer = answer


def missing() -> Refusal:
    """404; the same for an id of the wrong sort. (contract §1)"""
    return Refusal(Kind.NOT_FOUND, "missing", "Not found.")


def in_use(what: str) -> Refusal:
    return Refusal(Kind.CONFLICT, "in_use", what)
