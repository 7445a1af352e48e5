"""A bucket, or a part of one, at anything that speaks S3.

A file is an object: its key is the file's name below `root`, byte for byte, its revision the ETag. Content is sent in
parts that fit in memory, and is there only when all have come; an upload that fails is aborted. Every write names what
it replaces (If-Match, If-None-Match: *), so that one which was given up and lands late overwrites nothing. Where a
server does not know these conditions, which is found out by trying, a look just before has to do: a change made
between the two is then lost to its ETag. A move is a copy and a deletion.

The time of a change is kept as rclone does (`x-amz-meta-mtime`); a listing does not tell it, and gives the time of
arrival. An empty object that others are below, and one whose key ends with `/`, is a folder's mark and no file.
"""

import contextlib
import errno
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

from undercroft.families.sync.model import mimetype
from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.storages.asking import Asking, StreamedReading, read_exactly
from undercroft.families.sync.storages.drive import Reading, Stat
from undercroft.families.sync.storages.errors import Changed, Vanished
from undercroft.families.sync.storages.s3_answers import Listed
from undercroft.families.sync.storages.s3_bucket import META, Bucket, Held, held
from undercroft.families.sync.storages.s3_order import without_others_roots
from undercroft.families.sync.storages.s3_parts import SMALLEST_PART, abort_left, upload

LONGEST_KEY = 1_024
COPIED_AT_ONCE = 5 * 2**30
OWN = f"{OWN_FOLDER}/"
# Whose write it was that landed, when the answer to it was lost.
_MARK = "undercroft-write"


class Heeds(NamedTuple):
    """Which conditions the server heeds; those it does not are looked at just before."""

    create: bool
    replace: bool
    delete: bool


