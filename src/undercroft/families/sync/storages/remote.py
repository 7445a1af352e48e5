"""A storage elsewhere: what all drives share.

What arrives is gathered on this machine (`spool.py`), verified there, hashed once more while it is sent, and put in
place whole; what the server says of what it has got is for each drive to compare. What it replaces is kept first, under
`.undercroft/versions` on that storage. A mark, `.undercroft/root`, tells the root that it was from an empty one
that has taken its place. Content is known by the drive's revision of it; it is read once, to be hashed.
"""

import contextlib
import errno
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from blake3 import blake3

from undercroft.base.ids import sortable_id
from undercroft.families.sync.names import is_text
from undercroft.families.sync.operations import Delete, Move, Put, Room
from undercroft.families.sync.places import new_place
from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.storages.drive import YOUNG, Drive, Stat
from undercroft.families.sync.storages.errors import Changed, SourceChanged, Vanished
from undercroft.families.sync.storages.judging import doubts, fitting
from undercroft.families.sync.storages.local_content import LARGE, copy
from undercroft.families.sync.storages.marks import Owner
from undercroft.families.sync.storages.others_roots import MARK, OthersRoots
from undercroft.families.sync.storages.remote_looking import MODE, RemoteLooking
from undercroft.families.sync.storages.remote_mark import require_mark
from undercroft.families.sync.storages.remote_names import (
    VERSIONS,
    blocks_of,
    in_the_way,
    name_of_place,
    named,
    numbered,
    path_of,
    text_of,
)
from undercroft.families.sync.storages.remote_source import Sending
from undercroft.families.sync.storages.spool import Spool
from undercroft.families.sync.storages.storage import (
    LONGEST_ARRIVAL,
    InVersions,
    Pace,
    Placed,
    Replaced,
    Restored,
    Source,
    freely,
)


