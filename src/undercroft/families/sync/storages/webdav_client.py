"""WebDAV's requests over HTTP, for one thread. What goes wrong is an error that says what to do."""

import contextlib
import errno
import os
import posixpath
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from pyreqwest.client import ClientBuilder, SyncClient, SyncClientBuilder
from pyreqwest.exceptions import BuilderError, PyreqwestError
from pyreqwest.request import RequestBuilder, SyncRequestBuilder
from pyreqwest.response import SyncResponse

from undercroft.families.sync.storages.errors import Changed, Vanished
from undercroft.families.sync.storages.long_requests import LongRequests, Outgoing
from undercroft.families.sync.storages.named_file import read_named
from undercroft.families.sync.storages.told_headers import told_headers
from undercroft.families.sync.storages.webdav_answers import Resource, resources

Builder = TypeVar("Builder", ClientBuilder, SyncClientBuilder)
Request = TypeVar("Request", RequestBuilder, SyncRequestBuilder)

# The latter of what the server has next to nothing to do with; else it is `answer_within`.
CONNECT_WITHIN, ANSWER_WITHIN = timedelta(seconds=15), timedelta(seconds=60)
_WANTED = (
    b'<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop>'
    b"<D:getetag/><D:getcontentlength/><D:getlastmodified/><D:resourcetype/></D:prop></D:propfind>"
)
_SAFE = "/~!$&'()*,;=:@"
_ERRORS = {400: errno.EILSEQ, 403: errno.EACCES, 404: errno.ENOENT, 410: errno.ENOENT, 414: errno.EILSEQ}
_ERRORS |= {409: errno.ENOENT, 507: errno.ENOSPC}


class WebdavClient:
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self.url = _url_of(options)
        self._path = urllib.parse.unquote_to_bytes(urllib.parse.urlsplit(self.url).path)
        self._client: SyncClient | None = None
        self._changing = LongRequests(lambda: self._set_up(ClientBuilder()))

    def list_folder(self, name: str) -> list[Resource]:
        """Itself first, then what is in it. Raises FileNotFoundError."""
        found = self._properties(name, "1")
        if not found or found[0].name != name:
            raise OSError(errno.EPROTO, f"{self.url} lists a folder without naming it; its answer can't be trusted")
        # One that is told of again, or from elsewhere, would be looked into for ever.
        return [found[0], *(one for one in found[1:] if one.name and posixpath.dirname(one.name) == name)]

    def find(self, name: str) -> Resource | None:
        try:
            found = self._properties(name, "0")
        except FileNotFoundError:
            return None
        return found[0] if found else None

    def do(
        self, method: str, name: str, headers: dict[str, str], work: int = 0, body: Outgoing | None = None
    ) -> Mapping[str, str]:
        """What changes something: the answer's headers, names in lower case. `work`: bytes that the server has to do
        with.

        Raises OSError: FileNotFoundError, PermissionError …; Changed for a condition that fails.
        """
        if body is None and not work:
            with self._sent(self._request(method, name, headers)) as response:
                self._check(response.status, method)
                return told_headers(response.headers)
        request = self._headed(self._changing.request, method, name, headers)
        try:
            told = self._changing.ask(request, body, work)
        except PyreqwestError as error:
            raise unreachable(self.url, error) from None
        except TimeoutError as error:
            if error.errno is not None:  # of who reads the body
                raise
            raise TimeoutError(errno.ETIMEDOUT, f"{self.url} did not answer in time; it is tried again") from None
        self._check(told.status, method)
        return told.headers

    def get(self, name: str, start: int) -> "Download":
        headers = {"range": f"bytes={start}-"} if start else {}
        download = Download(self, self._request("GET", name, headers), start)
        try:
            self._check(download.response.status, "GET")
        except BaseException:
            download.close()
            raise
        return download

    def address(self, name: str) -> str:
        """The URL. Raises UnicodeEncodeError for a name that is no text."""
        path = urllib.parse.quote(name.encode(), safe=_SAFE)
        return f"{self.url}{path}"

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
        self._changing.close()

    # Parts

    def _properties(self, name: str, depth: str) -> list[Resource]:
        headers = {"depth": depth, "content-type": "application/xml; charset=utf-8"}
        address = name + "/" if name and depth == "1" else name
        with self._sent(self._request("PROPFIND", address, headers).body_bytes(_WANTED)) as response:
            self._check(response.status, "PROPFIND")
            found = list(resources(_blocks(response, self.url), self._path, self.url))
        return sorted(found, key=lambda one: one.name != name)

    def _request(self, method: str, name: str, headers: dict[str, str]) -> SyncRequestBuilder:
        if self._client is None:
            with _authority():
                self._client = self._set_up(SyncClientBuilder()).read_timeout(ANSWER_WITHIN).build()
        return self._headed(self._client.request, method, name, headers)

    def _headed(self, begin: Callable[[str, str], Request], method: str, name: str, headers: dict[str, str]) -> Request:
        o = self._options
        try:
            request = begin(method, self.address(name)).headers(headers)
            if o["token"]:
                return request.bearer_auth(o["token"])
            return request.basic_auth(o["username"], o["password"]) if o["username"] else request
        except UnicodeEncodeError:
            raise
        except (BuilderError, ValueError):  # the latter of a header that can't be sent
            raise Vanished(f"{self.url} can't be asked like this: look at the entry's options") from None

    def _set_up(self, builder: Builder) -> Builder:
        builder = builder.follow_redirects(False).gzip(False).brotli(False).zstd(False).deflate(False)
        builder = builder.connect_timeout(CONNECT_WITHIN).user_agent("Undercroft")
        file = self._options["ca_file"]
        if not file:
            return builder
        authority = read_named("ca_file", file)
        with _authority():
            return builder.add_root_certificate_pem(authority)

    def _sent(self, request: SyncRequestBuilder) -> "_Sent":
        return _Sent(request, self.url)

    def _check(self, status: int, method: str) -> None:
        """Nothing of the answer's body is told: what is in it is not ours to judge."""
        if 200 <= status < 300 and (status != 207 or method == "PROPFIND"):  # elsewhere a part of it has failed
            return
        if status == 401:
            raise Vanished(f"{self.url} does not let us in: check username and password, or token")
        if status == 412:
            raise Changed("it was changed meanwhile")
        if 300 <= status < 400:
            raise Vanished(f"{self.url} sends us elsewhere (status {status}): give that address as the option hostname")
        if status in _ERRORS:
            raise OSError(_ERRORS[status], os.strerror(_ERRORS[status]))
        raise OSError(errno.EIO, f"{self.url} answers {method} with status {status}; it is tried again")


