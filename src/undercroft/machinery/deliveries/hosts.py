"""How much each host has claimed, over all the lanes that lead there: a slow one must not take all calls by having many
routes. Pure but for its own memory.
"""

DEFAULT_CONCURRENCY = 1_000


class Hosts:
    def __init__(self, concurrency: int = DEFAULT_CONCURRENCY) -> None:
        """`concurrency`: claimed at once for one host, those in line for a free connection included."""
        self._concurrency = concurrency
        self._nodes = 1
        self._of: dict[int, str] = {}
        self._claimed: dict[str, int] = {}
        self._waiting: dict[str, dict[int, None]] = {}
        """Lanes that wait for nothing but their host, in that order."""

    def learn(self, lane: int, host: str | None, nodes: int, claimed: int) -> list[int]:
        """The lane, which has so many claimed, leads to this host. None: to none that has a limit. Lanes that may go on
        because it leads elsewhere now."""
        self._nodes = nodes
        before = self._of.get(lane)
        if host == before:
            return []
        self.add(lane, -claimed)
        self._of.pop(lane, None)
        if host is not None:
            self._of[lane] = host
        self.add(lane, claimed)
        return [] if before is None else list(self._waiting.pop(before, ()))

    def forget(self, lane: int) -> None:
        self._of.pop(lane, None)

    def room(self, lane: int, otherwise: int) -> int:
        """How many more the lane's host may have; `otherwise` where it has no limit."""
        host = self._of.get(lane)
        return otherwise if host is None else max(1, self._concurrency // self._nodes) - self._claimed.get(host, 0)

    def add(self, lane: int, count: int) -> None:
        host = self._of.get(lane)
        if host is not None and count:
            claimed = self._claimed.get(host, 0) + count
            if claimed:
                self._claimed[host] = claimed
            else:
                del self._claimed[host]

    def wait(self, lane: int) -> None:
        self._waiting.setdefault(self._of[lane], {})[lane] = None

    def goes_on(self, lane: int) -> None:
        """It waits no more."""
        waiting = self._waiting.get(self._of.get(lane, ""))
        if waiting is not None:
            waiting.pop(lane, None)
            if not waiting:
                del self._waiting[self._of[lane]]

    def next_of(self, lane: int) -> int | None:
        """The lane that has waited longest for this one's host, and waits no more."""
        waiting = self._waiting.get(self._of.get(lane, ""))
        if not waiting:
            return None
        first = next(iter(waiting))
        self.goes_on(first)
        return first
