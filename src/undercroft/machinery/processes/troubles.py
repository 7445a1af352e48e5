"""What keeps processes from being looked after: told when it begins and when it is over, not in each round between."""

from collections.abc import Mapping

import structlog

from undercroft.base.refusals import Refusal

log = structlog.get_logger()

ALL = ""
"""What keeps all of them waiting is noted under this."""


class Troubles:
    def __init__(self) -> None:
        self._why: dict[str, str] = {}
        """By process."""
        self._killed: dict[tuple[str, int], int] = {}

    def note(self, name: str, error: Exception) -> None:
        """Of what the house refuses, such as a database that is away, the first one is told of: others say no more."""
        if isinstance(error, Refusal):
            why = error.message
            if why in self._why.values():
                pass
            elif name == ALL:
                log.warning("supervising_waits", reason=why)
            else:
                log.warning("process_waits", process=name, reason=why)
        else:
            why = f"{name}: {error!r}"
            if self._why.get(name) == why:
                pass
            elif name == ALL:
                log.error("supervising_failed", exc_info=error)
            else:
                log.error("process_not_tended", process=name, exc_info=error)
        self._why[name] = why

    def note_kill(self, name: str, pid: int) -> None:
        """It is killed as often as that takes; told is the first time, and that it did not help."""
        times = self._killed[name, pid] = self._killed.get((name, pid), 0) + 1
        if times == 1:
            log.warning("process_killed", process=name, pid=pid)
        elif times == 2:
            log.error("process_does_not_end", process=name, pid=pid)

    def over(self, name: str) -> None:
        if self._why.pop(name, None) is not None and not self._why:
            log.info("supervising_goes_on")

    def forget_but(self, pids: Mapping[str, int | None]) -> None:
        """Process → its pid, where it runs. Others are there no more."""
        for name in self._why.keys() - pids.keys() - {ALL}:
            self.over(name)
        self._killed = {(name, pid): times for (name, pid), times in self._killed.items() if pids.get(name) == pid}
