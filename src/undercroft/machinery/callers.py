"""From which address a request comes, where a proxy stands in front of the server."""

import ipaddress
from collections.abc import Mapping, Sequence

UNIX = "unix"
"""As a trusted proxy: whoever comes through a Unix socket."""


class Callers:
    """`trusted`: addresses and networks of proxies, and UNIX, whose word on their own clients counts."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(one, strict=False) for one in trusted if one != UNIX]
        self._sockets = UNIX in trusted

    def address(self, client: str | None, headers: Mapping[bytes, bytes]) -> str | None:
        """The peer's, or what the last trusted proxy says of its own; None for a Unix socket that says nothing.

        Read from the right: what stands further left than a proxy of ours, anybody may have written.
        """
        if not self._is_trusted(client):
            return client
        known = client
        for part in reversed(headers.get(b"x-forwarded-for", b"").split(b",")):
            address = _address_in(part.decode("latin-1"))
            if address is None:
                break
            known = address
            if not self._is_trusted(address):
                break
        return known

    def _is_trusted(self, address: str | None) -> bool:
        if address is None:
            return self._sockets
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(ip, "ipv4_mapped", None)
        return any((mapped or ip) in network for network in self._networks)


def _address_in(text: str) -> str | None:
    """Of `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
