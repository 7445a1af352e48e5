"""What the peers need on this machine: found, else installed where that is allowed, else missing by name."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
UV = HERE.parent / ".venv" / "bin" / "uv"
NODE_PEERS = HERE / "peers"


class Missing(Exception):
    """A peer cannot run here; the message names what it lacks."""


@cache
def python_peers() -> Path:
    """The Python of `benchmarks/.venv`, in which exactly the packages of requirements.lock are installed."""
    python, lock = HERE / ".venv" / "bin" / "python", HERE / "requirements.lock"
    if not _fresh(HERE / ".venv", lock):
        if not python.exists():
            _install("the Python peers", [UV, "venv", "--quiet", "--clear", HERE / ".venv"])
        sync: list[str | Path] = [UV, "pip", "sync", "--quiet", "--require-hashes", "--python", python, lock]
        _install("the Python peers", sync)
        _stamp(HERE / ".venv", lock)
    return python


@cache
def node_peers() -> str:
    """The node program, once the packages of peers/package-lock.json are installed beside it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Missing("node and npm are not installed")
    modules, lock = NODE_PEERS / "node_modules", NODE_PEERS / "package-lock.json"
    if not _fresh(modules, lock):
        # Not `npm ci`: it wants optional packages of every platform in the lock, and this one holds Linux.
        command = [npm, "install", "--no-save", "--ignore-scripts", "--loglevel=error"]
        _install("BullMQ", command, NODE_PEERS)
        _stamp(modules, lock)
    return node


def redis_server() -> str:
    return _debian_program("redis-server", "redis-server")


def etcd() -> str:
    return _debian_program("etcd", "etcd-server")


def rsync() -> str:
    return _debian_program("rsync", "rsync")


def rclone() -> str:
    return _debian_program("rclone", "rclone")


def lsyncd() -> str:
    return _debian_program("lsyncd", "lsyncd")


def syncthing() -> str:
    return _debian_program("syncthing", "syncthing")


def unison() -> str:
    return _debian_program("unison", "unison")


def unison_repeat() -> str:
    """What `-repeat` is given: a watcher where there is one, which Debian's package has not, else a second."""
    return "watch" if shutil.which("unison-fsmonitor") else "1"


@cache
def postgres_programs() -> Path:
    """The folder of initdb and postgres, the newest version of those installed."""
    folders = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found := shutil.which("initdb"):
        folders.append(Path(found).parent)
    if not folders:
        raise Missing("the PostgreSQL server (initdb) is not installed")
    return max(folders, key=lambda folder: [int(p) for p in folder.parts if p.isdigit()])


@cache
def _debian_program(name: str, package: str) -> str:
    found = shutil.which(name)
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(package, ["apt-get", "-qq", "update"])
        _install(package, ["apt-get", "-qq", "install", "--yes", package])
        found = shutil.which(name)
    if not found:
        raise Missing(f"{package} is not installed")
    return found


def _fresh(folder: Path, lock: Path) -> bool:
    stamp = folder / ".installed"
    return stamp.exists() and stamp.read_text() == _digest(lock)


def _stamp(folder: Path, lock: Path) -> None:
    (folder / ".installed").write_text(_digest(lock))


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _install(title: str, command: Sequence[str | Path], folder: Path = HERE) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise Missing(f"{title} could not be installed: {ended.stderr.strip()[-600:]}")
