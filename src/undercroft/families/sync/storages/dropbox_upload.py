"""One file on its way to Dropbox: at once where it is small, else piece by piece, and there only with the last word."""

import hashlib
from datetime import UTC, datetime
from typing import BinaryIO

from undercroft.families.sync.storages.asking import read_exactly
from undercroft.families.sync.storages.dropbox_api import DropboxApi, Json, Refused

BLOCK = 4 * 2**20
"""Dropbox' hash of a content is that of the hashes of its blocks of this size."""


def commit(path: str, mtime: int, base: str) -> Json:
    """What shall be there, and what it replaces; `mtime` in nanoseconds, kept in seconds."""
    said: Json = {"path": path, "autorename": False, "mute": True, "strict_conflict": True}
    said["mode"] = {".tag": "update", "update": base} if base else {".tag": "add"}
    if 0 <= mtime < 2**32 * 10**9:
        said["client_modified"] = datetime.fromtimestamp(mtime // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return said


class Upload:
    def __init__(self, api: DropboxApi, commit: Json, piece: int) -> None:
        """`piece`: bytes that are in memory at a time; whole blocks."""
        self._api, self._commit, self._piece = api, commit, piece
        self._whole = hashlib.sha256()

    def digest(self) -> str:
        """The content hash of what was sent."""
        return self._whole.hexdigest()

    def send(self, source: BinaryIO, size: int) -> Json:
        """The file's metadata. Raises Refused, SourceChanged."""
        body = read_exactly(source, min(size, self._piece))
        said = {"content_hash": self._add(body)}
        if size <= self._piece:
            return self._api.send("files/upload", {**self._commit, **said}, body)
        session = self._api.send("files/upload_session/start", {"close": False, **said}, body)["session_id"]
        sent = len(body)
        while sent < size:
            del body  # before the next is read
            body = read_exactly(source, min(self._piece, size - sent))
            self._append({"session_id": session, "offset": sent}, body)
            sent += len(body)
        finish = {"cursor": {"session_id": session, "offset": size}, "commit": self._commit}
        return self._api.send("files/upload_session/finish", finish, b"")

    def _append(self, cursor: Json, body: bytes | bytearray) -> None:
        said = {"cursor": cursor, "close": False, "content_hash": self._add(body)}
        try:
            self._api.send("files/upload_session/append_v2", said, body)
        except Refused as refused:
            # It had come already, and the answer was lost.
            if refused.error.get("correct_offset") != cursor["offset"] + len(body):
                raise

    def _add(self, piece: bytes | bytearray) -> str:
        """The hash of this piece for itself."""
        alone = hashlib.sha256()
        with memoryview(piece) as view:
            for at in range(0, len(piece), BLOCK):
                block = hashlib.sha256(view[at : at + BLOCK]).digest()
                self._whole.update(block)
                alone.update(block)
        return alone.hexdigest()
