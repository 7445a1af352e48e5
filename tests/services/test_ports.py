"""Ports that nobody is given between the moment they are found and the one they are listened on."""

import socket
from pathlib import Path

from tests.services.ports import free_port


def test_each_port_is_given_once_and_is_none_of_the_kernels_own() -> None:
    with socket.socket() as taken:
        first = free_port()
        taken.bind(("127.0.0.1", first))
        ports = [free_port() for _ in range(50)]
    assert len({first, *ports}) == 51
    kernels = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]
    assert max(ports) < int(kernels)
