"""What the docs say about locks, beside the operations themselves: plain data. A test runs every example."""

from undercroft.base.clock import HOUR
from undercroft.families.locks.model import shown_end
from undercroft.families.locks.refusing import CODES
from undercroft.machinery.guide import Example, Guide

ABOUT = "Only one at a time: a named lock that ends by itself, with a number that only grows for who has to be sure."

_ENDS = {
    "ttl": "seconds from now on",
    "expires_at": "until then: 2030-07-08 18:00:00 (UTC unless the server is set otherwise), ISO 8601, an epoch number",
    "details": "true: what the headers say is in the body too",
    "namespace": "whose lock it is; your team's unless given",
}

FIELDS: dict[str, dict[str, str]] = {
    "LockIn": {
        "name": "what the lock is on; the same for all who exclude each other",
        **_ENDS,
        "owner": "any text, shown to others",
        "token": "of a grant that you hold: it is renewed, under the same number",
        "wait": "stand in line for up to 60 seconds, first come, first served",
        "lock_delay": "seconds for which nobody gets it after it has expired unreleased",
        "require_token": "true: it is removed with its token only",
    },
    "RenewIn": {"token": "what X-Lock-Token said; that header does as well", **_ENDS},
    "LockOut": {"waiters": "how many stand in line for it", "fence": "the fencing number of the grant"},
}


def examples(now: int) -> dict[str, Example]:
    """They work in this order. The token is of no grant: it renews nothing, and says so."""
    soon = shown_end(now + HOUR)
    name = "products_sync_magento_to_gcore"
    return {
        "POST /systems/locks": Example("/systems/locks", {"name": name, "expires_at": soon}),
        "GET /systems/locks": Example("/systems/locks?prefix=products"),
        "GET /systems/locks/{name}": Example(f"/systems/locks/{name}"),
        "PUT /systems/locks/{name}": Example(f"/systems/locks/{name}", {"token": "its-token", "ttl": 60}),
        "DELETE /systems/locks/{name}": Example(f"/systems/locks/{name}"),
    }


GUIDE = Guide(ABOUT, examples, FIELDS, list(CODES.values()))
