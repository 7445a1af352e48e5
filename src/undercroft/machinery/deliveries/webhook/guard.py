"""Which addresses a delivery may go to, decided on the resolved address that is then connected to.

Checking a name and connecting to it later would let the name change its mind in between (DNS rebinding).
"""

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# The event loop's own threads for this are four: so many names whose servers don't answer would stop all others.
_LOOKERS = ThreadPoolExecutor(32, "names")

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")
# Where clouds hand out a machine's credentials, beside 169.254.0.0/16: in private networks, and even in public ones.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")))


class AddressRefused(Exception):
    """The target's address is one that deliveries may not go to; the message says which and what to set."""


# The setting that lets deliveries go to private addresses.
FOR_ALL = "allow_private_targets"


async def resolve(
    host: str, port: int, *, allow_private: bool, setting: str = FOR_ALL
) -> list[tuple[int, tuple[str, int]]]:
    """The (family, (address, port)) pairs of the host that may be connected to, in the resolver's order. `setting`: the
    one by which `allow_private` is chosen.

    Raises AddressRefused when none may, OSError when the name has no address.
    """
    found = await _look_up(host, port)
    allowed = [(family, (ip, port)) for family, ip in found if is_allowed(ip, allow_private=allow_private)]
    if not allowed:
        shown = ", ".join(ip for _, ip in found)
        raise AddressRefused(_explain(host, shown, None if allow_private else setting))
    return allowed


def is_allowed(ip: str, *, allow_private: bool) -> bool:
    """Global unicast always; loopback and private ones where the setting says so; metadata and the like never."""
    address = _innermost(ipaddress.ip_address(ip.partition("%")[0]))
    if address in _METADATA or address in _THIS_NETWORK or address.is_multicast or _is_of_one_link(address):
        return False
    if address.is_loopback:
        return allow_private
    if address.is_reserved:
        return False
    if address.is_private or address in _SHARED:
        return allow_private
    return address.is_global


def _is_of_one_link(address: Address) -> bool:
    return address.is_link_local or (isinstance(address, ipaddress.IPv6Address) and address.is_site_local)


def _innermost(address: Address) -> Address:
    """An IPv6 address may wrap an IPv4 one: judge what it leads to."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address.sixtofour:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


async def _look_up(host: str, port: int) -> list[tuple[int, str]]:
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        found = await _ask(host, port)
        return [(family, str(address[0])) for family, _, _, _, address in found]
    return [(socket.AF_INET if literal.version == 4 else socket.AF_INET6, host)]


async def _ask(host: str, port: int) -> list[tuple[Any, ...]]:
    """What the system's resolver says, asked in a thread."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_LOOKERS, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def _explain(host: str, shown: str, setting: str | None) -> str:
    """`setting`: the one that would let deliveries go there, unless it does so already."""
    if setting is None:
        return f"{host} is at {shown}, a link-local or special address; deliveries never go there"
    return (
        f"{host} is at {shown}, a loopback, private or special address; deliveries go there only"
        f" when {setting} is set (UNDERCROFT_{setting.upper()}=1)"
    )
