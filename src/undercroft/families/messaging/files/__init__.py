"""Where the bytes of files are: a folder, or an object store. A name is never used twice, its bytes never change."""

from pathlib import Path
from typing import Protocol

from undercroft.families.messaging.files.bucket import Bucket, BucketFiles
from undercroft.families.messaging.files.folder import FolderFiles


class Files(Protocol):
    """Raises OSError where the place does not answer, or has no room; FileNotFoundError where bytes are gone."""

    async def keep(self, name: str, content: bytes, kind: str) -> None:
        """On return they are there to stay, whole."""

    async def read(self, name: str, start: int, length: int) -> bytes:
        """So many bytes from there."""

    async def remove(self, name: str) -> None:
        """Also where there is nothing of that name."""


def files_in(folder: Path, bucket: Bucket | None) -> Files:
    return FolderFiles(folder) if bucket is None else BucketFiles(bucket)


__all__ = ["Bucket", "Files", "files_in"]
