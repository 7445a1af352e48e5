"""The databases that contestants stand on, each private to one work: own folder, free port, own password."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from benchmarks import needs
from benchmarks.processes import Unable, free_port, last_words, stop


class Service(Protocol):
    """Something started: `address` tells clients how to reach it, `pids` whose CPU counts."""

    address: str
    pids: list[int]

    def close(self) -> None: ...


class SqliteFile:
    """Nothing to start: the library opens the file itself."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "jobs.sqlite")
        self.pids: list[int] = []

    def close(self) -> None:
        pass


class Redis:
    """A Redis that appends every change to its file and syncs it `always` or `everysec`."""

    def __init__(self, folder: Path, appendfsync: str) -> None:
        port, password = free_port(), secrets.token_hex(16)
        settings = folder / "redis.conf"
        settings.touch(0o600)
        settings.write_text(
            f"port {port}\nbind 127.0.0.1\nrequirepass {password}\ndir {folder}\nlogfile redis.log\n"
            f'appendonly yes\nappendfsync {appendfsync}\nsave ""\n'
        )
        self.address = f"redis://:{password}@127.0.0.1:{port}/0"
        command = [needs.redis_server(), str(settings)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, text=True, start_new_session=True)
        self.pids = [self.process.pid]
        _until_it_listens(self.process, port, folder / "redis.log")

    def close(self) -> None:
        stop(self.process)


class Etcd:
    """One member, as it comes: every change is synced."""

    def __init__(self, folder: Path) -> None:
        self.port, peers = free_port(), free_port()
        self.address, among = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{peers}"
        options = {
            "name": "bench",
            "data-dir": folder / "data",
            "listen-client-urls": self.address,
            "advertise-client-urls": self.address,
            "listen-peer-urls": among,
            "initial-advertise-peer-urls": among,
            "initial-cluster": f"bench={among}",
        }
        command = [needs.etcd(), *(f"--{name}={value}" for name, value in options.items())]
        log = folder / "etcd.log"
        with log.open("a") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file, text=True, start_new_session=True)
        self.pids = [self.process.pid]
        _until_it_listens(self.process, self.port, log)

    def close(self) -> None:
        stop(self.process)


class Postgres:
    """A PostgreSQL as its packager tuned it: every commit is synced."""

    def __init__(self, folder: Path) -> None:
        port, password = free_port(), secrets.token_hex(16)
        programs, data, secret = needs.postgres_programs(), folder / "data", folder / "password"
        secret.touch(0o600)
        secret.write_text(password)
        account = _give_to_an_ordinary_user(folder)
        initdb = [
            str(programs / "initdb"),
            *("--pgdata", str(data), "--username", "bench", "--pwfile", str(secret)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"),
        ]
        made = _run_as(account, initdb, folder)
        if made.wait():
            raise Unable(f"initdb failed: {last_words(folder / 'postgres.log')}")
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = _run_as(account, [str(programs / "postgres"), "-D", str(data), *options], folder)
        self.pids = [self.process.pid]
        self.address = f"postgresql://bench:{password}@127.0.0.1:{port}/postgres"
        _until_it_listens(self.process, port, folder / "postgres.log")
        # It listens a moment before it is ready for sessions.
        _until(lambda: "ready to accept connections" in last_words(folder / "postgres.log"), "PostgreSQL")

    def close(self) -> None:
        stop(self.process, signal.SIGINT)


def _give_to_an_ordinary_user(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root; returns the account that it runs as instead."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    account = "postgres" if "postgres" in names else "nobody"
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, account)
    return account


def _run_as(account: str | None, command: list[str], folder: Path) -> subprocess.Popen[str]:
    group = pwd.getpwnam(account).pw_gid if account else None
    with (folder / "postgres.log").open("a") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
            user=account,
            group=group,
            extra_groups=[] if account else None,
        )


def _until_it_listens(process: subprocess.Popen[str], port: int, log: Path) -> None:
    def listens() -> bool:
        if process.poll() is not None:
            raise Unable(f"it ended at once: {last_words(log)}")
        with socket.socket() as probe:
            return bool(probe.connect_ex(("127.0.0.1", port)) == 0)

    _until(listens, f"port {port}")


def _until(ready: Callable[[], bool], what: str, patience: float = 30.0) -> None:
    limit = time.monotonic() + patience
    while not ready():
        if time.monotonic() > limit:
            raise Unable(f"{what} was not ready after {patience:g} s")
        time.sleep(0.02)
