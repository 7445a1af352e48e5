"""A raw connection: bytes out, replies in, nothing tidied up on the way."""

import json
import socket
from types import TracebackType
from typing import Any, NamedTuple, Self


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> Any:
        """The refusal that it is, with something to read and something to look up."""
        said = json.loads(self.body)
        assert said["error"] and said["code"]
        return said


class Wire:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._received = b""
        self.hung_up = False
        self.broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> bool:
        """Whether the other side still took it; `broken` when it has hung up."""
        self._socket.settimeout(20)
        try:
            self._socket.sendall(data)
        except ConnectionError:
            self.broken = True
        except TimeoutError:
            return False
        return not self.broken

    def replies(self, seconds: float = 10, *, at_least: int = 0) -> list[Reply]:
        """All of them, once it hangs up, or says no more within `seconds`, or there are so many."""
        self._socket.settimeout(seconds)
        found = self._parsed()
        while not self.hung_up and not (at_least and len(found) >= at_least):
            try:
                data = self._socket.recv(65_536)
            except TimeoutError:
                break
            except ConnectionError:
                data = b""
            self.hung_up = not data
            self._received += data
            found = self._parsed()
        return found

    def all(self, seconds: float = 10) -> bytes:
        """Every byte until it hangs up."""
        self._socket.settimeout(seconds)
        while data := self._socket.recv(65_536):
            self._received += data
        return self._received

    def _parsed(self) -> list[Reply]:
        found, rest = [], self._received
        while b"\r\n\r\n" in rest:
            head, rest = rest.split(b"\r\n\r\n", 1)
            line, *lines = head.decode("latin-1").split("\r\n")
            version, status, _ = line.split(" ", 2)
            assert version == "HTTP/1.1", line
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            length = int(headers.get("content-length", 0))
            if int(status) >= 200 and len(rest) < length:
                break
            found.append(Reply(int(status), headers, rest[:length]))
            rest = rest[length:]
        return found