class _Sent:
    """A request under way, as a context manager; its errors are OSErrors."""

    def __init__(self, request: SyncRequestBuilder, url: str) -> None:
        self._request = request.build_streamed()
        self._url = url

    def __enter__(self) -> SyncResponse:
        try:
            return self._request.__enter__()
        except PyreqwestError as error:
            raise unreachable(self._url, error) from None

    def __exit__(self, *failed: Any) -> None:
        self._request.__exit__(*failed)


class Download:
    """Content that arrives; `response` has its headers."""

    def __init__(self, client: WebdavClient, request: SyncRequestBuilder, start: int) -> None:
        self._url = client.url
        self._sent = client._sent(request)
        self._start = start
        self.response = self._sent.__enter__()

    def blocks(self) -> Iterator[bytes]:
        skip = self._start if self.response.status != 206 else 0  # it does not know ranges
        try:
            while found := bytes(self.response.body_reader.read(2**20) or b""):
                yield found[skip:]
                skip = max(0, skip - len(found))
        except PyreqwestError as error:
            raise unreachable(self._url, error) from None

    def close(self) -> None:
        self._sent.__exit__(None, None, None)


def unreachable(url: str, error: Exception) -> OSError:
    """Without the error's own details: an address in them might hold a secret."""
    return OSError(errno.EHOSTUNREACH, f"{url} can't be reached, or hung up ({type(error).__name__})")


@contextlib.contextmanager
def _authority() -> Iterator[None]:
    try:
        yield
    except PyreqwestError:
        raise Vanished("the file of the option ca_file holds no certificate in PEM form") from None


def _blocks(response: SyncResponse, url: str) -> Iterator[bytes]:
    try:
        while block := response.body_reader.read_chunk():
            yield bytes(block)
    except PyreqwestError as error:
        raise unreachable(url, error) from None


def _url_of(options: dict[str, Any]) -> str:
    """`cloud.example.org` or a whole address → the address of the root, with a slash at its end."""
    given = options["hostname"] if "://" in options["hostname"] else f"https://{options['hostname']}"
    wrong = Vanished("the option hostname is such as cloud.example.org or https://cloud.example.org/remote.php/webdav")
    try:
        parts = urllib.parse.urlsplit(given)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise wrong from None
    if not good or parts.username is not None or parts.query or parts.fragment:
        raise wrong
    if any(part in (".", "..") for part in options["root"].split("/")):
        raise Vanished("the option root has parts . or ..: mend it")
    root = urllib.parse.quote(options["root"].strip("/").encode(), safe=_SAFE)
    path = "/".join(part for part in (parts.path.strip("/"), root) if part)
    return f"{parts.scheme}://{parts.netloc}/{path}/" if path else f"{parts.scheme}://{parts.netloc}/"
