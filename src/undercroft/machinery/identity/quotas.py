"""How many apps a user may have, and has: counted in the transaction that makes or removes one.

Which is run by `write_once`: a count that is taken twice is wrong for good.
"""

from typing import NamedTuple

from undercroft.base.refusals import Kind, Refusal, invalid, not_found
from undercroft.database import Transaction
from undercroft.machinery.identity.records import record

HIGHEST = 1_000_000


class Quota(NamedTuple):
    in_use: int
    available: int


def quota_of(tx: Transaction, email: str, default: int) -> Quota:
    """`default`: of users for whom none was set. Raises Refusal(NOT_FOUND, "quota")."""
    row = tx.one("SELECT quota, apps FROM users WHERE email = :email", email=email)
    if row is None:
        raise not_found("quota", "Quota not found")
    most, in_use = row
    return Quota(in_use, max((default if most is None else most) - in_use, 0))


def read_quota(text: str) -> int:
    """-1 stands for as many as there can be. Raises Refusal(INVALID, "quota")."""
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 7 and -1 <= int(text) <= HIGHEST):
        raise invalid("quota", "invalid parameter")
    return HIGHEST if text == "-1" else int(text)


def set_quota(tx: Transaction, email: str, most: int, now: int, actor: str) -> None:
    """What is in use beyond it stays. Raises Refusal(NOT_FOUND, "quota")."""
    if not tx.run("UPDATE users SET quota = :most WHERE email = :email", most=most, email=email):
        raise not_found("quota", "Quota not found")
    record(tx, now, actor, "set quota", email, {"quota": most})


def reserve_app(tx: Transaction, email: str, default: int) -> None:
    """One more app of this user's. Raises Refusal(FORBIDDEN, "quota")."""
    taken = tx.run(
        "UPDATE users SET apps = apps + 1 WHERE email = :email AND apps < COALESCE(quota, :most)",
        email=email,
        most=default,
    )
    if not taken:
        raise Refusal(Kind.FORBIDDEN, "quota", "Quota exceeded")


def release_app(tx: Transaction, email: str) -> None:
    tx.run("UPDATE users SET apps = apps - 1 WHERE email = :email AND apps > 0", email=email)
