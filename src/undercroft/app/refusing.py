"""In whose words a refusal is: those of the family whose path was asked for, else the house's."""

from collections.abc import Callable, Sequence

from undercroft.app.router import MethodNotAllowed
from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.family import Family
from undercroft.machinery.operations import Reply

Refuse = Callable[[Refusal], Reply]

_UNREAD = {413: (Kind.TOO_LARGE, "too_large"), 503: (Kind.UNAVAILABLE, "unavailable")}


class Refusers:
    def __init__(self, house: Refuse, families: Sequence[Family]) -> None:
        self._refusers = {"": house, **{family.name: family.refuse for family in families}}
        self._prefixes = {prefix.encode(): family.name for family in families for prefix in family.prefixes}
        self._challenges = {family.name: b'Basic realm="api"' for family in families if family.basic}

    def family_of(self, raw_path: bytes) -> str:
        """By the longest beginning of the path that is some family's own; "" for the house."""
        segments = raw_path[1:].split(b"/", 3)[:3]
        beginnings = (b"/".join(segments[:length]) for length in range(len(segments), 0, -1))
        return next((self._prefixes[beginning] for beginning in beginnings if beginning in self._prefixes), "")

    def refuse(self, refusal: Refusal, family: str) -> Reply:
        reply = self._refusers[family](refusal)
        extra: list[tuple[bytes, bytes]] = []
        if refusal.retry_after is not None:
            extra.append((b"retry-after", str(refusal.retry_after).encode()))
        if refusal.kind is Kind.UNAUTHORIZED:
            extra.append((b"www-authenticate", self._challenges.get(family, b"Bearer")))
        if isinstance(refusal, MethodNotAllowed):
            extra.append((b"allow", refusal.allow))
            if not family:
                reply = reply._replace(status=405)
        return reply._replace(headers=reply.headers + tuple(extra))

    def refuse_unread(self, status: int, message: str, family: str) -> Reply:
        """What the connection could not or would not read: no request, or one that is too large."""
        kind, code = _UNREAD.get(status, (Kind.INVALID, "request"))
        return self._refusers[family](Refusal(kind, code, message))._replace(status=status)
