"""Into a namespace, for families whose paths have none: the one that a request names, else its caller's own."""

from collections.abc import Awaitable
from typing import Protocol

from undercroft.machinery.identity import namespaces
from undercroft.machinery.identity.model import Identity


class Enter(Protocol):
    """The gate's: lets the caller into a namespace. Raises Refusal(FORBIDDEN)."""

    def __call__(
        self, identity: Identity, family: str, namespace: str, now: int, *, writing: bool
    ) -> Awaitable[None]: ...


async def enter_named(
    enter: Enter, identity: Identity, family: str, named: str | None, now: int, *, writing: bool
) -> str:
    """The namespace, entered.

    Raises Refusal: INVALID, "namespace" for what can be none or where it is not clear; FORBIDDEN in another team's.
    """
    namespace = namespaces.default_for(identity, family) if named is None else namespaces.check(named)
    await enter(identity, family, namespace, now, writing=writing)
    return namespace
