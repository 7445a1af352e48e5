"""A real `croft serve` process of its own: free port, own data, killed and started again by the tests."""

import itertools
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.services.ports import free_port
from tests.services.waiting import wait_until

PROGRAM = Path(sys.executable).with_name("croft")


def new_token() -> str:
    return secrets.token_urlsafe(30)


class Croft:
    """`start`, `stop`, `kill` and `restart` keep port, data and log; `http` speaks to it as the admin.

    `folder` gets `data/`, `home/` and `croft.log`. `database` is a URL, None for the embedded one in `data/`.
    Nodes of one database want one `token`, the admin's. Of our environment the server sees only PATH.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database: str | None = None,
        token: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = token or new_token()
        self.data = folder / "data"
        self.log = folder / "croft.log"
        self.http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=30, trust_env=False
        )
        home = folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "UNDERCROFT_ADMIN_TOKEN": self.token,
            "UNDERCROFT_ALLOW_PRIVATE_TARGETS": "1",
            **(environment or {}),
        }
        arguments = {"--data": self.data, "--listen": f"127.0.0.1:{self.port}", "--database": database}
        given = [(name, str(value)) for name, value in arguments.items() if value]
        self._command = [str(PROGRAM), "serve", *itertools.chain.from_iterable(given)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, "croft was not started"
        return self._process.pid

    def start(self, seconds: float = 30) -> None:
        """Until `/health` answers 200."""
        self.launch()
        wait_until(self.healthy, f"/health of croft, see {self.log}", seconds)

    def launch(self) -> None:
        """As `start`, without waiting for it to be healthy."""
        assert not self.running, "croft runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests, which then end it
            )

    def stop(self, seconds: float = 30) -> int:
        """Asks it to end (SIGTERM); its exit code. AssertionError when it has not ended within `seconds`."""
        assert self._process is not None, "croft was not started"
        self._process.terminate()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"croft did not end within {seconds} s, see {self.log}") from None

    def kill(self) -> None:
        """SIGKILL: nothing is settled, nothing flushed. Nothing to do when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Stops it in order and starts it again."""
        self.stop()
        self.start()

    def close(self) -> None:
        self.kill()
        self.http.close()

    def healthy(self) -> bool:
        if not self.running:
            raise AssertionError(f"croft ended by itself, see {self.log}")
        try:
            return self.http.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def log_tail(self, characters: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""
