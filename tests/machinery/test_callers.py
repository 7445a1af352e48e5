"""From where a request comes: what proxies of ours say counts, what anybody may write does not."""

import pytest

from undercroft.machinery.callers import Callers

HERE = ("127.0.0.0/8", "::1", "unix")


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "address"),
    [
        (HERE, "192.0.2.7", None, "192.0.2.7"),
        (HERE, "192.0.2.7", "203.0.113.9", "192.0.2.7"),
        (HERE, "127.0.0.1", None, "127.0.0.1"),
        (HERE, "127.0.0.1", "203.0.113.9", "203.0.113.9"),
        (HERE, "::1", "2001:db8::9", "2001:db8::9"),
        (HERE, "::ffff:127.0.0.1", "203.0.113.9", "203.0.113.9"),
        (HERE, "127.0.0.1", "10.9.9.9, 203.0.113.9", "203.0.113.9"),
        (HERE, "127.0.0.1", "203.0.113.9, 127.0.0.1", "203.0.113.9"),
        (HERE, "127.0.0.1", "127.0.0.2, 127.0.0.3", "127.0.0.2"),
        (HERE, "127.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        (HERE, "127.0.0.1", "[2001:db8::9]:4711", "2001:db8::9"),
        (HERE, "127.0.0.1", "unknown", "127.0.0.1"),
        (HERE, "127.0.0.1", "203.0.113.9, nonsense", "127.0.0.1"),
        (HERE, None, "203.0.113.9", "203.0.113.9"),
        (HERE, None, None, None),
        ((), "127.0.0.1", "203.0.113.9", "127.0.0.1"),
        ((), None, "203.0.113.9", None),
        (("10.0.0.0/8",), "10.1.2.3", "203.0.113.9, 10.7.7.7", "203.0.113.9"),
        (HERE, "strange", "203.0.113.9", "strange"),
    ],
)
def test_from_where(trusted: tuple[str, ...], peer: str | None, forwarded: str | None, address: str | None) -> None:
    headers = {} if forwarded is None else {b"x-forwarded-for": forwarded.encode()}
    assert Callers(trusted).address(peer, headers) == address
