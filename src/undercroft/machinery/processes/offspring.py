"""The children that this server has started itself: nobody else can reap them, whosever they are by now."""

from collections.abc import Mapping

from undercroft.machinery.processes import children
from undercroft.machinery.processes.children import Started


class Offspring:
    def __init__(self) -> None:
        self.children: dict[str, Started] = {}
        """By the names of their processes."""
        self._leaving: list[Started] = []
        """Killed, and not gone yet."""

    def bury(self, name: str, pid: int, created: int) -> str:
        """A process that has ended: how. Of others than these that is not known. Raises OSError."""
        started = self.children.get(name)
        if started is None or started.pid != pid:
            children.bury(pid, created)
            return "ended"
        code = started.reaped() or 0
        return f"ended with {code}" if code >= 0 else f"ended by signal {-code}"

    def strays(self, pids: Mapping[str, int | None]) -> list[tuple[str, int, int]]:
        """(name, pid, created) of those that run and are none of these. All that have ended unnoticed are reaped."""
        self._leaving = [one for one in self._leaving if one.reaped() is None]
        astray = {name: one for name, one in self.children.items() if pids.get(name) != one.pid}
        for name, one in astray.items():
            if one.reaped() is not None:
                del self.children[name]
        return [(name, one.pid, one.created) for name, one in astray.items() if name in self.children]

    def dismiss(self, name: str) -> None:
        """It is not to run any more."""
        if (started := self.children.pop(name, None)) is not None:
            started.give_up()
            self._leaving.append(started)
