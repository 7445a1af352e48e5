"""Free ports of this machine."""

import socket


def free_port() -> int:
    """A loopback port that nobody listens on; it stays free only as long as nobody takes it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
