"""HTTP requests to a remote storage: kept connections, patience with a busy server, and what fails on the way in words.

No text here holds an address's query, a header or a body: secrets travel in those.
"""

import errno
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import BinaryIO, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

from pyreqwest.client import ClientBuilder, SyncClient, SyncClientBuilder
from pyreqwest.exceptions import BuilderError, ConnectError, PyreqwestError, RequestTimeoutError
from pyreqwest.request import SyncRequestBuilder, SyncStreamRequest

from undercroft.families.sync.storages.drive import Stat
from undercroft.families.sync.storages.errors import SourceChanged, Vanished
from undercroft.families.sync.storages.long_requests import SILENCE, LongRequests, Outgoing, cut
from undercroft.families.sync.storages.told_headers import told_headers

BUSY = frozenset({429, 500, 502, 503, 504})
# Before each further try.
PAUSES = (0.2, 1.0, 3.0)
LONGEST_PAUSE = 30.0
"""Who asks us to wait for longer is taken at his word: the request fails, and is made again another time."""


LONGEST_ANSWER = 32 * 2**20
"""Bytes of what is told, files' content aside: a page of a thousand names of a kilobyte has a tenth of that."""

MOST_PAGES, MOST_LISTED = 100_000, 10_000_000
"""Of one list: pages, and names."""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def close(self) -> None: ...


class Streamed:
    """An answer whose body is read as it comes. `close` it."""

    def __init__(self, request: SyncStreamRequest, host: str) -> None:
        self._request, self._host = request, host
        with _Worded(host):
            self._response = request.__enter__()
        self.status = self._response.status
        self.headers = told_headers(self._response.headers)

    def body(self) -> bytes:
        """All of it. Raises OSError where that is more than anybody has to say."""
        return gathered(self.blocks(), self._host)

    def blocks(self) -> Iterator[bytes]:
        """As it comes. Raises OSError where it ends before its length."""
        reader = self._response.body_reader
        while True:
            with _Worded(self._host):
                block = reader.read_chunk()
            if block is None:
                return
            yield bytes(block)

    def close(self) -> None:
        self._request.__exit__(None, None, None)


Said = TypeVar("Said", Answer, Streamed)
Builder = TypeVar("Builder", ClientBuilder, SyncClientBuilder)


class Asking:
    """For one thread. `pause` sleeps so many seconds, `clock` gives Unix seconds; tests hand in others."""

    def __init__(self, pause: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._pause = pause
        self._kept: SyncClient | None = None
        self._long = LongRequests(lambda: _plain(ClientBuilder()))

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | bytearray = b"", work: int = 0
    ) -> Answer:
        """One that may be made again. `work`: bytes that the server has to do with, beside those of the body.

        Raises OSError.
        """
        if body or work:
            return self._patiently(lambda: self._long_one(method, url, headers, body, work))
        return self._patiently(lambda: self._once(method, url, headers))

    def stream(self, method: str, url: str, headers: Mapping[str, str]) -> Streamed:
        """Raises OSError."""
        return self._patiently(lambda: Streamed(self._request(method, url, headers).build_streamed(), _host(url)))

    def _patiently(self, ask: Callable[[], Said]) -> Said:
        """A server that is busy is asked a few times, one that hung up once more, one that was silent for long not."""
        broken = 0
        for pause in PAUSES:
            try:
                answer = ask()
            except ConnectionError:
                # A kept connection may have ended meanwhile; who can't be reached at once is asked another time.
                broken += 1
                if broken > 1:
                    raise
                self._pause(pause)
                continue
            asked = _seconds(answer.headers.get("retry-after", ""))
            if answer.status not in BUSY or asked > LONGEST_PAUSE:
                return answer
            answer.close()
            self._pause(max(pause, asked))
        return ask()

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self._long.close()

    def _long_one(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | bytearray, work: int
    ) -> Answer:
        host = _host(url)
        with _Worded(host):
            request = self._long.request(method, url).headers(dict(headers))
            told = self._long.ask(request, Outgoing(cut(body), len(body)), len(body) + work, LONGEST_ANSWER)
        if len(told.body) > LONGEST_ANSWER:
            raise endless(host)
        return Answer(*told)

    def _once(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        request = self._request(method, url, headers)
        if method in ("PUT", "POST"):
            request = request.body_bytes(b"")
        answer = Streamed(request.build_streamed(), _host(url))
        try:
            return Answer(answer.status, answer.headers, answer.body())
        finally:
            answer.close()

    def _request(self, method: str, url: str, headers: Mapping[str, str]) -> SyncRequestBuilder:
        if self._kept is None:
            self._kept = _plain(SyncClientBuilder()).read_timeout(SILENCE).build()
        with _Worded(_host(url)):
            return self._kept.request(method, url).headers(dict(headers))


class StreamedReading:
    """A drive's, of an answer; of nothing past the end of a file."""

    def __init__(self, stat: Stat, answer: Streamed | None, skip: int = 0) -> None:
        """`skip`: bytes at the beginning that were not asked for."""
        self.stat = stat
        self._answer, self._skip = answer, skip

    def blocks(self) -> Iterator[bytes]:
        for block in self._answer.blocks() if self._answer else ():
            rest = block[self._skip :] if self._skip else block
            self._skip -= len(block) - len(rest)
            if rest:
                yield rest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._answer is not None:
            self._answer.close()


def gathered(blocks: Iterable[bytes], host: str) -> bytes:
    """An answer's body. A server that never ends would take all memory: OSError."""
    body = bytearray()
    for block in blocks:
        body += block
        if len(body) > LONGEST_ANSWER:
            raise endless(host)
    return bytes(body)


def endless(host: str) -> OSError:
    return OSError(errno.EPROTO, f"{host} answers without an end: is that address right?")


def read_exactly(source: BinaryIO, size: int) -> bytes | bytearray:
    """Raises SourceChanged where there are fewer bytes."""
    gathered: bytes | bytearray = source.read(size) if size else b""
    if 0 < len(gathered) < size:
        gathered = bytearray(gathered)
        while (left := size - len(gathered)) and (block := source.read(left)):
            gathered += block
    if len(gathered) != size:
        raise SourceChanged("it ended before its length")
    return gathered


class _Worded:
    """What the client raises, as OSError with a host and what to do, and nothing else of the request."""

    def __init__(self, host: str) -> None:
        self._host = host

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, BuilderError | ValueError):  # the latter of a header that can't be sent
            raise Vanished(f"{self._host} can't be asked like this: look at the entry's options") from None
        if isinstance(error, RequestTimeoutError | TimeoutError):
            raise TimeoutError(errno.ETIMEDOUT, f"{self._host} did not answer in time; it is tried again") from None
        if isinstance(error, ConnectError):
            text = f"{self._host} can't be reached: does it run, and is its address right?"
            raise ConnectionRefusedError(errno.ECONNREFUSED, text) from None
        if isinstance(error, PyreqwestError):
            text = f"the connection to {self._host} broke; it is tried again"
            raise ConnectionResetError(errno.ECONNRESET, text) from None


def _plain(builder: Builder) -> Builder:
    """Redirects would carry signatures elsewhere; a body that was stored compressed is its file's content."""
    builder = builder.follow_redirects(False).referer(False).gzip(False).brotli(False).zstd(False).deflate(False)
    return builder.connect_timeout(timedelta(seconds=10))


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _seconds(said: str) -> float:
    """Retry-After's; a date counts as nothing said."""
    return float(said) if said.isascii() and said.isdigit() and len(said) < 7 else 0.0
