"""Calls over HTTP, with the standard library: one connection that is kept, and opened anew where it broke."""

import contextlib
import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

LONGEST_REPLY = 2**20


class ClientError(Exception):
    """What may go wrong with a call or a lock.

    ClientError
    ├── Unreachable         no server there, or none that answers in time
    ├── Refused             the server said no; `status` and `code` are its own
    ├── LockNotObtained     another holds it, up to the end of the wait
    └── LockLost            it is not held any more, although it was not released
    """


class Unreachable(ClientError):
    pass


class Refused(ClientError):
    def __init__(self, message: str, status: int, code: str) -> None:
        super().__init__(f"{message} ({code})" if code else message)
        self.status = status
        self.code = code


class Calls:
    """One connection to one server. Not to be shared between threads."""

    def __init__(self, url: str, token: str) -> None:
        """Raises ValueError for what is no http(s) URL of a server."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url!r} is no URL of a server: write one such as http://127.0.0.1:3862")
        self._url = url
        self._parts = parts
        self._token = token
        self._connection: http.client.HTTPConnection | None = None

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None, *, timeout: float
    ) -> Any:
        """The decoded answer. `timeout`: seconds.

        Raises Refused for any status but 200, Unreachable for no answer; then nobody knows whether it was done.
        """
        content = None if body is None else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", **(headers or {})}
        fresh = self._connection is None
        try:
            status, reply = self._exchange(method, path, content, given, timeout)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            self.close()
            if fresh:
                raise Unreachable(f"{self._url} hung up: {error}") from None
            return self.call(method, path, body, headers, timeout=timeout)  # the kept connection had gone stale
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{self._url} does not answer: {error}") from None
        return _understood(status, reply, self._url)

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None

    def _exchange(
        self, method: str, path: str, content: bytes | None, headers: dict[str, str], timeout: float
    ) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect(timeout)
        connection = self._connection
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        connection.request(method, self._parts.path.rstrip("/") + path, content, headers)
        answer = connection.getresponse()
        reply = answer.read(LONGEST_REPLY)
        if answer.will_close:
            self.close()
        return answer.status, reply

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=timeout)


def segment(name: str) -> str:
    """A name as one segment of a path, dots included: clients and proxies would take `..` for a folder."""
    return quote(name, safe="").replace(".", "%2E")


def _understood(status: int, reply: bytes, url: str) -> Any:
    try:
        found = json.loads(reply)
    except ValueError:
        found = None
    if status == 200 and isinstance(found, dict):
        return found
    if isinstance(found, dict) and isinstance(found.get("error"), str):
        raise Refused(found["error"], status, str(found.get("code", "")))
    raise Unreachable(f"{url} answered {status}, and not as Undercroft does")
