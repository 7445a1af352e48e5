"""The receiver as the harness sees it: started, asked what has arrived, stopped."""

import http.client
import json
import subprocess
import sys
import time
from typing import Any

from benchmarks.measures import Plan
from benchmarks.processes import Unable, stop

PATIENCE = 150.0


class Arrivals:
    """A receiver process; `hang` is how many seconds it lets every call wait."""

    def __init__(self, hang: float = 0.0) -> None:
        command = [sys.executable, "-m", "benchmarks.receiver", "--hang", str(hang)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        self.control = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def url(self, path: str = "/fast") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def forget(self) -> None:
        self._ask("/forget")

    def all_of(self, plan: Plan) -> None:
        """Waits until as many have arrived as were planned; Unable when some never come."""
        until = time.monotonic() + plan.seconds + PATIENCE
        while (count := self._ask("/count")) < plan.count:
            if time.monotonic() > until:
                raise Unable(f"only {count} of {plan.count} jobs arrived in {PATIENCE:g} s")
            time.sleep(0.05)

    def list(self) -> list[tuple[int, float]]:
        return [(n, at) for n, at in self._ask("/arrivals")]

    def close(self) -> None:
        self.control.close()
        stop(self.process)

    def _ask(self, path: str) -> Any:
        self.control.request("GET", path)
        return json.loads(self.control.getresponse().read())
