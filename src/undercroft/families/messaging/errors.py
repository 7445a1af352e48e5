"""How messaging says no; how that is written on the wire, `refusing.py` knows."""

from collections.abc import Mapping

from undercroft.base.refusals import Kind, Refusal

WHOLE = ""
"""Stands for the name of a field where it is about all of what was given."""


class Wrong(Refusal):
    """What is wrong, field by field."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        words = (" ".join([f"{name}:"] * bool(name) + said) for name, said in fields.items())
        super().__init__(Kind.INVALID, "fields", "; ".join(words)[:500])
        self.fields = fields


class WrongMessage(Refusal):
    """Of a message whose fields are right: what it says can't be sent."""

    def __init__(self, why: str) -> None:
        super().__init__(Kind.INVALID, "message", why)


class NotAccepted(Refusal):
    """Of a request to send: why nothing is sent."""

    def __init__(self, why: str) -> None:
        super().__init__(Kind.INVALID, "not_accepted", why)


def missing() -> Refusal:
    """For an id of the wrong sort just so. (contract §1)"""
    return Refusal(Kind.NOT_FOUND, "missing", "Not found.")


def in_use(what: str) -> Refusal:
    return Refusal(Kind.CONFLICT, "in_use", what)
