"""`python -m undercroft.families.sync.worker SOCKET ENTRY`: lives as long as a server answers at the socket."""

import asyncio
import gc
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from blake3 import blake3

from undercroft.families.sync import wire
from undercroft.families.sync.storages.errors import Vanished
from undercroft.families.sync.worker.serving import Refused, Unserved, Worker

# A server that was killed has this long (s) to come back; then its next one starts us anew.
PATIENCE = 20.0
# Where nobody answers, or hangs up at once, it is tried again after this (s).
AGAIN = 0.1
# What the server could not write down is told again after this (s), twice as long each time.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
# In the data folder: what arrives for a remote storage is gathered here.
SPOOL = "sync-spool"


async def live(socket: Path, entry: str) -> int:
    """Serve one server after the other; the exit code."""
    deadline = time.monotonic() + PATIENCE
    spool = socket.with_name(SPOOL) / blake3(entry.encode()).hexdigest(16)
    pause = 0.0
    while time.monotonic() < deadline:
        try:
            reader, writer = await connect(socket)
        except OSError:
            await asyncio.sleep(AGAIN)
            continue
        began = time.monotonic()
        try:
            await Worker(reader, writer, entry, spool).run()
        except Unserved:
            await asyncio.sleep(AGAIN)
            continue
        except Vanished as error:
            await _tell_trouble(writer, error)
            return 1
        except ConnectionError:
            pass
        except Refused:
            pause = _longer(pause) if time.monotonic() - began < LONGEST_PAUSE else FIRST_PAUSE
            await asyncio.sleep(pause)
        finally:
            writer.close()
        deadline = time.monotonic() + PATIENCE
    return 0


async def _tell_trouble(writer: asyncio.StreamWriter, error: Vanished) -> None:
    writer.write(wire.packed(wire.Trouble(str(error))))
    await writer.drain()
    await asyncio.sleep(PATIENCE)  # the server ends us


def _longer(pause: float) -> float:
    return min(max(FIRST_PAUSE, 2 * pause), LONGEST_PAUSE)


async def connect(socket: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """By a descriptor of its folder: the path of a socket may have 107 bytes only."""
    folder = os.open(socket.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{socket.name}")
    finally:
        os.close(folder)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # nothing half done is visible at any moment
    os.umask(0o022)
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # what a message of some hundred operations is made of is no garbage
    code = 1
    try:
        code = asyncio.run(live(Path(sys.argv[1]), sys.argv[2]))
    except BaseException:
        traceback.print_exc()
    os._exit(code)  # without waiting for a thread that a disk which does not answer may hold


if __name__ == "__main__":
    main()
