"""Files in a folder of this machine, or of one that several share."""

import asyncio
import os
import secrets
from pathlib import Path


class FolderFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, name: str, content: bytes, _kind: str) -> None:
        """Written whole and on disk before its name shows up."""
        await asyncio.to_thread(_keep, self._folder, name, content)

    async def read(self, name: str, start: int, length: int) -> bytes:
        return await asyncio.to_thread(_read, self._folder / name, start, length)

    async def remove(self, name: str) -> None:
        await asyncio.to_thread((self._folder / name).unlink, missing_ok=True)


def _keep(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{name}.{secrets.token_hex(8)}"
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(folder / name)
        _sync(folder)
    finally:
        beside.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Of the name, too."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _read(path: Path, start: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(length)
