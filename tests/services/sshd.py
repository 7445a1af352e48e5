"""OpenSSH's server on a loopback port: keys of its own, files of this machine over SFTP, nothing else."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import psutil

from tests.services.ports import free_port
from tests.services.waiting import wait_until

SETTINGS = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 100
Subsystem sftp internal-sftp
"""


def find_sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


class Sshd:
    """`start` and `stop` keep its port and keys; `remove` ends it for good.

    `key`: the file of a private key that it lets in; `host_key`: the line of its public one; `user`: who one is there.
    """

    def __init__(self, program: str) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="undercroft-sshd-"))
        self.user = getpass.getuser()
        self.key = self.folder / "key"
        self.log = self.folder / "log"
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("host_key", "key"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.folder / name)]
            subprocess.run(make, check=True)
        shutil.copy(self.folder / "key.pub", self.folder / "authorized_keys")
        (self.folder / "config").write_text(SETTINGS.format(port=self.port, folder=self.folder))
        self.host_key = (self.folder / "host_key.pub").read_text().strip()

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # it insists on this empty folder
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-D", "-e", "-f", str(self.folder / "config")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._answers, "sshd to answer")

    def stop(self) -> None:
        """Connections that are open end with it."""
        if self._process is not None:
            # Each connection has a process with a session of its own.
            for one in [*psutil.Process(self._process.pid).children(recursive=True), self._process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            self._process.wait(timeout=30)
            self._process = None

    def options(self, root: Path) -> dict[str, object]:
        """Of an entry that keeps its files in this folder."""
        return {
            "hostname": "127.0.0.1",
            "port": self.port,
            "username": self.user,
            "private_key_path": str(self.key),
            "host_key": self.host_key,
            "root": str(root),
        }

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"sshd ended while starting:\n{self.log.read_text()[-2000:]}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as probe:
                return probe.recv(4) == b"SSH-"
        except OSError:
            return False
