"""The head of a reply, as bytes."""

from functools import lru_cache
from http import HTTPStatus

from undercroft.machinery.operations import Reply


def render_head(reply: Reply, date: bytes, length: int | None, keep_alive: bool) -> bytes:
    """The head of a reply; `length` None: in chunks."""
    lines = [_beginning(reply.status, reply.content_type), date, b"\r\n"]
    lines += [b"%b: %b\r\n" % header for header in reply.headers]
    if length is None:
        lines.append(b"transfer-encoding: chunked\r\n")
    elif reply.status not in (204, 304):
        lines.append(b"content-length: %d\r\n" % length)
    lines.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    return b"".join(lines)


@lru_cache(200)
def _beginning(status: int, content_type: bytes) -> bytes:
    return b"HTTP/1.1 %d %b\r\nx-content-type-options: nosniff\r\ncontent-type: %b\r\ndate: " % (
        status,
        _reason(status),
        content_type,
    )


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"-"
