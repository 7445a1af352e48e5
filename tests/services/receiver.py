"""A real webhook receiver on a loopback port: records every call, answers as programmed."""

import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import httpx

from tests.services.ports import free_port


@dataclass(frozen=True)
class Call:
    """One received request; `path` without its query, `at` in seconds since 1970."""

    method: str
    path: str
    query: str
    headers: httpx.Headers
    body: bytes
    at: float


@dataclass(frozen=True)
class Answer:
    """What to answer after `delay` seconds; `hang_up` closes the connection without a word instead."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    hang_up: bool = False


class Receiver:
    """Listens from its making until `stop`; `start` listens again on the same port, with all it recorded."""

    def __init__(self) -> None:
        self.port = free_port()
        self.default = Answer()
        self._changed = threading.Condition()
        self._calls: list[Call] = []
        self._counts: Counter[str] = Counter()
        self._programmed: dict[str, deque[Answer]] = {}
        self._server: _Server | None = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, path: str, *answers: Answer) -> None:
        """From now on calls of `path` get these one after the other, and the last one ever after."""
        with self._changed:
            self._programmed[path] = deque(answers)

    def calls(self, path: str | None = None) -> list[Call]:
        """All calls until now in the order of their arrival, or those of one path."""
        with self._changed:
            return [call for call in self._calls if path in (None, call.path)]

    def wait_for(self, count: int, path: str | None = None, seconds: float = 20) -> list[Call]:
        """The calls, as soon as there are `count`; AssertionError when there are fewer after `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._count(path) >= count, seconds)
            calls = self.calls(path)
        assert len(calls) >= count, f"{len(calls)} of {count} calls arrived within {seconds} s"
        return calls

    @property
    def is_called(self) -> bool:
        """Whether anybody is connected: then more calls may be on their way."""
        return self._server is not None and self._server.is_called

    def forget(self) -> None:
        """Drops the recorded calls, keeps the programmed answers."""
        with self._changed:
            self._calls.clear()
            self._counts.clear()

    def start(self) -> None:
        if self._server is None:
            self._server = _Server(self, self.port)
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuses connections from now on and cuts the open ones, delayed answers included."""
        if self._server is not None:
            self._server.end()
            self._server = None

    def record(self, call: Call) -> Answer:
        with self._changed:
            self._calls.append(call)
            self._counts[call.path] += 1
            self._changed.notify_all()
            answers = self._programmed.get(call.path)
            if not answers:
                return self.default
            return answers.popleft() if len(answers) > 1 else answers[0]

    def _count(self, path: str | None) -> int:
        return len(self._calls) if path is None else self._counts[path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, receiver: Receiver, port: int) -> None:
        self.receiver = receiver
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Requests)

    def end(self) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # the other side may have gone first
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a caller that was killed is no error of the receiver
            super().handle_error(request, client_address)

    @property
    def is_called(self) -> bool:
        with self._lock:
            return bool(self._open)

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write per answer, not one for its head and one for its body
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        super().finish()

    def _take(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = Call(self.command, path, query, httpx.Headers(self.headers.items()), body, time.time())
        answer = self.server.receiver.record(call)
        if answer.delay:
            self.server.ended.wait(answer.delay)
        if answer.hang_up or self.server.ended.is_set():
            self.close_connection = True
            return
        self._say(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take

    def _say(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """The tests read `calls`."""