class RemoteStorage(RemoteLooking):
    together = 4
    lanes = 3

    def __init__(
        self,
        drive: Drive,
        label: str,
        options: dict[str, Any],
        spool: Path | None,
        owner: Owner | None,
        others: OthersRoots,
    ) -> None:
        """`label`: how the place is called in errors; `options`: with defaults; `spool`: None to read only; `owner`:
        whose root it is to be; `others`: what is known of roots below it."""
        super().__init__(drive, label, options, others)
        self.polled: float | None = options["changes_timer"]
        self._block = options["chunk_size"]
        self._spool = Spool(spool)
        self._owner = owner
        self._paces: dict[bytes, Pace] = {}

    def check(self, expected: int) -> None:
        """Raises Vanished for a root that can't be used, or that is not where `expected` files were; OSError for one
        that can't be reached at this moment."""
        self._drive.check()
        require_mark(self._drive, self._label, self._owner, expected, self.look)
        self.forget_old_arrivals()

    def is_there(self) -> bool:
        return self._drive.stat(MARK) is not None

    # Changing

    def receive(self, put: Put, source: Source, pace: Pace) -> bytes:
        """Into the spool. `pace` is told when it goes on from there."""
        self._expect(put)
        token = (blake3(put.path.encode()).hexdigest(8) + "-" + put.content.hash[:40]).encode()
        with self._spool.gathering(token, put.content.size) as target:
            copy(source, target.fileno(), put.content, self._block, lambda _: pace(0))
        self._paces[token] = pace
        return token

    def _expect(self, put: Put) -> None:
        """Before anything is read: what the drive can't name, or can't be reached for, is not gathered in vain."""
        name = text_of(put.path)
        self._require_apart(put.path)
        with named():
            self._drive.require_name(name)
        if put.content.size >= LARGE:
            about = self._drive.stat(name)
            if (about.revision.removesuffix(YOUNG) if about else "") != put.base.removesuffix(YOUNG):
                raise Changed("it was changed meanwhile")

    def make_durable(self, tokens: list[bytes]) -> None:
        """A spool file is only ever a beginning."""

    def make_names_durable(self, paths: list[str]) -> None:
        """The drive answers when it has them."""

    def put_in_place(self, put: Put, token: bytes) -> Placed:
        pace = self._paces.pop(token, lambda _: None)
        with self._spool.sending(token) as gathered:
            replaced = self._keep(put) if put.base else None
            source = cast(BinaryIO, Sending(gathered, put.content, pace))
            try:
                with in_the_way():
                    revision = self._drive.put(
                        text_of(put.path), source, put.content.size, put.content.mtime, put.base
                    ).revision
            except BaseException:
                revision = self._arrived_after_all(put, replaced) if replaced else ""
                if not revision:
                    raise
        return Placed(revision, replaced)

    def delete(self, delete: Delete) -> Replaced:
        self._require_apart(delete.path)
        if delete.keep_as:
            beside = self._free(delete.keep_as)
            about = self._drive.move(text_of(delete.path), delete.base, beside)
            return Replaced("", path_of(beside), about.size, fitting(about.mtime))
        place = new_place(delete.path)
        about = self._drive.move(text_of(delete.path), delete.base, VERSIONS + place)
        return Replaced(about.name.removeprefix(VERSIONS), "", about.size, fitting(about.mtime))

    def move(self, move: Move) -> str:
        self._require_apart(move.source, move.path)
        with in_the_way():
            return self._drive.move(text_of(move.source), move.source_base, text_of(move.path)).revision

    def restore(self, path: str, place: str, paced: Callable[[int], Pace]) -> Restored:
        self._require_apart(path)
        token = f"restore-{sortable_id()}".encode()
        digest = blake3()
        try:
            with named(), self._drive.open(name_of_place(place)) as reading:
                size = reading.stat.size
                pace = paced(size)
                with self._spool.gathering(token, size) as gathered:
                    for block in blocks_of(reading):
                        digest.update(block)
                        gathered.write(block)
                        pace(0)  # it is told of on its way to its name
                    if gathered.tell() != size:
                        raise SourceChanged("the kept version came with another length than it has")
            base = self.look(path) or ""
            content = Content(digest.hexdigest(), size, time.time_ns(), MODE)
            self._paces[token] = pace
            placed = self.put_in_place(Put(path, 0, content, base, "", ()), token)
        finally:
            self._spool.forget(token)
        return Restored(Seen(path, content, placed.revision), placed.replaced)

    def versions(self) -> Iterator[InVersions]:
        for about in self._drive.files_in(VERSIONS.rstrip("/")):
            if is_text(about.name) and not doubts(about):  # what can't be told is none of ours
                yield InVersions(about.name.removeprefix(VERSIONS), about.size, fitting(about.mtime))

    def hash_of_version(self, place: str, pace: Pace = freely) -> str:
        digest, size = blake3(), 0
        with self._drive.open(name_of_place(place)) as reading:
            for block in blocks_of(reading):
                digest.update(block)
                size += len(block)
                pace(size)
        return digest.hexdigest()

    def drop(self, place: str) -> None:
        about = self._drive.stat(name_of_place(place))
        if about is not None:
            self._drive.delete(name_of_place(place), about.revision)

    def room(self) -> Room | None:
        return None

    def forget_old_arrivals(self, older_than: float = LONGEST_ARRIVAL) -> None:
        self._spool.forget_old(older_than)

    def close(self) -> None:
        self._drive.close()

    # Parts

    def _require_apart(self, *paths: str) -> None:
        """Before they are changed."""
        for path in paths:
            self._others.require_apart(path, self._is_marked)

    def _is_marked(self, folder: str) -> bool:
        try:
            with named():
                return self._drive.stat(f"{text_of(folder)}/{MARK}") is not None
        except PermissionError:
            return True
        except OSError as error:
            if error.errno in (errno.EILSEQ, errno.ENOTDIR):
                return False  # there can be none, and what is to be done is refused for that
            raise

    def _keep(self, put: Put) -> Replaced:
        """A copy of what is about to be replaced, to the versions, or beside where it has lost a conflict."""
        place = "" if put.keep_as else new_place(put.path)
        name = VERSIONS + place if place else self._free(put.keep_as)
        about = self._drive.copy(text_of(put.path), put.base, name)
        if about.name.startswith(VERSIONS):
            return Replaced(about.name.removeprefix(VERSIONS), "", about.size, fitting(about.mtime))
        return Replaced("", path_of(about.name), about.size, fitting(about.mtime))

    def _free(self, path: str) -> str:
        """A name beside that nobody has."""
        for name in numbered(text_of(path)):
            if self._drive.stat(name) is None:
                return name
        raise Changed("too many conflicts under one name")

    def _arrived_after_all(self, put: Put, replaced: Replaced) -> str:
        """An answer that is lost may come after the new content has the name: its revision then, else "".

        The copy that was kept goes only where what it was made of is certainly still there.
        """
        with contextlib.suppress(OSError, Changed, Vanished):
            about = self._drive.stat(text_of(put.path))
            if about is not None and about.revision == put.base:
                self._unkeep(replaced)
            elif about is not None and about.size == put.content.size:
                seen = self.read(put.path)
                if seen is not None and seen.content is not None and seen.content.hash == put.content.hash:
                    return seen.revision
        return ""

    def _unkeep(self, replaced: Replaced) -> None:
        """It was not replaced after all."""
        name = name_of_place(replaced.place) if replaced.place else text_of(replaced.kept_as)
        about: Stat | None = self._drive.stat(name)
        if about is not None:
            self._drive.delete(name, about.revision)
