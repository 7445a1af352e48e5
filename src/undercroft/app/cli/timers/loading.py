"""A file of jobs, cut into bulks: NDJSON line by line as it comes, a JSON array as a whole."""

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple

from undercroft.app.cli.failures import WrongUsage

MOST_JOBS = 500
MOST_BYTES = 8 * 2**20  # well below what a server takes in one request
LARGEST_ARRAY = 512 * 2**20


class Bulk(NamedTuple):
    """A JSON array of jobs as written; `places` say where each stood, `read` how many bytes are behind us."""

    body: bytes
    places: list[str]
    read: int

    @property
    def place(self) -> str:
        if len(self.places) == 1:
            return self.places[0]
        return f"{self.places[0]} to {self.places[-1].rpartition(' ')[2]}"


class Failed(NamedTuple):
    place: str
    id: str
    error: str
    code: str


class _Item(NamedTuple):
    job: bytes
    place: str
    read: int


def bulks(stream: BinaryIO) -> Iterator[Bulk]:
    """Raises WrongUsage at the first place that is no JSON object."""
    waiting: list[_Item] = []
    size = 0
    for item in _items(stream):
        if waiting and (len(waiting) == MOST_JOBS or size + len(item.job) > MOST_BYTES):
            yield _bulk(waiting)
            waiting, size = [], 0
        waiting.append(item)
        size += len(item.job) + 1
    if waiting:
        yield _bulk(waiting)


def _bulk(items: list[_Item]) -> Bulk:
    body = b"[" + b",".join(item.job for item in items) + b"]"
    return Bulk(body, [item.place for item in items], items[-1].read)


def _items(stream: BinaryIO) -> Iterator[_Item]:
    first = b""
    empty = 0
    for first in stream:
        if first.strip():
            break
        empty += 1
    if first.lstrip().startswith(b"["):
        yield from _array(first + stream.read(LARGEST_ARRAY))
    else:
        yield from _lines(chain([first], stream), empty)


def _array(content: bytes) -> Iterator[_Item]:
    import msgspec

    if len(content) > LARGEST_ARRAY:
        raise WrongUsage("the array is too large to be read at once", "write one job per line instead")
    try:
        jobs = msgspec.json.decode(content, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WrongUsage(f"the file is no JSON array: {error}") from None
    read = 0
    for number, job in enumerate(jobs, 1):
        read += len(bytes(job)) + 1
        yield _Item(_checked(bytes(job), f"job {number}"), f"job {number}", read)


def _lines(lines: Iterator[bytes], skipped: int) -> Iterator[_Item]:
    read = 0
    for number, line in enumerate(lines, 1 + skipped):
        read += len(line)
        if job := line.strip():
            place = f"line {number}"
            yield _Item(_checked(job, place), place, read)


def _checked(job: bytes, place: str) -> bytes:
    import msgspec

    try:
        job.decode()
        msgspec.json.decode(job, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WrongUsage(
            f"{place} is no job: {error}", "write one JSON object per line, or one array of them"
        ) from None
    return job
