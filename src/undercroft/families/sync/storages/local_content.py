"""Content of local files: hashed, copied, told apart by what the kernel says about it."""

import contextlib
import os
import stat
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from blake3 import blake3

from undercroft.families.sync.names import LONGEST_PATH, is_too_long
from undercroft.families.sync.reconcile import Content
from undercroft.families.sync.storages import kernel
from undercroft.families.sync.storages.errors import SourceChanged
from undercroft.families.sync.storages.storage import Pace, Source, freely

BLOCK = 2**20
# Larger ones are hashed on all cores, and tell how far they are.
LARGE = 8 * 2**20
# CLOCK_REALTIME_COARSE: what files are stamped with. A tick is 10 ms at most; one that is set back is not waited for.
_TICKS, _LONGEST_TICK = 5, 20_000_000


def copy(source: Source, target: int, content: Content, block_size: int, pace: Pace) -> None:
    """Hashed on the way. Raises SourceChanged where it is not what was asked for.

    By reading and writing: copy_file_range(2) takes a third more of the processor (on ext4), for what it copies
    has still to be read to be hashed.
    """
    digest = _digest(content.size)
    done = begun = _take_up(source, target, content, digest, pace)
    with _Beside(digest.update) if content.size >= LARGE else contextlib.nullcontext(digest.update) as note:
        # No more than what is left: room for a whole block costs more than what a small file holds.
        while done < content.size and (block := source.read(min(block_size, content.size - done))):
            note(block)
            view = memoryview(block)
            while view:
                view = view[os.write(target, view) :]
            done += len(block)
            if done - begun >= LARGE:
                kernel.begin_writing(target, begun, done - begun)
                begun = done
            pace(done)
    if done != content.size or digest.hexdigest() != content.hash:
        raise SourceChanged("the source has changed meanwhile")


class _Beside:
    """Calls a function with one block after the other in a thread, which is one block behind at most."""

    def __init__(self, call: Callable[[bytes], object]) -> None:
        self._call = call
        self._thread = ThreadPoolExecutor(1)
        self._last: Future[object] | None = None

    def __enter__(self) -> Callable[[bytes], object]:
        return self._note

    def _note(self, block: bytes) -> None:
        if self._last is not None:
            self._last.result()
        self._last = self._thread.submit(self._call, block)

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
        if self._last is not None:
            self._last.result()


def _take_up(source: Source, target: int, content: Content, digest: "blake3", pace: Pace) -> int:
    """Hash what an earlier try left behind and go on there: the sum at the end tells whether that was right."""
    there = os.fstat(target).st_size
    if not there:
        return 0
    if there > content.size or there < LARGE:
        os.ftruncate(target, 0)
        return 0
    taken = 0
    while block := os.read(target, BLOCK):
        digest.update(block)
        taken += len(block)
        pace(-taken)
    source.seek(there)
    return there


def hash_of(descriptor: int, size: int, pace: Pace = freely) -> str:
    """`size`: what it is likely to be. Into one block again and again: it stays in the processor's cache."""
    digest, done = _digest(size), 0
    block = memoryview(bytearray(min(BLOCK, size + 1)))
    while count := os.readv(descriptor, [block]):
        digest.update(block[:count])
        done += count
        pace(done)
        if count == size < len(block):
            break  # the end: whoever goes on writing changes its state
    return digest.hexdigest()


def _digest(size: int) -> "blake3":
    return blake3(max_threads=blake3.AUTO) if size >= LARGE else blake3()


def aged(descriptor: int) -> os.stat_result:
    """Its state, when a further change will have another time: within one tick of the kernel's clock two look alike."""
    while True:
        about = os.fstat(descriptor)
        if not 0 <= about.st_ctime_ns - time.clock_gettime_ns(_TICKS) < _LONGEST_TICK:
            return about
        time.sleep(0.001)


def are_equal(one: int, other: int) -> bool:
    """Whether two open files hold the same."""
    sizes = {os.fstat(descriptor).st_size for descriptor in (one, other)}
    return len(sizes) == 1 and hash_of(one, min(sizes)) == hash_of(other, min(sizes))


def unfit(mode: int, path: bytes) -> str | None:
    if is_too_long(path):
        return f"its path is too long: {LONGEST_PATH} bytes are the most"
    if stat.S_ISREG(mode):
        return None
    kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISFIFO, "a fifo"), (stat.S_ISSOCK, "a socket"))
    kind = next((name for is_kind, name in kinds if is_kind(mode)), "a device")
    return f"{kind} is not synchronised"


def revision_of(about: os.stat_result) -> str:
    return f"{about.st_size}.{about.st_mtime_ns}.{about.st_ino}.{about.st_ctime_ns}"


def size_and_time(revision: str) -> tuple[int, str]:
    """What a file keeps when it gets another name; also where that is a copy that keeps the time of the change."""
    size, _, rest = revision.partition(".")
    return int(size or 0), rest.partition(".")[0]


def is_same(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether both are of one file that was not changed in between, although it may have been renamed."""
    return (one.st_ino, one.st_mtime_ns, one.st_size) == (other.st_ino, other.st_mtime_ns, other.st_size)


def same(revision: str, about: os.stat_result) -> bool:
    """Whether it is that one, although renaming it has changed its ctime."""
    return revision.rpartition(".")[0] == revision_of(about).rpartition(".")[0]
