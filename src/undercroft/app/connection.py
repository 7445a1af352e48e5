"""One HTTP/1.1 connection of a client: requests in, replies out, on httptools' parser (llhttp, strict).

Ours and not a server library's, because each durable create has some 90 µs to spend and the quickest ASGI server spent
40 of them: a reply in two writes, a dictionary, an event and a queue per request. This one buffers the (bounded) body,
asks the application once and writes once. Limits on heads, bodies and slow clients are part of it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import httptools
import structlog

from undercroft.app.application import Application, Head
from undercroft.app.large_bodies import Held, LargeBodies
from undercroft.app.reply_head import render_head
from undercroft.app.reply_stream import write_stream
from undercroft.machinery.operations import Reply, Stream

log = structlog.get_logger()

# The request line and headers together, where each header weighs some bytes more than it has (as in RFC 9113 §6.5.2,
# so that thousands of tiny ones are too many), and how many requests may wait in line on one connection.
LONGEST_HEAD = 64 * 1_024
WEIGHT_OF_HEADER = 32
MOST_PIPELINED = 32
# A larger body is read only for a caller who may call.
UNASKED_BODY = 64 * 1_024


class Shared(NamedTuple):
    """What the connections of a server have in common."""

    application: Application
    connections: "set[Connection]"
    date: Callable[[], bytes]
    most: int
    """So many connections at once; the next is hung up on, so that files are left for deliveries and the database."""
    bodies: LargeBodies


class Connection(asyncio.Protocol):
    _url: bytes

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._application = shared.application
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._client: str | None = None
        self._waiting: deque[tuple[Head, bytes, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_streaming = False
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._unread = False
        self._asking: Head | None = None
        self._last: Reply | None = None
        self._closing = False
        self._in_message = False
        self._had_body = False
        self._fruitless = 0
        self._held = Held(shared.bodies)
        self.reading_since: float | None = None
        """Since when (loop time) it waits for the rest of a request."""
        self.idle_since: float | None = None
        self.stalled_since: float | None = None
        """Since when the client takes nothing of what is written to it."""
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._begin()

    # The socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("peername")
        self._client = peer[0] if isinstance(peer, tuple) else None
        if len(self._shared.connections) >= self._shared.most:
            self._transport.abort()
            return
        self._shared.connections.add(self)
        self.reading_since = self._loop.time()

    def connection_lost(self, error: Exception | None) -> None:
        self._shared.connections.discard(self)
        self._held.let_go(self._held.bytes)
        self._closing = True
        self._waiting.clear()
        self._may_write.set()
        self.closed.set_result(None)
        if self._task is not None and self._is_streaming:
            self._task.cancel()  # its next piece may be long in coming

    def pause_writing(self) -> None:
        self._may_write.clear()
        self.stalled_since = self._loop.time()

    def resume_writing(self) -> None:
        self._may_write.set()
        self.stalled_since = None

    def data_received(self, data: bytes) -> None:
        if self._unread:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._closing = True  # other protocols are not spoken here; the request itself is answered
        except httptools.HttpParserError as error:
            if not self._unread:
                cause = error.__context__
                self._refuse(400, f"this is not an HTTP/1.1 request: {cause or error}")
        if self._in_message:  # what is neither body nor a whole header: half of one, or decoration of chunks
            self._fruitless = 0 if self._had_body else self._fruitless + len(data)
            self._had_body = False
            if self._fruitless > LONGEST_HEAD:
                self._refuse_long_head()

    # The parser

    def on_message_begin(self) -> None:
        self._begin()
        self._in_message = True
        self.reading_since = self._loop.time()
        self.idle_since = None

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + WEIGHT_OF_HEADER
        if self._head_size > LONGEST_HEAD:
            self._refuse_long_head()
        elif self._in_head:  # what trails a body in chunks is not part of the head, and of no use to us
            name = name.lower()
            headers = self._headers
            headers[name] = value if name not in headers else headers[name] + b", " + value

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._unread:
            return
        if not self._url.startswith(b"/"):
            self._url = _path_of(self._url)
        length = self._headers.get(b"content-length")
        size = 0 if length is None else int(length[:20])
        if size > UNASKED_BODY or b"transfer-encoding" in self._headers:
            self._is_large = True
            self._most = self._application.most_body(self._head())
            if size > self._most:
                self._refuse_large()
                return
            self._ask_first()
        else:
            self._let_continue(self._headers)

    def on_body(self, body: bytes) -> None:
        if self._unread:
            return
        self._size += len(body)
        if self._size > self._most:
            self._refuse_large()
            return
        if self._is_large and not self._held.hold(len(body)):
            self._refuse(503, "the server holds as many large bodies as it may at this moment; try again")
            return
        self._had_body = True
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._unread:
            return
        self._in_message = False
        self.reading_since = None
        if self._asking is not None:  # it is all here already: the answer itself tells who may not call
            self._asking = None
            self._transport.resume_reading()
        head = self._head()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._waiting.append((head, body, self._parser.should_keep_alive()))
        if self._task is None:
            self._task = self._loop.create_task(self._answer_all())
        elif len(self._waiting) > MOST_PIPELINED:
            self._transport.pause_reading()

    # Answering

    async def _answer_all(self) -> None:
        """One after the other, in the order they came."""
        try:
            while self._waiting:
                head, body, keep_alive = self._waiting.popleft()
                reply = await self._application.answer(head, body)
                if self._held.bytes:
                    self._held.let_go(min(len(body), self._held.bytes))
                keep_alive = keep_alive and not self._closing
                if reply.stream is not None:
                    await self._send_stream(reply, reply.stream, keep_alive, head.method == "HEAD")
                elif not self._transport.is_closing():
                    self._write(reply, keep_alive, head.method == "HEAD")
                if self._transport.is_closing():
                    return
                if self.stalled_since is not None:
                    await self._may_write.wait()
                if not keep_alive:
                    self._transport.close()
                    return
                if len(self._waiting) == MOST_PIPELINED:
                    self._transport.resume_reading()
            self.idle_since = self._loop.time()
        finally:
            self._task = None
        if self._last is not None:
            self._say_last(self._last)

    async def _send_stream(self, reply: Reply, stream: Stream, keep_alive: bool, head_only: bool) -> None:
        """It is closed in the end, whether somebody still wants it or not."""
        try:
            if self._transport.is_closing():
                return
            if head_only:
                self._write(reply, keep_alive, head_only)
                return
            self._is_streaming = True
            await write_stream(self._transport, reply, stream, self._shared.date(), self._may_write)
        finally:
            self._is_streaming = False
            await stream.aclose()

    def _write(self, reply: Reply, keep_alive: bool, head_only: bool) -> None:
        length = len(reply.body) if reply.stream is None else reply.length
        head = render_head(reply, self._shared.date(), length, keep_alive)
        self._transport.write(head if head_only else head + reply.body)

    def _ask_first(self) -> None:
        """Read nothing more until it is clear that the caller may call."""
        self._transport.pause_reading()
        self._asking = self._head()
        self._loop.create_task(self._admit(self._asking)).add_done_callback(_nothing_raised)

    async def _admit(self, head: Head) -> None:
        refusal = await self._application.admit(head)
        if self._asking is not head or self._transport.is_closing() or self._unread:
            return
        self._asking = None
        if refusal is not None:
            self._reply_and_close(refusal)
            return
        self._let_continue(head.headers)
        self._transport.resume_reading()

    def _let_continue(self, headers: dict[bytes, bytes]) -> None:
        """Not between the replies to earlier requests: the client then sends its body when it has waited enough."""
        if b"expect" in headers and self._task is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _refuse_long_head(self) -> None:
        self._refuse(431, f"the head of a request takes {LONGEST_HEAD} bytes at the most")

    def _refuse_large(self) -> None:
        self._refuse(413, f"the body is larger than {self._most} bytes; send it in parts")

    def _refuse(self, status: int, message: str) -> None:
        if not self._unread:
            self._reply_and_close(self._application.refuse_unread(status, message, self._url))

    def _reply_and_close(self, reply: Reply) -> None:
        """After the replies to earlier requests; nothing that the client sends from now on is looked at."""
        self._unread = True
        self._in_message = False
        self._body.clear()
        if self._task is None:
            self._held.let_go(self._held.bytes)
        self._transport.resume_reading()
        self._last = reply
        if self._task is None:
            self._say_last(reply)

    def _say_last(self, reply: Reply) -> None:
        """What the client still sends is read and thrown away for a moment: closing at once would lose the reply."""
        if self._transport.is_closing():
            return
        self._transport.write(render_head(reply, self._shared.date(), len(reply.body), False) + reply.body)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._loop.call_later(1, self._transport.abort)

    # Endings

    def is_busy(self) -> bool:
        return self._task is not None

    def stop(self) -> None:
        """No request after the one under way, half of which may still be on the wire."""
        self._closing = True
        if self._task is None and not self._in_message and self._last is None:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._is_large = False
        self._most = self._application.max_body
        self._in_head = True
        self._had_body = False
        self._head_size = 0
        self._fruitless = 0

    def _head(self) -> Head:
        method = self._parser.get_method().decode("ascii")
        return Head(method, self._url, self._headers, self._client, self.closed)


def _path_of(target: bytes) -> bytes:
    """A request target in absolute form, as proxies send it, without its scheme and host."""
    _, marked, rest = target.partition(b"://")
    return b"/" + rest.partition(b"/")[2] if marked else target


def _nothing_raised(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("admission_failed", exc_info=task.exception())
