"""Apache with mod_dav on a loopback port: WebDAV with a password, plain or over TLS."""

import base64
import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import trustme

from tests.services.ports import free_port
from tests.services.waiting import wait_until

MODULES = Path("/usr/lib/apache2/modules")
LOADED = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "dav", "dav_fs", "ssl")
SETTINGS = """
ServerRoot {folder}
ServerName 127.0.0.1
PidFile {folder}/pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/log
LogLevel warn
DocumentRoot {folder}/files
DavLockDB {folder}/locks
StartServers 1
ThreadsPerChild 16
MaxRequestWorkers 32
Listen 127.0.0.1:{port}
Listen 127.0.0.1:{tls_port}
<VirtualHost 127.0.0.1:{tls_port}>
  SSLEngine on
  SSLCertificateFile {folder}/certificate
  SSLCertificateKeyFile {folder}/certificate
</VirtualHost>
<Directory {folder}/files>
  Dav On
  AuthType Basic
  AuthName files
  AuthBasicProvider file
  AuthUserFile {folder}/users
  Require valid-user
</Directory>
"""
USER, PASSWORD = "undercroft", "a secret: ü%"


def find_apache() -> str | None:
    program = shutil.which("apache2", path=f"{os.environ['PATH']}:/usr/sbin")
    return program if program and (MODULES / "mod_dav_fs.so").exists() else None


class Apache:
    """`start` and `stop` keep its ports and files; `remove` ends it for good.

    `files`: the folder that it shows at `url` and `tls_url`; `ca_file`: whom to trust for the latter.
    """

    def __init__(self, program: str) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="undercroft-apache-"))
        self.files = self.folder / "files"
        self.log = self.folder / "log"
        self.url, self.tls_url = f"http://127.0.0.1:{self.port}", f"https://127.0.0.1:{self.tls_port}"
        self.ca_file = self.folder / "ca"
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._configure()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-D", "FOREGROUND", "-f", str(self.folder / "config")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self._answers, "Apache to answer")

    def stop(self) -> None:
        """Connections that are open end with it."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=30)
            self._process = None
            (self.folder / "pid").unlink(missing_ok=True)

    def make_folder(self, name: str) -> Path:
        """A folder that it may write."""
        made = self.files / name
        made.mkdir()
        self._give(made)
        return made

    def options(self, root: str) -> dict[str, object]:
        """Of an entry that keeps its files in this folder of `files`."""
        return {"hostname": self.url, "root": root, "username": USER, "password": PASSWORD}

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _configure(self) -> None:
        self.files.mkdir()
        modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED)
        owner = ""
        if os.geteuid() == 0:  # it serves as nobody else's user
            self.folder.chmod(0o755)
            for one in (self.folder, self.files):
                self._give(one)
            owner = f"\nUser #{_owner().pw_uid}\nGroup #{_owner().pw_gid}"
        digest = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()  # noqa: S324 - what htpasswd -s makes
        (self.folder / "users").write_text(f"{USER}:{{SHA}}{digest}\n")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(self.folder / "certificate")
        settings = SETTINGS.format(folder=self.folder, port=self.port, tls_port=self.tls_port)
        (self.folder / "config").write_text(f"{modules}{owner}\n{settings}")

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, _owner().pw_uid, _owner().pw_gid)

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            said = self.log.read_text()[-2000:] if self.log.exists() else "nothing"
            raise RuntimeError(f"Apache ended while starting:\n{said}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
        except OSError:
            return False
        return True


def _owner() -> pwd.struct_passwd:
    return pwd.getpwnam("www-data")
