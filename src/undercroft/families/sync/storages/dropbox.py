"""A Dropbox, or a folder of one.

A file's revision is its `rev`. Every write names what it replaces (mode `update` or `add`, strict), a deletion too; a
move and a copy know no such condition, and are looked at before and after. The time of a change is kept in whole
seconds. Sent is in pieces that fit in memory; each is hashed, and refused by Dropbox where it arrives changed.

Dropbox takes names that differ in case only for one, and composes letters. A name that it would bend, or that stands
there in another case, also as a folder's, is refused. A change of a name's case alone, made elsewhere, is noticed only
when all is listed anew, every few hours. Folders that become empty stay: Dropbox deletes a folder with whatever came
into it meanwhile. One that stands in a file's way is deleted, if it is empty.
"""

import contextlib
import errno
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from undercroft.families.sync.names import OWN_FOLDER
from undercroft.families.sync.storages.asking import Asking, StreamedReading
from undercroft.families.sync.storages.drive import Reading, Stat
from undercroft.families.sync.storages.dropbox_api import DropboxApi, Json, Refused, as_error
from undercroft.families.sync.storages.dropbox_tree import Tree, stat_of
from undercroft.families.sync.storages.dropbox_upload import BLOCK, Upload, commit
from undercroft.families.sync.storages.errors import Changed, Vanished
from undercroft.families.sync.storages.judging import is_one_name

LARGEST_PIECE = 144 * 2**20
"""Dropbox takes up to 150 MiB in one request."""
LISTED_ANEW = 6 * 3_600
_PAGE = 2_000


