"""The HTTP API as the command line calls it."""

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import typer

from undercroft.app.cli.failures import Failure, NotReachable, Refused
from undercroft.app.cli.profiles import chosen
from undercroft.app.cli.urls import is_loopback

if TYPE_CHECKING:
    from pyreqwest.client import SyncClient
    from pyreqwest.request import SyncRequestBuilder
    from pyreqwest.response import SyncResponse

TIMEOUT = timedelta(seconds=60)


class Server:
    """One server, called as one user. Replies are decoded JSON."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url
        self._token = token
        self._client: SyncClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.close()

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        return self.call("GET", path, query)

    def post(
        self,
        path: str,
        body: object = None,
        query: Mapping[str, object] | None = None,
        *,
        content_type: str = "application/json",
    ) -> Any:
        return self.call("POST", path, query, body, content_type=content_type)

    def text(self, path: str, query: Mapping[str, object] | None = None) -> str:
        """As `get`, for what is answered as plain text."""
        from pyreqwest.exceptions import PyreqwestError

        try:
            answer = self._request("GET", path, query, None, "").build().send()
            content = bytes(answer.bytes())
        except PyreqwestError as error:
            raise NotReachable(_why(error, self.url), _how_to_reach(self.url)) from None
        if not 200 <= answer.status < 300:
            self._read(answer, content, ())
        return content.decode(errors="replace")

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: object = None,
        *,
        fine: Collection[int] = (),
        lines: bool = False,
        content_type: str = "application/json",
    ) -> Any:
        """`path` comes from `path_of`; of `query` what is None is left out; bytes go as they are.

        `lines`: refusals come as a line of text, and success may be nothing at all (None), as accounts answer.
        Raises Refused for any answer but 2xx and `fine`, NotReachable for none.
        """
        from pyreqwest.exceptions import PyreqwestError

        try:
            request = self._request(method, path, query, body, content_type)
            answer = request.build().send()
            content = bytes(answer.bytes())
        except PyreqwestError as error:
            raise NotReachable(_why(error, self.url), _how_to_reach(self.url)) from None
        return self._read_lines(answer, content) if lines else self._read(answer, content, fine)

    def pages(self, path: str, key: str, query: Mapping[str, object]) -> Iterator[list[Any]]:
        """Every page of a list: what stands under `key`, following the cursors."""
        cursor: str | None = None
        while True:
            reply = self.get(path, {**query, "cursor": cursor})
            yield reply[key]
            cursor = reply.get("cursor")
            if not cursor:
                return

    def _request(
        self, method: str, path: str, query: Mapping[str, object] | None, body: object, content_type: str
    ) -> "SyncRequestBuilder":
        import msgspec

        request = self._http().request(method, self.url + path)
        words = {name: _word(value) for name, value in (query or {}).items() if value is not None}
        if words:
            request = request.query(words)
        if self._token:
            request = request.header("Authorization", f"Bearer {self._token}", is_sensitive=True)
        if body is not None:
            content = body if isinstance(body, bytes) else msgspec.json.encode(body)
            request = request.header("Content-Type", content_type).body_bytes(content)
        return request

    def _http(self) -> "SyncClient":
        if self._client is None:
            from pyreqwest.client import SyncClientBuilder

            builder = SyncClientBuilder().timeout(TIMEOUT).connect_timeout(timedelta(seconds=10))
            # A redirect could carry the token to a host that nobody logged in to.
            builder = builder.follow_redirects(False).user_agent("croft")
            if is_loopback(self.url):
                builder = builder.no_proxy()
            self._client = builder.build()
        return self._client

    def _read(self, answer: "SyncResponse", content: bytes, fine: Collection[int]) -> Any:
        from decimal import Decimal

        import msgspec

        if answer.status == 204:
            return None
        try:
            reply = msgspec.json.Decoder(float_hook=Decimal).decode(content)  # 1.50 stays 1.50
        except (msgspec.DecodeError, ValueError):
            reply = None
        if 200 <= answer.status < 300 or answer.status in fine:
            if reply is None:
                raise NotReachable(f"{self.url} answered, but not as Undercroft does", _NOT_OURS)
            return reply
        raise self._refusal(answer.status, reply, answer.get_header("location"))

    def _read_lines(self, answer: "SyncResponse", content: bytes) -> Any:
        import msgspec

        if answer.get_header("supported-tsuru") is None:
            return self._read(answer, content, ())
        if 200 <= answer.status < 300:
            try:
                return msgspec.json.decode(content) if content else None
            except msgspec.DecodeError:
                return None
        text = content.decode(errors="replace").strip()
        raise Refused(text, _hint(answer.status, self.url, self._token), status=answer.status)

    def _refusal(self, status: int, reply: object, location: str | None) -> Failure:
        if 300 <= status < 400 and location:
            return NotReachable(f"{self.url} redirects to {location}", "give that server's own URL")
        error = _told(status, reply)
        if error is None:
            return NotReachable(f"{self.url} answered {status}, and not as Undercroft does", _NOT_OURS)
        code = str(reply.get("code", "")) if isinstance(reply, dict) else ""
        return Refused(error, _hint(status, self.url, self._token), status=status, code=code)


def _told(status: int, reply: object) -> str | None:
    """Why it was refused. The messaging document says it as `detail`, as a reason, or field by field."""
    if isinstance(reply, dict):
        for name in ("error", "detail", "reason"):
            if isinstance(reply.get(name), str):
                return str(reply[name])
        of_fields = [(name, words) for name, words in reply.items() if isinstance(words, list) and words]
        if status == 400 and of_fields and len(of_fields) == len(reply):
            return "; ".join(
                " ".join(map(str, words)) if name == "non_field_errors" else f"{name}: {' '.join(map(str, words))}"
                for name, words in of_fields
            )
    if status == 400 and isinstance(reply, list) and reply and all(isinstance(one, str) for one in reply):
        return " ".join(reply)
    return None


_NOT_OURS = "is it the URL of an Undercroft server? `croft --url URL status` tries another"


@contextmanager
def as_ours(server: Server) -> Generator[None, None, None]:
    """Around what reads an answer: one of another shape comes from something else than Undercroft."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError, OSError) as error:
        raise NotReachable(f"{server.url} answered, but not as Undercroft does", _NOT_OURS) from error


def connect(context: typer.Context) -> Server:
    """The server that flags, variables or the profiles' file name, with its token."""
    login = chosen(context)
    return Server(login.url, login.token)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def _why(error: Exception, url: str) -> str:
    from pyreqwest.exceptions import ConnectError, ConnectTimeoutError, RequestTimeoutError

    if isinstance(error, RequestTimeoutError) and not isinstance(error, ConnectTimeoutError):
        return f"{url} took the call, but did not answer in time"
    if isinstance(error, ConnectError | ConnectTimeoutError):
        return f"no server answers at {url}{_cause(error)}"
    return f"the call of {url} failed{_cause(error)}"


def _cause(error: Exception) -> str:
    causes = (getattr(error, "details", None) or {}).get("causes") or []
    return f" ({causes[-1]['message']})" if causes else ""


def _how_to_reach(url: str) -> str:
    start = "start one with `croft run`, or " if is_loopback(url) else ""
    return f"{start}name another with `croft --url URL …` or `croft login URL`"


def _hint(status: int, url: str, token: str) -> str:
    if status == 401:
        state = "the token is wrong, expired or revoked" if token else "you are not logged in"
        return f"{state}: `croft login {url}`"
    if status == 403:
        return "this token may not do that: `croft status` shows its scopes"
    if status in (429, 503):
        return "try again in a moment"
    return "its log says more" if status >= 500 else ""
