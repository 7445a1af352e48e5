"""A small client for Python programs: locks, renewed while they are held. Standard library only.

    from undercroft.client import Client

    client = Client("http://127.0.0.1:3862", token="…")
    with client.lock("products_sync", ttl=30, wait=10) as lock:
        write_products(fence=lock.fence)

Without arguments the server and the token are those of UNDERCROFT_URL and UNDERCROFT_TOKEN.
"""

from undercroft.client.calls import ClientError, Refused, Unreachable
from undercroft.client.locks import Client, Lock, LockLost, LockNotObtained

__all__ = ["Client", "ClientError", "Lock", "LockLost", "LockNotObtained", "Refused", "Unreachable"]