class AmazonS3:
    """A drive. `asking`: with another pause and clock than time's."""

    names_are_bytes = False

    def __init__(self, options: Mapping[str, Any], asking: Asking | None = None) -> None:
        root = options.get("root", "").strip("/")
        self._root = f"{root}/" if root else ""
        self._notes = f"{self._root}{OWN}uploads/"
        self._chunk = max(SMALLEST_PART, options.get("chunk_size", 0))
        self._asking = asking or Asking()
        self._bucket = Bucket(options, self._asking)
        self._known_heeds: Heeds | None = None
        self._given_up: dict[str, tuple[str, str]] = {}
        """Copies that were begun: of a name → its revision and the copy's name."""

    def require_name(self, name: str) -> None:
        self._key(name)

    def check(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", self._bucket.place.bucket):
            raise Vanished("the option bucket is no bucket's name: letters, digits, dots, hyphens")
        if self._root and any(part in ("", ".", "..") for part in self._root[:-1].split("/")):
            raise Vanished("the option root has empty parts, . or ..: mend it")
        self._bucket.has(self._root)
        try:
            self._heeds()
        except PermissionError as error:
            raise Vanished(f"bucket {self._bucket.place.bucket} can't be written: {error.strerror}") from None
        abort_left(self._bucket, self._notes, self._root)

    def walk(self) -> Iterator[Stat]:
        # Empty ones wait until all is seen: the mark of a folder comes long before what is in it.
        empty: dict[str, Stat] = {}
        for found in without_others_roots(self._found()):
            if empty:
                for end in (at for at, letter in enumerate(found.name) if letter == "/"):
                    empty.pop(found.name[:end], None)
            if found.size or found.unfit:
                yield found
            else:
                empty[found.name] = found
        yield from empty.values()

    def files_in(self, folder: str) -> Iterator[Stat]:
        for page in self._bucket.pages(f"{self._key(folder)}/"):
            for one in page:
                name = one.key[len(self._root) :]
                if "/" not in name[len(folder) + 1 :] and not name.endswith("/"):
                    yield Stat(name, one.size, one.etag, one.mtime)

    def stat(self, name: str) -> Stat | None:
        key = self._key(name)
        there = self._bucket.head(key)
        if there is None or (not there.size and self._bucket.has(f"{key}/")):
            return None
        return _stat(name, there)

    def open(self, name: str, start: int = 0) -> Reading:
        answer = self._bucket.get(self._key(name), start)
        if answer.status != 416:
            return StreamedReading(_stat(name, held(answer.headers)), answer, start if answer.status == 200 else 0)
        answer.close()
        there = self.stat(name)
        if there is None or there.size > start:
            raise OSError(errno.EIO, f"{name} was changed while it was asked for; it is tried again")
        return StreamedReading(there, None)

    def put(self, name: str, source: BinaryIO, size: int, mtime: int, base: str) -> Stat:
        key, mark = self._key(name), secrets.token_hex(8)
        headers = {
            f"{META}mtime": f"{mtime // 10**9}.{mtime % 10**9:09}",
            f"{META}{_MARK}": mark,
            "content-type": mimetype(name) or "application/octet-stream",
        }
        condition = self._condition(key, base)
        try:
            if size <= self._chunk:
                revision = self._bucket.put(key, read_exactly(source, size), {**headers, **condition})
            else:
                with upload(self._bucket, self._notes, key, headers) as parts:
                    parts.send(source, size, self._chunk)
                    # It took its time, and not every server that heeds a condition of a put heeds it here.
                    self._look(key, base)
                    revision = parts.complete(condition)
        except (Changed, FileNotFoundError):
            # Ours, where the answer to a first try was lost and the second found what the first had put.
            there = self._bucket.head(key)
            if there is None or there.meta.get(_MARK) != mark:
                raise Changed(name) from None
            revision = there.etag
        return Stat(name, size, revision, mtime)

    def copy(self, source: str, base: str, name: str) -> Stat:
        """Under the name of an earlier try, where that was given up: S3 may have gone on with it."""
        tried, before = self._given_up.get(source, ("", ""))
        is_alike = tried == base and name.startswith(OWN) == before.startswith(OWN)
        return self._copied(source, base, before if is_alike else name)

    def move(self, source: str, base: str, name: str) -> Stat:
        tried, before = self._given_up.get(source, ("", ""))
        is_kept = tried == base and name.startswith(OWN) and before.startswith(OWN)
        made = self._copied(source, base, before if is_kept else name)
        try:
            self.delete(source, base)
        except Changed:
            with contextlib.suppress(Changed):
                self.delete(made.name, made.revision)
            raise
        return made

    def delete(self, name: str, base: str) -> None:
        key = self._key(name)
        heeded = self._heeds().delete
        try:
            if not heeded and (there := self._bucket.head(key)) is not None and there.etag != base:
                raise Changed(name)
            self._bucket.delete(key, {"if-match": f'"{base}"'} if heeded else {})
        except (Changed, FileNotFoundError):
            # Gone is what was wanted; it may even have been our own first try.
            if self._bucket.head(key) is not None:
                raise Changed(name) from None

    def close(self) -> None:
        self._asking.close()

    def _key(self, name: str) -> str:
        """Raises OSError(EILSEQ) for what has no key, UnicodeEncodeError for what is no UTF-8."""
        key = self._root + name
        # Addresses know such parts, and whatever is between us and the server may fold them.
        if any(part in ("", ".", "..") for part in key.split("/")) or len(key.encode()) > LONGEST_KEY:
            raise OSError(
                errno.EILSEQ, f"S3 has no key for this name: up to {LONGEST_KEY} bytes, no part . or ..", name
            )
        return key

    def _found(self) -> Iterator[Stat]:
        """What is below the root, without folders' marks and without what is ours."""
        own, after = self._root + OWN, ""
        beyond = f"{own}\U0010ffff"
        while True:
            for page in self._bucket.pages(self._root, after):
                # A server that does not know `after` begins anew.
                for one in page if not after else (one for one in page if one.key > after):
                    name = one.key[len(self._root) :]
                    if name and not name.startswith(OWN) and not name.endswith("/"):
                        yield _listed(name, one)
                # Versions may be many: what comes after them is asked for at once.
                if not after and page and page[-1].key.startswith(own):
                    break
            else:
                return
            after = beyond

    def _heeds(self) -> Heeds:
        if self._known_heeds is None:
            key = f"{self._root}{OWN}probe-{secrets.token_hex(8)}"
            self._bucket.put(key, b"", {})
            try:
                create = _refuses(lambda: self._bucket.put(key, b"", {"if-none-match": "*"}))
                replace = _refuses(lambda: self._bucket.put(key, b"", {"if-match": '"0"'}))
                delete = _refuses(lambda: self._bucket.delete(key, {"if-match": '"0"'}))
            finally:
                self._bucket.delete(key, {})
            self._known_heeds = Heeds(create, replace, delete)
        return self._known_heeds

    def _condition(self, key: str, base: str) -> dict[str, str]:
        if self._heeds().replace if base else self._heeds().create:
            return {"if-match": f'"{base}"'} if base else {"if-none-match": "*"}
        self._look(key, base)
        return {}

    def _look(self, key: str, base: str) -> None:
        there = self._bucket.head(key)
        if (there.etag if there else "") != base:
            raise Changed(key)

    def _copied(self, source: str, base: str, name: str) -> Stat:
        there, key = self._bucket.head(self._key(source)), self._key(name)
        was_tried = self._given_up.pop(source, None) == (base, name)
        if there is None or there.etag != base:
            raise Changed(source)
        if (made := self._bucket.head(key)) is not None:
            if not was_tried or not is_copy(made, there, name):
                raise Changed(name)
            return _stat(name, there)._replace(revision=made.etag)
        self._given_up[source] = base, name
        revision = self._copy(self._key(source), there, name)
        del self._given_up[source]
        return _stat(name, there)._replace(revision=revision)

    def _copy(self, source: str, there: Held, name: str) -> str:
        key = self._key(name)
        try:
            if there.size <= COPIED_AT_ONCE:
                return self._copy_at_once(source, there, key)
            meta = {f"{META}{name}": said for name, said in there.meta.items()}
            with upload(self._bucket, self._notes, key, meta) as parts:
                parts.copy(source, there)
                return parts.complete({"if-none-match": "*"} if self._heeds().create else {})
        except (Changed, FileNotFoundError):
            # Ours, where the answer to a first try was lost and the second found what the first had made.
            made = self._bucket.head(key)
            if made is None or not is_copy(made, there, name):
                raise Changed(source) from None
            return made.etag

    def _copy_at_once(self, source: str, there: Held, key: str) -> str:
        asked, size = {"x-amz-copy-source-if-match": f'"{there.etag}"'}, there.size
        try:
            condition = {"if-none-match": "*"} if self._heeds().create else {}
            return self._bucket.copy(source, key, {**asked, **condition}, size)
        except OSError as error:
            # Some know the condition of a put and not that of a copy; that the name is free was looked at.
            if error.errno != errno.EOPNOTSUPP:
                raise
            return self._bucket.copy(source, key, asked, size)


def _stat(name: str, there: Held) -> Stat:
    kept = _kept_mtime(there.meta.get("mtime", ""))
    return Stat(name, there.size, there.etag, there.mtime if kept is None else kept)


def is_copy(made: Held, of: Held, name: str) -> bool:
    """Whether it has that content, as far as can be told: the copy of what was sent in parts has another ETag. Names of
    ours are given once."""
    mark = of.meta.get(_MARK)
    is_same = made.etag == of.etag or (mark is not None and made.meta.get(_MARK) == mark) or name.startswith(OWN)
    return made.size == of.size and is_same


def _listed(name: str, one: Listed) -> Stat:
    if len(name) > LONGEST_KEY:  # S3 has none; of what is millions of folders deep each would be looked at
        return Stat(name[:LONGEST_KEY], 0, "", 0, f"its key is longer than the {LONGEST_KEY} bytes that S3 has")
    return Stat(name, one.size, one.etag, one.mtime)


def _kept_mtime(said: str) -> int | None:
    """Nanoseconds of `seconds[.fraction]`; None for what is something else."""
    match = re.fullmatch(r"(-?[0-9]{1,12})(?:\.([0-9]{1,18}))?", said)
    return int(match[1]) * 10**9 + int((match[2] or "0")[:9].ljust(9, "0")) if match else None


def _refuses(ask: Callable[[], object]) -> bool:
    """Whether a condition that does not hold keeps this from being done."""
    try:
        ask()
    except Changed:
        return True
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
    return False
