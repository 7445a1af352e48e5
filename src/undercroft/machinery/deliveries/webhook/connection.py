"""One HTTP/1.1 connection to a receiver: a request out, its answer in, again and again.

Our own, on httptools' parser, because this is the hot path of the whole house: measured per POST, in CPU of the
interpreter, about a third of what the quickest client library took; and it connects to the very address that was
checked.
"""

import asyncio
from typing import NamedTuple

import httptools

# How much of an answer's body is kept for the log, and how much is read before we hang up on it.
KEPT = 1_024
MOST_READ = 64 * 1_024
# Of all that an answer may consist of beside its body: a head, interim answers, chunk extensions.
MOST_RECEIVED = 2 * MOST_READ


class Answer(NamedTuple):
    status: int
    body: bytes
    """Its beginning."""
    retry_after: str | None


class NoAnswer(Exception):
    """The connection ended first. `untouched`: not a byte came back, so it may have been stale already."""

    def __init__(self, message: str, *, untouched: bool) -> None:
        super().__init__(message)
        self.untouched = untouched


class Connection(asyncio.Protocol):
    _retry_after: str | None

    def __init__(self) -> None:
        self.is_open = False
        self.used = 0
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._start()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.is_open = True

    async def exchange(self, request: bytes, timeout: float) -> Answer:
        """Send the request, wait for its answer.

        Raises NoAnswer when the connection ends first, TimeoutError after `timeout` seconds.
        """
        assert self._transport is not None and self._waiter is None, "one exchange at a time, once connected"
        loop = asyncio.get_running_loop()
        self._start()
        self.used += 1
        self._waiter = waiter = loop.create_future()
        timer = loop.call_later(timeout, self._give_up, timeout)
        self._transport.write(request)
        try:
            answer: Answer = await waiter
            return answer
        finally:
            timer.cancel()
            self._waiter = None
            if not waiter.done() or waiter.cancelled():
                self.close()

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    # From the socket

    def data_received(self, data: bytes) -> None:
        self._untouched = False
        if self._waiter is None or self._waiter.done():
            self.close()  # an answer that nobody asked for
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.close()  # answered, and what follows is another protocol
        except httptools.HttpParserError as error:
            self._fail(NoAnswer(f"its answer is not HTTP: {error}", untouched=False))
            self.close()
        if self._received > MOST_RECEIVED and not self._waiter.done():
            self._fail(NoAnswer("its answer is too long", untouched=False))
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if self._status and not self._length_known:
            self._finish()  # an answer that ends with the connection
            return
        why = f"the connection was lost: {error}" if error else "it hung up without an answer"
        self._fail(NoAnswer(why, untouched=self._untouched))

    # From the parser

    def on_message_begin(self) -> None:
        if self._waiter is not None and self._waiter.done():
            self.close()  # a second answer to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered == b"retry-after":
            self._retry_after = value.decode("latin-1")
        elif lowered in (b"content-length", b"transfer-encoding"):
            self._length_known = True

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        self._read += len(data)
        if len(self._body) < KEPT:
            self._body += data[: KEPT - len(self._body)]
        if self._read > MOST_READ:
            self._finish()
            self.close()

    def on_message_complete(self) -> None:
        if 100 <= self._status < 200 and self._status != 101:
            self._start_answer()  # an interim one; the real one follows
            return
        if self._status == 101 or not self._parser.should_keep_alive():
            self._finish()
            self.close()
        else:
            self._finish()

    # Parts

    def _start(self) -> None:
        self._untouched = True
        self._received = 0
        self._parser = httptools.HttpResponseParser(self)
        self._start_answer()

    def _start_answer(self) -> None:
        self._status = 0
        self._body = b""
        self._read = 0
        self._retry_after = None
        self._length_known = False

    def _finish(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Answer(self._status, self._body, self._retry_after))

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _give_up(self, timeout: float) -> None:
        self._fail(TimeoutError(f"no answer within {timeout:g} s"))
        self.close()
