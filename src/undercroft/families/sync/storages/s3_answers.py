"""What S3 answers: its XML read, its errors as ours. Pure.

Of an error only the code is repeated: the rest of it may hold keys and signatures.
"""

import errno
import re
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from undercroft.families.sync.storages.asking import Answer
from undercroft.families.sync.storages.errors import Changed, Vanished
from undercroft.families.sync.storages.judging import moment_of, size_of

_CREDENTIALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "InvalidSecurity"}
_ELSEWHERE = {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IncorrectEndpoint"}
_OTHER_CONTENT = {"PreconditionFailed", "ConditionalRequestConflict", "OperationAborted"}
# Of servers that keep objects in folders of a disk.
_IN_THE_WAY = {"ObjectParentIsFile", "ExistingObjectIsDirectory", "XMinioParentIsObject"}
_UNKNOWN = {"NotImplemented", "InvalidArgument", "InvalidRequest", "UnsupportedOperation"}
_FULL = {"QuotaExceeded", "StorageFull", "XMinioStorageFull", "InsufficientStorage"}


class Listed(NamedTuple):
    key: str
    size: int
    etag: str
    mtime: int
    """Nanoseconds since 1970, of its arrival."""


class Page(NamedTuple):
    listed: list[Listed]
    token: str
    """Asks for the next page; "" after the last."""


class Place(NamedTuple):
    """Whom errors speak of."""

    bucket: str
    host: str


def page(answer: Answer) -> Page:
    root = _xml(answer.body)
    if _tag(root) != "ListBucketResult":  # of some other server it would be an empty bucket
        raise _no_s3()
    encoded = bool(_text(root, "EncodingType"))
    listed = [_listed(element, encoded) for element in root if _tag(element) == "Contents"]
    token = _text(root, "NextContinuationToken") if _text(root, "IsTruncated") == "true" else None
    if token == "":
        raise OSError(errno.EPROTO, "the answer is a part of a list, and does not say how the rest is asked for")
    return Page(listed, token or "")


def field(answer: Answer, name: str) -> str:
    """The text of an element below the root; "" without."""
    return _text(_xml(answer.body), name)


def etag(said: str) -> str:
    """Without its quotes."""
    return said.strip().removeprefix("W/").strip('"')


def code(answer: Answer) -> str:
    """The error's; "" where none is told, as with every answer to HEAD."""
    try:
        root = _xml(answer.body)
    except OSError:
        return ""
    said = _text(root, "Code") if _tag(root) == "Error" else ""
    return said if re.fullmatch(r"[A-Za-z0-9.]{1,64}", said) else ""


def failure(answer: Answer, place: Place, key: str) -> Exception:  # noqa: PLR0911  one line per kind
    """Why this was not done. `key`: the object it was about, "" where it was the bucket."""
    said = code(answer)
    if mend := _to_mend(answer, said, place, key):
        return Vanished(mend)
    if answer.status in (401, 403):
        return PermissionError(errno.EACCES, f"{place.host} does not allow it to these keys ({said or answer.status})")
    if answer.status == 412 or said in _OTHER_CONTENT:
        return Changed(key)
    if said in _IN_THE_WAY:
        return NotADirectoryError(errno.ENOTDIR, f"{place.host} keeps folders, and a file has the name of one ({said})")
    if said == "KeyTooLongError":
        return OSError(errno.EILSEQ, f"{place.host} takes no name of this length")
    if answer.status == 501 or said in _UNKNOWN:
        return OSError(errno.EOPNOTSUPP, f"{place.host} does not know this request ({said or 501})")
    if said in _FULL or answer.status == 507:
        return OSError(errno.ENOSPC, f"{place.host} has no room for it ({said or 507})")
    if answer.status == 404 and (said or not answer.body):
        return FileNotFoundError(errno.ENOENT, f"{key} is not in bucket {place.bucket} at {place.host}")
    return OSError(errno.EIO, f"{place.host} answered {answer.status}{f' {said}' * bool(said)}; it is tried again")


def _to_mend(answer: Answer, said: str, place: Place, key: str) -> str:
    """What somebody has to do before anything else can be done; "" for nothing."""
    bucket = f"bucket {place.bucket} at {place.host}"
    if said in _CREDENTIALS:
        return f"{place.host} refuses the keys: mend aws_access_key and aws_secret_key"
    if said in _ELSEWHERE or answer.status in (301, 307, 308):
        there = re.sub(r"[^a-z0-9-]", "", answer.headers.get("x-amz-bucket-region") or _region(answer))
        return f"{bucket} is in another region or at another endpoint: set region{f' to {there}' * bool(there)}"
    if said == "RequestTimeTooSkewed":
        return f"the clocks of this machine and of {place.host} differ by too much: set ours"
    if said == "NoSuchBucket" or (answer.status == 404 and not key and not said):
        return f"there is no {bucket}: make it, or mend the option bucket"
    if answer.status in (401, 403, 404) and not key:
        return f"the keys may not list {bucket} ({said or answer.status}): allow it to them, or mend them"
    return ""


def _region(answer: Answer) -> str:
    try:
        return field(answer, "Region")
    except OSError:
        return ""


def _listed(element: ElementTree.Element, encoded: bool) -> Listed:
    key = _text(element, "Key")
    return Listed(
        unquote_plus(key, errors="surrogateescape") if encoded else key,
        size_of(_text(element, "Size")),
        etag(_text(element, "ETag")),
        moment_of(_text(element, "LastModified")),
    )


def _xml(body: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError):
        raise _no_s3() from None


def _no_s3() -> OSError:
    return OSError(errno.EPROTO, "the answer is not S3's: is the option endpoint right?")


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str) -> str:
    return next((child.text or "" for child in element if _tag(child) == name), "")
