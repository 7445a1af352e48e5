"""What falls due soon, in memory: (due_at, id, target) and nothing else. Losing it loses nothing."""

import heapq
from collections.abc import Iterable

from undercroft.machinery.deliveries.claims import Due


class Horizon:
    """A heap without doubles. An entry is a hint; whether the row is still due is the claim's to find out."""

    def __init__(self) -> None:
        self._heap: list[Due] = []
        self._known: set[tuple[int, int]] = set()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, entries: Iterable[Due]) -> None:
        for entry in entries:
            key = (entry[0], entry[1])
            if key not in self._known:
                self._known.add(key)
                heapq.heappush(self._heap, entry)

    def pop_due(self, now: int, most: int) -> list[Due]:
        """Up to `most` entries whose moment has come, soonest first."""
        due: list[Due] = []
        while self._heap and self._heap[0][0] <= now and len(due) < most:
            entry = heapq.heappop(self._heap)
            self._known.discard((entry[0], entry[1]))
            due.append(entry)
        return due

    def next_moment(self) -> int | None:
        return self._heap[0][0] if self._heap else None
