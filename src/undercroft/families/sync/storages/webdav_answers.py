"""What a WebDAV server answers to PROPFIND: a list of resources, read as it comes. Pure.

A server may be broken, or somebody else's: a list that never ends, or is none, is an OSError after so much of it.
"""

import errno
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from undercroft.families.sync.storages.judging import size_of, time_of

LONGEST_RESOURCE = 2**20
"""Bytes that may come before something is told: all that is in memory of the text itself."""
MOST_RESOURCES = 1_000_000
"""In one folder."""
_DAV = "{DAV:}"


class Resource(NamedTuple):
    """`name`: relative to the root, plain text; "" the root itself."""

    name: str
    is_folder: bool
    size: int
    """Bytes; less than 0 where what is told is no size."""
    etag: str
    mtime: int
    """Nanoseconds since 1970, of whole seconds."""


def resources(blocks: Iterable[bytes], root: bytes, url: str) -> Iterator[Resource]:
    """`root`: the path of the entry's root, with a slash at its end, not quoted; what is not below it is left out.

    Raises OSError, which names `url`.
    """
    for number, element in enumerate(_responses(blocks, url)):
        resource = _resource(element, root)
        if resource is not None:
            yield resource
        if number > MOST_RESOURCES:
            raise OSError(errno.EPROTO, f"{url} lists more than {MOST_RESOURCES:,} files in one folder")


def _responses(blocks: Iterable[bytes], url: str) -> Iterator[Element]:
    """Each is forgotten when the next is asked for."""
    parser: Any = XMLPullParser(("start", "end"))
    whole: Element | None = None
    waiting = 0
    try:
        for block in blocks:
            waiting += len(block)
            parser.feed(block)
            for event, element in cast(Iterator[tuple[str, Element]], parser.read_events()):
                whole = element if whole is None else whole
                if event == "end" and element.tag == f"{_DAV}response":
                    yield element
                    whole.clear()
                    waiting = 0
            if waiting > LONGEST_RESOURCE:
                raise OSError(errno.EPROTO, f"{url} does not speak WebDAV: its answer is no list, and has no end")
        parser.close()
    except ParseError:
        raise OSError(errno.EPROTO, f"{url} does not speak WebDAV: its answer is no XML") from None


def _resource(element: Element, root: bytes) -> Resource | None:
    try:
        address = urllib.parse.urlsplit(element.findtext(_DAV + "href", "").strip())
    except ValueError:
        return None
    path = urllib.parse.unquote_to_bytes(address.path).rstrip(b"/") + b"/"
    properties = next((one.find(_DAV + "prop") for one in element.iter(_DAV + "propstat") if _is_found(one)), None)
    if properties is None or not path.startswith(root):
        return None
    return Resource(
        path[len(root) :].rstrip(b"/").decode(errors="surrogateescape"),
        properties.find(f"{_DAV}resourcetype/{_DAV}collection") is not None,
        size_of((properties.findtext(_DAV + "getcontentlength") or "0").strip()),
        properties.findtext(_DAV + "getetag") or "",
        time_of(properties.findtext(_DAV + "getlastmodified") or ""),
    )


def _is_found(propstat: Element) -> bool:
    return " 200" in (propstat.findtext(_DAV + "status") or " 200")
