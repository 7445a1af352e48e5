"""What families share in how they say no: the usual statuses, and refusals as `{"error", "code"}`."""

from collections.abc import Callable, Mapping

from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.operations import Reply, json_reply

STATUS: Mapping[Kind, int] = {
    Kind.INVALID: 400,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.UNAUTHORIZED: 401,
    Kind.FORBIDDEN: 403,
    Kind.TOO_LARGE: 413,
    Kind.TOO_MANY: 429,
    Kind.UNAVAILABLE: 503,
    Kind.INTERNAL: 500,
}

Codes = Mapping[str, tuple[str, str]]
"""A refusal's code in the core → the code that programs get, and its meaning for people."""


def codes_of_the_house(letter: str) -> dict[str, tuple[str, str]]:
    """What may be refused at any path, under a family's letter."""
    return {
        "unauthorized": (f"{letter}030", "no token, or one that is wrong or expired"),
        "forbidden": (f"{letter}031", "the token does not allow this"),
        "too_large": (f"{letter}032", "the body is larger than the server takes"),
        "too_many": (f"{letter}033", "too many requests"),
        "unavailable": (f"{letter}034", "the server can't do it at this moment"),
        "path": (f"{letter}035", "no such path, or not with this method"),
        "internal": (f"{letter}099", "the server has a fault; the log has the details under the request's id"),
    }


def code_of(codes: Codes, refusal: Refusal) -> str:
    return codes.get(refusal.code, codes["internal"])[0]


def by_codes(codes: Codes, statuses: Mapping[Kind, int] = STATUS) -> Callable[[Refusal], Reply]:
    """`error` for people and `code` for programs; 400 for a kind that `statuses` does not name."""

    def refuse(refusal: Refusal) -> Reply:
        body = {"error": refusal.message, "code": code_of(codes, refusal)}
        return json_reply(body, statuses.get(refusal.kind, 400))

    return refuse
