"""The one way in which the core says no.

A `Refusal` has a kind, which the edge turns into a status, a code for programs and a sentence for people.

    Refusal
    ├── kind INVALID        the request is wrong; sending it again will not help
    ├── kind NOT_FOUND      what it names does not exist
    ├── kind CONFLICT       it collides with what exists
    ├── kind UNAUTHORIZED   no token, or a wrong or expired one
    ├── kind FORBIDDEN      the token is good, but not for this
    ├── kind TOO_LARGE      more than the server takes in one request
    ├── kind TOO_MANY       slow down; `retry_after` says for how long
    ├── kind UNAVAILABLE    not now: the database is full, locked or gone
    └── kind INTERNAL       a fault of ours; the log has the details
"""

from enum import Enum


class Kind(Enum):
    INVALID = "invalid"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class Refusal(Exception):
    """Nothing was changed, and `message` says why and what to do. `code` is stable, one meaning each."""

    def __init__(self, kind: Kind, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.message = message
        self.retry_after = retry_after


def invalid(code: str, message: str) -> Refusal:
    return Refusal(Kind.INVALID, code, message)


def not_found(code: str, message: str) -> Refusal:
    return Refusal(Kind.NOT_FOUND, code, message)


def conflict(code: str, message: str) -> Refusal:
    return Refusal(Kind.CONFLICT, code, message)


def unavailable(message: str, *, retry_after: int = 1) -> Refusal:
    return Refusal(Kind.UNAVAILABLE, "unavailable", message, retry_after=retry_after)
