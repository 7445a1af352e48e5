"""What locks answer, as types: the wire format that OpenAPI describes. Moments are `YYYY-MM-DD HH:MM:SS` in UTC."""

import msgspec


class Obtained(msgspec.Struct):
    """The document's answer."""

    lock_obtained: bool


class ObtainedDetails(Obtained):
    """Asked for by `details`."""

    name: str
    token: str
    """Of this grant: it renews and removes it."""
    fence: int
    owner: str | None
    expires_at: str | None
    """Null: no end."""
    expires_in: float | None
    """Seconds from the grant on."""


class RefusedDetails(Obtained):
    """What is known of who holds it; all null where nobody does any more."""

    name: str
    owner: str | None
    fence: int | None
    held_until: str | None
    """When it is free at the latest, unless it is renewed; null: no end."""
    held_for: float | None
    """The same, in seconds from now."""


class Removed(msgspec.Struct):
    lock_removed: bool


class Renewed(msgspec.Struct):
    lock_renewed: bool


class RenewedDetails(Renewed):
    name: str
    fence: int
    owner: str | None
    expires_at: str | None
    expires_in: float | None


class LockOut(msgspec.Struct):
    """A lock as everybody may see it: never its token."""

    name: str
    held: bool
    owner: str | None
    since: str | None
    expires_at: str | None
    expires_in: float | None
    fence: int | None
    waiters: int
    require_token: bool
    """Whether it is removed with its token only."""
    free_at: str | None
    """With a lock_delay later than expires_at."""


class LockList(msgspec.Struct):
    locks: list[LockOut]
    cursor: str | None


class Problem(msgspec.Struct):
    error: str
    """For people."""
    code: str
    """For programs: L001 and so on."""


class WhereQuery(msgspec.Struct, forbid_unknown_fields=True):
    namespace: str | None = None


class RemoveQuery(msgspec.Struct, forbid_unknown_fields=True):
    token: str | None = None
    """Removes this grant only; the header X-Lock-Token says the same, and stands in no log."""
    force: bool = False
    """Whoever holds it; admins only."""
    namespace: str | None = None


class ListQuery(msgspec.Struct, forbid_unknown_fields=True):
    prefix: str = ""
    limit: int = 100
    cursor: str = ""
    namespace: str | None = None
