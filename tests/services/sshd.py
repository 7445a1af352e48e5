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


# In a view of the file system of its own: who is known there is known nowhere else on the machine.
AMONG_OTHERS = 'mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/shadow" /etc/shadow && umask 0 && exec "$@"'


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
        self._command = [program]
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
                [*self._command, "-D", "-e", "-f", str(self.folder / "config")],
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


def can_know_others() -> bool:
    """Whether `SshdWithGuest` can be had: it needs root, and a kernel that gives it a view of its own."""
    ways = [shutil.which("unshare"), shutil.which("openssl")]
    return os.geteuid() == 0 and all(ways) and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0


class SshdWithGuest(Sshd):
    """It lets in a guest with `password` as well, who may read and write what a user of no rights may.

    Nobody of that name is on the machine: the server alone sees lists of users with him.
    """

    user = "undercroft-guest"
    password = "a secret: ü%"
    number = 54_321

    def __init__(self, program: str) -> None:
        super().__init__(program)
        self.user = type(self).user
        made = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=self.password.encode(), capture_output=True,
                              check=True).stdout.decode().strip()  # fmt: skip
        he_is = f"{self.user}:x:{self.number}:{self.number}::/:/bin/sh\n"
        (self.folder / "passwd").write_text(Path("/etc/passwd").read_text() + he_is)
        (self.folder / "shadow").write_text(f"{self.user}:{made}:1::::::\n")
        self.folder.chmod(0o755)
        self._command = ["unshare", "-m", "sh", "-c", AMONG_OTHERS, str(self.folder), program]
