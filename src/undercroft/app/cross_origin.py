"""Pages of other sites that may call a family from a browser, where the settings name them. (Fetch standard, CORS)"""

from collections.abc import Mapping

METHODS = b"PUT, GET, POST, DELETE, OPTIONS"
HEADERS = b"Origin, Accept, Content-Type, X-Requested-With, X-CSRF-Token, Authorization"
# A browser need not ask again for so long (s).
REMEMBERED = b"600"

Headers = tuple[tuple[bytes, bytes], ...]


class CrossOrigin:
    def __init__(self, origins: Mapping[str, tuple[str, ...]]) -> None:
        """Family → origins such as `https://files.example.com`, or `*` for any; none: browsers keep all others out."""
        self.families = frozenset(family for family, allowed in origins.items() if allowed)
        """A browser asks them with OPTIONS before it calls, and sends no token with that."""
        self._origins = {family: {one.encode() for one in allowed} for family, allowed in origins.items() if allowed}

    def headers(self, family: str | None, given: Mapping[bytes, bytes]) -> Headers:
        """Of an answer to a request with these headers."""
        allowed = self._origins.get(family or "")
        if allowed is None:
            return ()
        origin, vary = given.get(b"origin"), (b"vary", b"Origin")
        if b"*" not in allowed and origin not in allowed:
            return (vary,)
        shown = b"*" if b"*" in allowed or origin is None else origin
        return (
            vary,
            (b"access-control-allow-origin", shown),
            (b"access-control-allow-methods", METHODS),
            (b"access-control-allow-headers", HEADERS),
            (b"access-control-max-age", REMEMBERED),
        )