class Dropbox:
    """A drive. `asking`: with another pause and clock than time's."""

    names_are_bytes = False

    def __init__(self, options: Mapping[str, Any], asking: Asking | None = None) -> None:
        root = options.get("root", "/").strip("/")
        self._root = f"/{root}" if root else ""
        # Hashes of pieces make the hash of all where pieces are whole blocks of 4 MiB.
        self._piece = min(max(options.get("chunk_size", 0) // BLOCK, 1) * BLOCK, LARGEST_PIECE)
        self._asking = asking or Asking()
        self._api = DropboxApi(options, self._asking)
        self._account = options.get("account") or ""
        self._tree = Tree(self._root, 0.0)
        self._written = False

    def require_name(self, name: str) -> None:
        self._path(name)

    def check(self) -> None:
        if self._account and self._ask("users/get_current_account", None, "")["email"] != self._account:
            raise Vanished(f"the token is not of {self._account}: mend the option account, or set that one's token")
        try:
            if self._root and self._api.call("files/get_metadata", {"path": self._root})[".tag"] != "folder":
                raise Vanished(f"{self._root} is a file in Dropbox: mend the option root")
        except Refused as refused:
            raise Vanished(f"there is no folder {self._root} in Dropbox ({refused}): make it, or mend root") from None
        if not self._written:
            probe = f"{OWN_FOLDER}/probe-{secrets.token_hex(8)}"
            try:
                made = self._api.send("files/upload", commit(self._path(probe), 0, ""), b"")
                self._api.call("files/delete_v2", {"path": made["path_lower"]})
            except Refused as refused:
                raise Vanished(f"{self._root or '/'} can't be written in Dropbox ({refused})") from None
            self._written = True

    def walk(self) -> Iterator[Stat]:
        try:
            self._listen()
        except Refused as refused:
            raise Vanished(f"there is no folder {self._root or '/'} in Dropbox any more ({refused})") from None
        return self._tree.stats()

    def files_in(self, folder: str) -> Iterator[Stat]:
        try:
            page = self._api.call("files/list_folder", {"path": self._path(folder), "limit": _PAGE})
        except Refused as refused:
            if "not_found" in refused.tags:
                return
            raise as_error(refused, folder) from None
        for some in self._api.pages(page):
            files = (one for one in some["entries"] if one[".tag"] == "file" and is_one_name(one["name"]))
            yield from (stat_of(f"{folder}/{one['name']}", one) for one in files)

    def stat(self, name: str) -> Stat | None:
        there = self._file(name)
        return None if there is None or self._bent(name) else stat_of(name, there)

    def open(self, name: str, start: int = 0) -> Reading:
        try:
            there, answer = self._api.fetch("files/download", {"path": self._path(name)}, start)
        except Refused as refused:
            raise as_error(refused, name) from None
        if answer.status != 416:
            return StreamedReading(stat_of(name, there), answer, start if answer.status == 200 else 0)
        answer.close()
        known = self.stat(name)
        if known is None or known.size > start:
            raise OSError(errno.EIO, "it was changed while it was asked for; it is tried again", name)
        return StreamedReading(known, None)

    def put(self, name: str, source: BinaryIO, size: int, mtime: int, base: str) -> Stat:
        self._refuse_bent(name)
        if not base:
            self._make_way(name)
        sending = Upload(self._api, commit(self._path(name), mtime, base), self._piece)
        try:
            there = sending.send(source, size)
        except Refused as refused:
            there = self._in_the_way(name, refused)
            # Ours, where the answer to a first try was lost and the second found what the first had put.
            if there["content_hash"] != sending.digest():
                raise Changed(name) from None
        if there["name"] != _last(name):
            self._remove(there)
            raise _bends(name)
        if there["content_hash"] != sending.digest():
            self._remove(there)
            raise OSError(errno.EIO, "it arrived changed; it is tried again", name)
        self._know_folders(name)
        return stat_of(name, there)

    def move(self, source: str, base: str, name: str) -> Stat:
        if source == name or source.lower() != name.lower():
            return self._relocate("files/move_v2", source, base, name)
        # Dropbox takes both for one and would do nothing.
        self._refuse_bent(name)
        aside = self._relocate("files/move_v2", source, base, f"{OWN_FOLDER}/moving-{secrets.token_hex(8)}")
        try:
            return self._relocate("files/move_v2", aside.name, aside.revision, name)
        except BaseException:
            self._relocate("files/move_v2", aside.name, aside.revision, source)
            raise

    def copy(self, source: str, base: str, name: str) -> Stat:
        return self._relocate("files/copy_v2", source, base, name)

    def delete(self, name: str, base: str) -> None:
        try:
            self._api.call("files/delete_v2", {"path": self._path(name), "parent_rev": base})
        except Refused as refused:
            if "conflict" in refused.tags:
                raise Changed(name) from None
            if "not_found" not in refused.tags:
                raise as_error(refused, name) from None

    def close(self) -> None:
        self._asking.close()

    # Listing

    def _listen(self) -> None:
        """Asks for what has changed since the last time; for all, the first time and every few hours."""
        if self._tree.cursor and self._asking.clock() < self._tree.begun + LISTED_ANEW:
            try:
                return self._learn(self._api.call("files/list_folder/continue", {"cursor": self._tree.cursor}))
            except Refused as refused:
                if "reset" not in refused.tags:
                    raise
        self._tree = Tree(self._root, self._asking.clock())
        asked = {"path": self._root, "recursive": True, "limit": _PAGE, "include_non_downloadable_files": False}
        return self._learn(self._api.call("files/list_folder", asked))

    def _learn(self, page: Json) -> None:
        for some in self._api.pages(page):
            self._tree.learn(some["entries"])
            self._tree.cursor = some["cursor"]

    # Names

    def _path(self, name: str) -> str:
        """Raises OSError(EILSEQ), UnicodeEncodeError."""
        name.encode()
        if any(part in ("", ".", "..") for part in name.split("/")) or "\x00" in name:
            raise OSError(errno.EILSEQ, "Dropbox takes no name with empty parts, . or ..", name)
        return f"{self._root}/{name}"

    def _metadata(self, path: str, name: str) -> Json | None:
        """Of the file or folder that answers to it, in whatever case."""
        try:
            return self._ask("files/get_metadata", {"path": path}, name)
        except FileNotFoundError:
            return None

    def _file(self, name: str) -> Json | None:
        there = self._metadata(self._path(name), name)
        return there if there and there[".tag"] == "file" and there["name"] == _last(name) else None

    def _bent(self, name: str) -> bool:
        """Whether a folder above it is there in another spelling."""
        above = ""
        for part in name.split("/")[:-1]:
            above = f"{above}/{part}".lstrip("/")
            known = self._tree.folder(above.lower())
            if known is None:
                there = self._metadata(f"{self._root}/{above}", name)
                if there is None:
                    return False
                if there[".tag"] != "folder":
                    raise OSError(errno.ENOTDIR, "a file stands where its folder would be", name)
                known = there["name"]
                self._tree.met(above.lower(), known)
            if known != part:
                return True
        return False

    def _refuse_bent(self, name: str) -> None:
        self._path(name)
        if self._bent(name):
            raise _bends(name)

    def _know_folders(self, name: str) -> None:
        parts = name.split("/")[:-1]
        for end, part in enumerate(parts, 1):
            self._tree.met("/".join(parts[:end]).lower(), part)

    def _make_way(self, name: str) -> None:
        """For a name that has to be free. An empty folder goes; a file of the same letters is another's."""
        there = self._metadata(self._path(name), name)
        if there is None:
            return
        if there[".tag"] == "file":
            raise Changed(name) if there["name"] == _last(name) else _bends(name)
        below = self._ask("files/list_folder", {"path": there["path_lower"], "recursive": True}, name)
        if below["has_more"] or any(entry[".tag"] != "folder" for entry in below["entries"]):
            raise OSError(errno.EISDIR, "a folder stands where it would be", name)
        self._ask("files/delete_v2", {"path": there["path_lower"]}, name)

    # Writing

    def _in_the_way(self, name: str, refused: Refused) -> Json:
        """The file that a write ran into. Raises OSError where that was not why, Changed where it is another's."""
        if "file_ancestor" in refused.tags:
            raise OSError(errno.ENOTDIR, "a file stands where its folder would be", name) from None
        if "conflict" not in refused.tags:
            raise as_error(refused, name) from None
        there = self._file(name)
        if there is None:
            raise Changed(name) from None
        return there

    def _relocate(self, call: str, source: str, base: str, name: str) -> Stat:
        there = self._file(source)
        if there is None or there["rev"] != base:
            raise Changed(source)
        self._refuse_bent(name)
        self._make_way(name)
        try:
            asked = {"from_path": self._path(source), "to_path": self._path(name), "autorename": False}
            made: Json = self._api.call(call, asked)["metadata"]
        except Refused as refused:
            if not {"conflict", "not_found"} & set(refused.tags):
                raise as_error(refused, name) from None
            # Ours, where the answer to a first try was lost.
            made = self._file(name) or {}
            if made.get("content_hash") != there["content_hash"]:
                raise Changed(name) from None
        if made["name"] != _last(name) or made["content_hash"] != there["content_hash"]:
            self._undo(call, made, source)
            raise _bends(name) if made["name"] != _last(name) else Changed(source)
        self._know_folders(name)
        return stat_of(name, made)

    def _undo(self, call: str, made: Json, source: str) -> None:
        if call == "files/copy_v2":
            self._remove(made)
            return
        back = {"from_path": made["path_lower"], "to_path": self._path(source), "autorename": False}
        self._ask("files/move_v2", back, source)

    def _remove(self, made: Json) -> None:
        """What we have just put there, as long as nobody has changed it."""
        with contextlib.suppress(Refused):
            self._api.call("files/delete_v2", {"path": made["path_lower"], "parent_rev": made["rev"]})

    def _ask(self, call: str, argument: Json | None, name: str) -> Json:
        try:
            return self._api.call(call, argument)
        except Refused as refused:
            raise as_error(refused, name) from None


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _bends(name: str) -> OSError:
    text = "Dropbox has this name, or that of a folder above it, in another spelling, and takes both for one"
    return OSError(errno.EILSEQ, text, name)
