"""Folders of files that contestants bring from one place to another: made, awaited, compared."""

import filecmp
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Unable

BLOCK = 2**20
# Between two looks at the target: rarely enough to cost a core next to nothing.
LOOK_EVERY = 0.003


@dataclass(frozen=True)
class Pair:
    """Two folders on one disk; what lies in `beside` can be moved into the source in one step."""

    source: Path
    target: Path
    beside: Path

    @classmethod
    def within(cls, folder: Path) -> "Pair":
        pair = cls(folder / "source", folder / "target", folder / "beside")
        for one in (pair.source, pair.target, pair.beside):
            one.mkdir()
        return pair


@dataclass(frozen=True)
class Tree:
    """Files by folder ("" is the top); all below `top`, a file or a folder."""

    top: str
    folders: dict[str, list[str]]

    def paths(self) -> Iterator[str]:
        for folder, names in self.folders.items():
            for name in names:
                yield f"{folder}/{name}" if folder else name


def small_files(top: str, count: int) -> Tree:
    """So many, a hundred in a folder."""
    names = [f"{number:04}.dat" for number in range(100)]
    return Tree(top, {f"{top}/{folder:03}": names for folder in range(count // 100)})


def fill(tree: Tree, place: Path, size: int) -> None:
    """Make them, each with content of its own. They are in the page cache afterwards, and on the disk."""
    for folder, names in tree.folders.items():
        (place / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            with (place / folder / name).open("wb") as file:
                for at in range(0, size, BLOCK):
                    file.write(os.urandom(min(BLOCK, size - at)))
    os.sync()


def await_all(tree: Tree, target: Path, patience: float = 120.0) -> None:
    """Until each has its name there. A folder in which all are is not looked at again."""
    deadline = time.monotonic() + patience
    for folder, names in tree.folders.items():
        while not _has_all(target / folder, names):
            if time.monotonic() > deadline:
                raise Unable(f"not all files had arrived after {patience:g} s")
            time.sleep(LOOK_EVERY)


def compare(tree: Tree, pair: Pair) -> None:
    """Unable where the target holds anything else than the source."""
    strange = [path for path in tree.paths() if not filecmp.cmp(pair.source / path, pair.target / path, shallow=False)]
    if strange:
        raise Unable(f"{len(strange)} files differ, such as {strange[0]}")


def _has_all(folder: Path, names: list[str]) -> bool:
    try:
        with os.scandir(folder) as entries:
            found = {entry.name for entry in entries}
    except FileNotFoundError:
        return False
    return found.issuperset(names)
