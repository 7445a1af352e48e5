"""One running node: database, courier, loops and server, started in order and stopped in the reverse."""

import asyncio
import contextlib
import fcntl
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import structlog
import uvloop

from undercroft.app import logs
from undercroft.app.assembly import Parts, all_migrations, assemble
from undercroft.app.listening import Listener, bind, shown
from undercroft.app.settings import Settings
from undercroft.base.clock import wall_clock
from undercroft.base.ids import new_secret
from undercroft.base.refusals import Refusal
from undercroft.database import Database, open_database
from undercroft.machinery.deliveries.upkeep import installation_mark, leave
from undercroft.machinery.identity.actions import PRESET, set_up_admin
from undercroft.machinery.loops import Fatal, Loop, Loops

log = structlog.get_logger()

OnReady = Callable[[list[str]], None]
CANNOT_START = 1
# Threads hand the interpreter to each other at this interval (s). The database's give it up at every statement; with
# the default of 5 ms they would wait that long to get it back from a busy event loop.
SWITCH_INTERVAL = 0.0005
# A stopping node waits this long (s), after the grace, for the outcomes of its deliveries to be written down.
LAST_WRITES = 5.0


def serve(settings: Settings, on_ready: OnReady | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit code. `on_ready` is called with the addresses once they answer."""
    logs.configure(settings.log_format, settings.log_level)
    sys.setswitchinterval(SWITCH_INTERVAL)
    os.umask(0o077)  # the database holds signing secrets and what apps send: it is this user's alone
    try:
        with _alone_in(settings.data_dir):
            return uvloop.run(_serve(settings, on_ready, _allow_many_files() // 2))
    except (Refusal, Fatal, OSError) as error:
        log.error("cannot_start", reason=str(error))
        return CANNOT_START


async def _serve(settings: Settings, on_ready: OnReady | None, most_connections: int) -> int:
    stop = _stop_signal()
    sockets = [bind(address) for address in settings.addresses]
    url = settings.database_url
    database = await open_database(url, all_migrations(), wall_clock, pool=settings.database_pool)
    try:
        await _set_up_admin(settings, database)
        mark = await database.write(installation_mark, new_secret()[:8].lower())
        parts = assemble(settings, database, wall_clock, _node(settings), mark)
        listener = Listener(parts.server, settings.request_timeout, most_connections)
        return await _run(settings, database, parts, listener, sockets, stop, on_ready)
    finally:
        await database.close()


async def _run(
    settings: Settings,
    database: Database,
    parts: Parts,
    listener: Listener,
    sockets: list[socket.socket],
    stop: asyncio.Event,
    on_ready: OnReady | None,
) -> int:
    await _take_up_work(database, parts)
    loops = Loops(wall_clock)
    loops.start([*parts.loops, Loop("clients", listener.keep_watch, 1)])
    firing = loops.keep("courier", parts.courier.run())
    settling = loops.keep("settling", parts.courier.settle_all())
    supervising = loops.keep("processes", parts.supervisor.run())
    _spare_the_collector()
    await listener.start(sockets)
    _tell_ready(sockets, on_ready)
    stopped = asyncio.create_task(stop.wait())
    endings: set[asyncio.Future[Any]] = {stopped, loops.ended}
    await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
    if loops.ended.done():
        log.error("cannot_go_on", reason=str(loops.ended.result()))
    log.info("stopping")
    parts.leases.close()
    await parts.supervisor.close()
    await parts.entries.close()
    await asyncio.gather(listener.stop(settings.shutdown_grace), parts.courier.stop(settings.shutdown_grace))
    await asyncio.wait({firing, settling, supervising}, timeout=LAST_WRITES)
    parts.transport.close()
    await parts.relay.close()
    if parts.lookup is not None:
        await parts.lookup.close()
    await loops.stop()
    await parts.duties.lay_down()
    with contextlib.suppress(Refusal):
        await database.write(leave, parts.courier.node)
    log.info("stopped")
    return 0 if stop.is_set() else CANNOT_START


async def _take_up_work(database: Database, parts: Parts) -> None:
    """What this node had in its hands when it last died is due at once."""
    while await parts.upkeep.reclaim_own(wall_clock()):
        pass
    await parts.duties.take_back()
    if database.engine == "postgres":
        await parts.upkeep.heartbeat(wall_clock())


async def _set_up_admin(settings: Settings, database: Database) -> None:
    """The admin's token is the preset one, or one that is made at the first start and kept in the data folder."""
    preset = settings.admin_token.reveal()
    secret = preset or _first_token(settings.data_dir / "admin-token")
    kind = PRESET if preset else f"first of {_node(settings)}"
    await database.write(set_up_admin, secret, wall_clock(), kind=kind)


def _first_token(path: Path) -> str:
    if path.exists():
        return path.read_text().strip()
    secret = new_secret()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
    log.info("admin_token_made", path=str(path))
    return secret


def _node(settings: Settings) -> str:
    """This node's name, unlike any other's: two nodes may run on one machine. It stays the same over restarts."""
    path = settings.data_dir / "node"
    if not path.exists():
        path.write_text(f"{settings.node_name}-{new_secret()[:6].lower()}\n")
    return path.read_text().strip()


@contextlib.contextmanager
def _alone_in(data_dir: Path) -> Generator[None, None, None]:
    """Hold the data folder; the kernel lets go of it when the process ends, however it ends.

    Raises Fatal when another server holds it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Fatal(f"another server runs on {data_dir}; stop it, or name another folder with --data") from None
        yield


def _allow_many_files() -> int:
    """As many open files and connections as the system lets us have; that number."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 2**20


def _spare_the_collector() -> None:
    """What stands now stands for ever, and what a burst of deliveries makes is not garbage: look less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _stop_signal() -> asyncio.Event:
    """Set at the first SIGTERM or SIGINT; the second ends the program as usual."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask_to_stop() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask_to_stop)
    return stop


def _tell_ready(sockets: list[socket.socket], on_ready: OnReady | None) -> None:
    addresses = [shown(listening) for listening in sockets]
    log.info("listening", addresses=addresses)
    if on_ready:
        on_ready(addresses)
