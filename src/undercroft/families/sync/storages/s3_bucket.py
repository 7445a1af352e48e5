"""One bucket: the requests of S3's API that a drive is made of, each whole or refused in our words.

The SHA-256 of each body is signed with the request: S3 refuses what arrives as something else.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from undercroft.families.sync.storages import s3_answers
from undercroft.families.sync.storages.asking import MOST_LISTED, MOST_PAGES, Answer, Asking, Streamed, endless
from undercroft.families.sync.storages.errors import Vanished
from undercroft.families.sync.storages.judging import size_of, time_of
from undercroft.families.sync.storages.s3_answers import Listed, Place, etag
from undercroft.families.sync.storages.s3_signing import NOTHING, Keys, query_of, quoted, signed

META = "x-amz-meta-"
PAGE = 1_000
Headers = Mapping[str, str]


class Held(NamedTuple):
    """An object, by its headers. `mtime` is when it arrived, in nanoseconds; `meta` what its writer said of it."""

    size: int
    etag: str
    mtime: int
    meta: dict[str, str]


class Bucket:
    """For one thread."""

    def __init__(self, options: Mapping[str, Any], asking: Asking) -> None:
        region = options.get("region") or "us-east-1"
        name, endpoint = options["bucket"], options.get("endpoint") or f"https://s3.{region}.amazonaws.com"
        try:
            parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        except ValueError:
            raise Vanished(f"the option endpoint is no address: {endpoint}") from None
        in_path = options.get("path_style", True)
        host = parts.netloc.lower() if in_path else f"{name}.{parts.netloc.lower()}"
        # The port that goes without saying is not in the Host header that is signed.
        self._host = host.removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme, ""))
        self._origin = f"{parts.scheme}://{self._host}"
        self._path = parts.path.rstrip("/") + (f"/{quoted(name)}" if in_path else "")
        self._keys = Keys(options["aws_access_key"], options["aws_secret_key"], region)
        self._asking = asking
        self.place = Place(name, self._host)

    def pages(self, prefix: str, after: str = "") -> Iterator[list[Listed]]:
        """Page by page, in the order of their bytes. `after`: only keys beyond this one. Raises OSError for a list that
        begins again, or has no end."""
        token, listed, asked_for = "", 0, set[int]()
        for _ in range(MOST_PAGES):
            asked = {"list-type": "2", "prefix": prefix, "encoding-type": "url", "max-keys": str(PAGE)}
            asked |= {"continuation-token": token} if token else {"start-after": after} if after else {}
            answer = s3_answers.page(self._ask("GET", "", query=asked))
            yield [one for one in answer.listed if one.key.startswith(prefix)]
            token, listed = answer.token, listed + len(answer.listed)
            if not token:
                return
            if hash(token) in asked_for or listed > MOST_LISTED:
                break
            asked_for.add(hash(token))
        raise endless(self.place.host)

    def has(self, prefix: str) -> bool:
        """Whether a key begins like this."""
        asked = {"list-type": "2", "prefix": prefix, "max-keys": "1", "encoding-type": "url"}
        return bool(s3_answers.page(self._ask("GET", "", query=asked)).listed)

    def head(self, key: str) -> Held | None:
        try:
            return held(self._ask("HEAD", key).headers)
        except FileNotFoundError:
            return None

    def get(self, key: str, start: int) -> Streamed:
        """From a byte on. The answer's status is 206, 200 where the range was not heeded, or 416 past the end."""
        headers = {"range": f"bytes={start}-"} if start else {}
        sent = self._signed("GET", key, "", headers, NOTHING)
        answer = self._asking.stream("GET", self._address(key, ""), sent)
        if answer.status in (200, 206, 416):
            return answer
        try:
            raise s3_answers.failure(Answer(answer.status, answer.headers, answer.body()), self.place, key)
        finally:
            answer.close()

    def put(self, key: str, body: bytes | bytearray, headers: Headers) -> str:
        """Its ETag."""
        return etag(self._ask("PUT", key, headers=headers, body=body).headers.get("etag", ""))

    def copy(self, source: str, key: str, headers: Headers, size: int) -> str:
        """The new one's ETag; by S3 itself, up to 5 GiB."""
        answer = self._ask("PUT", key, headers={**headers, **self._from(source)}, work=size)
        return etag(s3_answers.field(self._done(answer, key), "ETag"))

    def delete(self, key: str, headers: Headers) -> None:
        self._ask("DELETE", key, headers=headers)

    # An upload in parts

    def begin(self, key: str, headers: Headers) -> str:
        """The upload's id."""
        return s3_answers.field(self._ask("POST", key, query={"uploads": ""}, headers=headers), "UploadId")

    def part(self, key: str, upload: str, number: int, body: bytes | bytearray) -> str:
        """The part's ETag."""
        answer = self._ask("PUT", key, query={"partNumber": str(number), "uploadId": upload}, body=body)
        return etag(answer.headers.get("etag", ""))

    def copied_part(self, source: str, key: str, upload: str, number: int, headers: Headers, size: int) -> str:
        query = {"partNumber": str(number), "uploadId": upload}
        answer = self._ask("PUT", key, query=query, headers={**headers, **self._from(source)}, work=size)
        return etag(s3_answers.field(self._done(answer, key), "ETag"))

    def complete(self, key: str, upload: str, parts: list[str], headers: Headers, size: int) -> str:
        """The object's ETag; only now it is there, of so many bytes."""
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{escape(part)}&quot;</ETag></Part>"
            for number, part in enumerate(parts, 1)
        )
        body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        answer = self._ask("POST", key, query={"uploadId": upload}, headers=headers, body=body, work=size)
        return etag(s3_answers.field(self._done(answer, key), "ETag"))

    def abort(self, key: str, upload: str) -> None:
        self._ask("DELETE", key, query={"uploadId": upload})

    def _from(self, source: str) -> dict[str, str]:
        return {"x-amz-copy-source": f"/{quoted(self.place.bucket)}/{quoted(source)}"}

    def _done(self, answer: Answer, key: str) -> Answer:
        """S3 says 200 before it knows; then an error is in the body."""
        if said := s3_answers.code(answer):
            raise s3_answers.failure(answer._replace(status=409 if "Condition" in said else 500), self.place, key)
        return answer

    def _ask(
        self,
        method: str,
        key: str,
        *,
        query: Headers | None = None,
        headers: Headers | None = None,
        body: bytes | bytearray = b"",
        work: int = 0,
    ) -> Answer:
        asked = query_of(query or {})
        sent = self._signed(method, key, asked, headers or {}, hashlib.sha256(body).hexdigest() if body else NOTHING)
        answer = self._asking.ask(method, self._address(key, asked), sent, body, work)
        if answer.status >= 300:
            raise s3_answers.failure(answer, self.place, key)
        return answer

    def _address(self, key: str, query: str) -> str:
        return f"{self._origin}{self._path}/{quoted(key)}" + (f"?{query}" if query else "")

    def _signed(self, method: str, key: str, query: str, headers: Headers, digest: str) -> dict[str, str]:
        path = f"{self._path}/{quoted(key)}"
        try:
            return signed(self._keys, method, self._host, path, query, headers, digest, self._asking.clock())
        except UnicodeEncodeError:
            raise Vanished("aws_access_key, aws_secret_key or region is no text that can be sent: mend it") from None


def held(headers: Headers) -> Held:
    """What an answer's headers say of the object; the size is the whole one's, also where a part of it comes."""
    whole = headers.get("content-range", "").rpartition("/")[2]
    size = size_of(whole if whole.isdigit() else headers.get("content-length", "0"))
    meta = {name.removeprefix(META): value for name, value in headers.items() if name.startswith(META)}
    return Held(size, etag(headers.get("etag", "")), time_of(headers.get("last-modified", "")), meta)
