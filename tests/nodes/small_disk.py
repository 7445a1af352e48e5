"""Folders in which the room runs out, and is made again."""

import contextlib
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.services.croft import Croft

_SIZE = 4 * 2**20


class FullDisk:
    """A small file system of its own, filled up by a file."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self, _croft: Croft) -> None:
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)

    def make_room(self, _croft: Croft) -> None:
        self._filler.unlink()


class FileLimit:
    """No file of the server may grow beyond a size: what a process can be told by anyone."""

    def fill(self, croft: Croft) -> None:
        longest = max(path.stat().st_size for path in croft.data.iterdir())
        resource.prlimit(croft.pid, resource.RLIMIT_FSIZE, (longest, resource.RLIM_INFINITY))

    def make_room(self, croft: Croft) -> None:
        resource.prlimit(croft.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextlib.contextmanager
def small_disk(folder: Path, kind: str) -> Iterator[FullDisk | FileLimit]:
    """`kind` disk: a limit on files takes its place where nothing may be mounted."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)]
    if kind == "limit" or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield FileLimit()
        return
    try:
        yield FullDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
