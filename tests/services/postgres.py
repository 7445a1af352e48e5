"""A private PostgreSQL cluster: its own folder, its own loopback port, started and stopped by the tests."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from tests.services.ports import free_port
from tests.services.waiting import wait_until

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
}
# Killing the process loses nothing of what it gave to the kernel; only a power cut would need the disk.
WITHOUT_DISK = {"fsync": "off", "full_page_writes": "off"}


def find_postgres() -> Path | None:
    """The folder of `initdb` and `postgres`: PATH's, else the newest of Debian's, else None."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(found, key=lambda path: int(path.parent.parent.name))
    return newest[-1].parent if newest else None


class Postgres:
    """One cluster. `start`, `stop`, `kill` and `restart` keep its port and data; `remove` ends it for good.

    `durable=True` leaves fsync on, for measurements; tests go without.
    """

    def __init__(self, binaries: Path, *, durable: bool = False) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="undercroft-postgres-"))
        self.log = self.folder / "log"
        self._binaries = binaries
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = {**SETTINGS, **({} if durable else WITHOUT_DISK), "port": str(self.port)}
        self._names = (f"test_{number}" for number in itertools.count(1))
        self._init()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://undercroft@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Returns when connections are answered. Nothing to do when it runs."""
        if self.running:
            return
        settings = itertools.chain.from_iterable(("-c", f"{name}={value}") for name, value in self._settings.items())
        with self.log.open("ab") as log:
            self._process = self._spawn("postgres", "-D", "data", *settings, output=log)
        wait_until(self._answers, "PostgreSQL to answer", seconds=30)

    def stop(self) -> None:
        """An orderly end that does not wait for clients: their connections are cut, everything is written."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """An end as in a crash: connections cut, nothing written; the next start recovers from the WAL.

        SIGQUIT and not SIGKILL, which would leave the session processes running and the next start refused.
        """
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def create_database(self, like: str | None = None) -> str:
        """The URL of a new database: empty, or a copy of the one at this URL, which nobody is connected to."""
        name = next(self._names)
        self._run_sql(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{like.rpartition("/")[2]}"' if like else ""))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drops what `create_database` made, cutting whoever is still connected."""
        self._run_sql(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def _init(self) -> None:
        user = _unprivileged_user()
        if user:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        options = ["--auth=trust", "--username=undercroft", "--encoding=UTF8", "--locale=C", "--no-sync"]
        initdb = self._spawn("initdb", "-D", "data", *options, output=subprocess.PIPE)
        said, _ = initdb.communicate()
        if initdb.returncode:
            shutil.rmtree(self.folder)
            raise RuntimeError(f"initdb failed:\n{said.decode(errors='replace')}")

    def _spawn(self, program: str, *arguments: str, output: Any) -> subprocess.Popen[bytes]:
        user = _unprivileged_user()
        become: dict[str, Any] = {}
        if user:
            become = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        return subprocess.Popen(
            [self._binaries / program, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the tests, which then end it
            **become,
        )

    def _answers(self) -> bool:
        if not self.running:
            raise RuntimeError(f"PostgreSQL ended while starting:\n{self.log.read_text()[-2000:]}")
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(how)
        self._process.wait(timeout=30)
        self._process = None

    def _run_sql(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())


def _unprivileged_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
