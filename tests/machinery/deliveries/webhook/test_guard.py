"""Which addresses deliveries may go to. What is refused here is what an attacker would like us to call for them."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercroft.machinery.deliveries.webhook import guard
from undercroft.machinery.deliveries.webhook.guard import AddressRefused, is_allowed, resolve

GLOBAL = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e", "64:ff9b::808:808"]
# Only where the setting allows it.
LOOPBACK = ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
PRIVATE = [
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.254",
    "198.18.0.1",
    "192.0.2.1",
    "203.0.113.9",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:10.0.0.1",
    "::ffff:192.168.1.1",
    "2002:a00:1::",
    "2002:c0a8:101::1",
    "64:ff9b::a00:1",
    "2001:db8::1",
]
# Never.
METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "::ffff:169.254.169.254",
    "2002:a9fe:a9fe::",
    "64:ff9b::a9fe:a9fe",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
]
NEVER = [
    "169.254.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "0.0.0.0",
    "::",
    "::ffff:0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.250",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "::ffff:255.255.255.255",
    "::127.0.0.1",
    "::10.0.0.1",
    "64:ff9b::",
    "64:ff9b:1::7f00:1",
    "2002:e000:1::",
]


@pytest.mark.parametrize("ip", GLOBAL)
def test_the_world_may_be_called(ip: str) -> None:
    assert is_allowed(ip, allow_private=False)
    assert is_allowed(ip, allow_private=True)


@pytest.mark.parametrize("ip", LOOPBACK + PRIVATE)
def test_loopback_and_private_only_where_allowed(ip: str) -> None:
    assert not is_allowed(ip, allow_private=False)
    assert is_allowed(ip, allow_private=True)


@pytest.mark.parametrize("ip", METADATA + NEVER)
def test_metadata_and_special_ones_never(ip: str) -> None:
    assert not is_allowed(ip, allow_private=False)
    assert not is_allowed(ip, allow_private=True)


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_changes_nothing(inner: Any) -> None:
    number = int(inner)
    wrapped = [
        f"::ffff:{inner}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::",
        f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}",
    ]
    for allow_private in (False, True):
        for ip in wrapped:
            assert is_allowed(ip, allow_private=allow_private) == is_allowed(str(inner), allow_private=allow_private)


@given(st.ip_addresses())
def test_private_is_all_that_the_setting_opens(ip: Any) -> None:
    without, with_it = (is_allowed(str(ip), allow_private=setting) for setting in (False, True))

    assert with_it or not without


def resolving(host: str, *, allow_private: bool) -> list[str]:
    return [address for _, (address, _) in asyncio.run(resolve(host, 80, allow_private=allow_private))]


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "017700000001", "127.1", "0x7f.1", "0177.0.0.1", "127.0.0.1", "::1", "localhost"],
)
def test_other_spellings_of_loopback_are_loopback(host: str) -> None:
    with pytest.raises(AddressRefused, match="UNDERCROFT_ALLOW_PRIVATE_TARGETS=1"):
        resolving(host, allow_private=False)
    assert set(resolving(host, allow_private=True)) <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "169.254.43518", "0.0.0.0", "0"])
def test_other_spellings_of_what_is_never_called(host: str) -> None:
    with pytest.raises(AddressRefused, match="never go there"):
        resolving(host, allow_private=True)


Resolver = Callable[..., Awaitable[list[tuple[Any, ...]]]]


def answering(*addresses: str) -> Resolver:
    async def getaddrinfo(_host: str, port: int, **_more: Any) -> list[tuple[Any, ...]]:
        return [
            (socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))
            for ip in addresses
        ]

    return getaddrinfo


def test_of_a_mixed_answer_only_what_may_be_called_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_ask", answering("10.0.0.1", "8.8.8.8", "::1", "2606:4700::1"))

    assert asyncio.run(resolve("mixed.example", 443, allow_private=False)) == [
        (socket.AF_INET, ("8.8.8.8", 443)),
        (socket.AF_INET6, ("2606:4700::1", 443)),
    ]


def test_a_refusal_names_host_and_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_ask", answering("10.1.2.3", "fd00::1"))

    with pytest.raises(AddressRefused, match=r"inner\.example is at 10\.1\.2\.3, fd00::1"):
        asyncio.run(resolve("inner.example", 443, allow_private=False))
