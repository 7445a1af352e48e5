"""An object that is made of parts: nothing of it is there before all have come, nothing is left of one that failed."""

import contextlib
import json
import math
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from undercroft.base.ids import sortable_id
from undercroft.families.sync.storages.asking import read_exactly
from undercroft.families.sync.storages.errors import Changed, Vanished
from undercroft.families.sync.storages.real_folders import is_left
from undercroft.families.sync.storages.s3_bucket import Bucket, Held

SMALLEST_PART = 5 * 2**20
MOST_PARTS = 10_000
COPIED_PART = 2**30
# Bytes: a key has 1,024, which JSON may write as six times as many.
LONGEST_NOTE = 16_384


class Parts:
    """An upload under way; see `upload`."""

    def __init__(self, bucket: Bucket, key: str, upload: str) -> None:
        self._bucket, self._key, self._upload = bucket, key, upload
        self._etags: list[str] = []
        self._size = 0

    def send(self, source: BinaryIO, size: int, length: int) -> None:
        """`length`: of a part, which is in memory as a whole; more where there would be too many."""
        self._size = size
        length = max(length, math.ceil(size / MOST_PARTS))
        for number, at in enumerate(range(0, size, length), 1):
            body = read_exactly(source, min(length, size - at))
            self._etags.append(self._bucket.part(self._key, self._upload, number, body))
            del body  # before the next is read

    def copy(self, source: str, there: Held) -> None:
        """From an object of the same bucket, as long as it is still the one that was seen."""
        condition = {"x-amz-copy-source-if-match": f'"{there.etag}"'}
        self._size = there.size
        for number, at in enumerate(range(0, there.size, COPIED_PART), 1):
            end = min(at + COPIED_PART, there.size)
            headers = {**condition, "x-amz-copy-source-range": f"bytes={at}-{end - 1}"}
            etag = self._bucket.copied_part(source, self._key, self._upload, number, headers, end - at)
            self._etags.append(etag)

    def complete(self, condition: dict[str, str]) -> str:
        """Its ETag."""
        return self._bucket.complete(self._key, self._upload, self._etags, condition, self._size)


@contextlib.contextmanager
def upload(bucket: Bucket, notes: str, key: str, headers: dict[str, str]) -> Iterator[Parts]:
    """Aborted where it fails: its parts would be paid for, for ever. `notes`: under keys that begin like this it is
    written down before it has any."""
    begun = bucket.begin(key, headers)
    note = f"{notes}{sortable_id()}"
    try:
        bucket.put(note, json.dumps([key, begun]).encode(), {})
        yield Parts(bucket, key, begun)
    except BaseException:
        with contextlib.suppress(OSError, Vanished):
            bucket.abort(key, begun)
            bucket.delete(note, {})
        raise
    with contextlib.suppress(OSError, Vanished):  # it is forgotten with those that were left
        bucket.delete(note, {})


def abort_left(bucket: Bucket, notes: str, root: str) -> None:
    """What a killed process left, when nobody can be at it any more. `root`: the beginning of all keys of ours. What
    can't be aborted is tried another time."""
    for page in bucket.pages(notes):
        for note in (one.key for one in page if is_left(one.key) and one.size <= LONGEST_NOTE):
            with contextlib.suppress(OSError, Changed):
                _abort_noted(bucket, note, root)


def _abort_noted(bucket: Bucket, note: str, root: str) -> None:
    answer = bucket.get(note, 0)
    try:
        noted = _read(answer.body())
    finally:
        answer.close()
    if noted is not None and noted[0].startswith(root):
        with contextlib.suppress(FileNotFoundError):  # it came to its end
            bucket.abort(*noted)
    bucket.delete(note, {})


def _read(note: bytes) -> tuple[str, str] | None:
    try:
        key, upload = msgspec.json.decode(note, type=tuple[str, str])
    except msgspec.DecodeError:
        return None
    return key, upload
