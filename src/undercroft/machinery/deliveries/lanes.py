"""One lane per target: how many may be on their way at once and per second, so that a slow receiver delays nobody else.

Pure but for its own memory: time is handed in, nothing is sent here.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import islice

from undercroft.machinery.deliveries.claims import Due
from undercroft.machinery.deliveries.hosts import Hosts
from undercroft.machinery.deliveries.model import NO_TARGET, Target

DEFAULT_CONCURRENCY = 32
# Ticks without a target: claiming them is all there is to do.
_TICKS = 10_000
# Lanes that are remembered with what their rate still allows; beyond, those that rest are forgotten.
MOST_LANES = 10_000
# Lanes whose rate allows one more that are looked at at once: thousands of them must not stand before what is due now.
RESTED_PER_LOOK = 100
# Receivers that answer within this time (ms) get so many claimed ahead.
QUICK = 50
AHEAD_OF_QUICK = 128
# Entries that one lane keeps in memory; what comes beyond is held in the database until the lane has emptied. The more
# wait in all lanes together, the shorter each may be, so that many slow receivers can't fill the memory either, nor
# keep what is due for others from being read.
LONGEST_LANE = 10_000
_CROWDED = ((100_000, 10), (50_000, 100))


@dataclass
class Lane:
    target: int
    known: bool = False
    """Whether its target's limits were learned. Until then nothing may go: it could be more than they allow."""
    concurrency: int = DEFAULT_CONCURRENCY
    rate: int | None = None
    waiting: deque[Due] = field(default_factory=deque)
    claimed: int = 0
    """Claimed and not yet answered: on their way, or in line for a free connection."""
    pace: float | None = None
    """How long a call took lately (ms)."""
    allowance: float = 0.0
    allowance_at: int | None = None
    overflowed: bool = False

    def learn(self, target: Target | None, nodes: int) -> None:
        """Take over the target's limits; each of several nodes keeps to its share of them. None: it is gone."""
        self.known = True
        if target is None:
            return
        self.concurrency = max(1, -(-target.concurrency // nodes))
        self.rate = target.rate and max(1, target.rate // nodes)

    def add(self, entry: Due, longest: int) -> bool:
        """False when the lane is full: the row should be held."""
        if len(self.waiting) >= longest:
            self.overflowed = True
            return False
        self.waiting.append(entry)
        return True

    def take(self, now: int, most: int) -> list[Due]:
        """What may be claimed now: some ahead of their turn, so that no line idles."""
        free = min(self.room(), most)
        if self.rate is not None:
            free = min(free, self._allowed(now, self.rate))
        taken = [self.waiting.popleft() for _ in range(min(free, len(self.waiting)))]
        self.claimed += len(taken)
        if self.rate is not None:
            self.allowance -= len(taken)
        return taken

    def room(self) -> int:
        """None before half of what was claimed ahead has gone: claims of a few rows each cost as much as large ones.
        Three nodes that claim for one receiver spent half of their time on that."""
        ahead = self.ahead()
        if not self.known or self.claimed > self.concurrency + ahead // 2:
            return 0
        return self.concurrency + ahead - self.claimed

    def ahead(self) -> int:
        """So many are claimed before their turn: more of them where calls are quick, for a claim costs as much for few
        as for many; never so many that what is claimed waits for long, and can't be cancelled."""
        quick = self.pace is not None and self.pace <= QUICK
        return max(self.concurrency, AHEAD_OF_QUICK) if quick else self.concurrency

    def next_moment(self, now: int) -> int | None:
        """When the rate allows the next one, if that is all it waits for."""
        if not self.waiting or self.rate is None or not self.room():
            return None
        return now + max(1, int((1 - self.allowance) * 1_000 / self.rate)) if self.allowance < 1 else now

    def done(self, took_ms: int | None = None, *, unmade: bool = False) -> None:
        self.claimed -= 1
        if took_ms is not None:
            self.pace = took_ms if self.pace is None else 0.8 * self.pace + 0.2 * took_ms
        if unmade and self.rate is not None:
            self.allowance = min(float(self.rate), self.allowance + 1)

    def is_at_rest(self, now: int) -> bool:
        """Nothing is lost with it: its rate allows a whole second's worth by now."""
        rested = self.rate is None or self.allowance_at is None or now - self.allowance_at >= 1_000
        return rested and not self.waiting and not self.claimed

    def _allowed(self, now: int, rate: int) -> int:
        """A bucket that holds one second's worth; a clock that steps back adds nothing."""
        since = 1_000 if self.allowance_at is None else max(0, now - self.allowance_at)
        self.allowance_at = now
        self.allowance = min(float(rate), self.allowance + since * rate / 1_000)
        return int(self.allowance)


class Lanes:
    def __init__(self, hosts: Hosts | None = None) -> None:
        self._hosts = hosts or Hosts()
        self._lanes: dict[int, Lane] = {}
        self._known: set[int] = set()
        self._ready: dict[int, None] = {}
        """Targets that something happened to since they were last looked at, in that order."""
        self._resting: list[tuple[int, int]] = []
        """(moment, target) of lanes that wait for nothing but their rate, soonest first."""
        self._rested: dict[int, None] = {}
        """Lanes whose rate allows one more by now, in that order. They are late anyway: who has news goes first."""
        self._strangers: set[int] = set()
        self._looked_at = 0

    def __len__(self) -> int:
        return len(self._known)

    def knows(self, id: int) -> bool:
        return id in self._known

    def lane(self, target: int) -> Lane:
        lane = self._lanes.get(target)
        if lane is None:
            lane = self._lanes[target] = Lane(target)
            if target == NO_TARGET:
                lane.known, lane.concurrency = True, _TICKS
            else:
                self._strangers.add(target)
        return lane

    def learn(self, id: int, target: Target | None, nodes: int, host: str | None = None) -> None:
        """Take over a target's limits, and those of the host where it is."""
        lane = self.lane(id)
        lane.learn(target, nodes)
        self._ready.update(dict.fromkeys(self._hosts.learn(id, host, nodes, lane.claimed)))

    def add(self, entries: list[Due]) -> list[int]:
        """Put each into its target's lane; the ids for which there is no room."""
        overflow = []
        for entry in entries:
            if entry[1] in self._known:
                continue
            if self.lane(entry[2]).add(entry, self._longest()):
                self._known.add(entry[1])
                self._ready[entry[2]] = None
            else:
                overflow.append(entry[1])
        return overflow

    def strangers(self) -> set[int]:
        """Targets that something waits for and whose limits are still to be learned."""
        self._strangers = {target for target in self._strangers if target in self._lanes}
        self._strangers = {target for target in self._strangers if not self._lanes[target].known}
        return {target for target in self._strangers if self._lanes[target].waiting}

    def take(self, now: int, most: int) -> list[Due]:
        """What may be claimed now, lanes taking turns; only lanes that something happened to are looked at."""
        if len(self._lanes) > MOST_LANES:
            self._forget_those_at_rest(now)
        self._wake_those_who_rested(now)
        rested = list(islice(self._rested, RESTED_PER_LOOK))
        taken = self._take_in_turn(now, most - min(len(rested), most // 2))
        for target in rested:
            del self._rested[target]
            self._ready[target] = None
        return taken + self._take_in_turn(now, most - len(taken), rested)

    def _take_in_turn(self, now: int, most: int, of: list[int] | None = None) -> list[Due]:
        taken: list[Due] = []
        turns = list(self._ready) if of is None else of
        for target in turns:
            if len(taken) >= most:
                break
            if target not in self._ready:
                continue
            del self._ready[target]
            taken += self._take_of(target, now, most - len(taken))
            other = self._hosts.next_of(target) if self._hosts.room(target, 0) > 0 else None
            if other is not None and other not in self._ready:  # what this one left of their host
                self._ready[other] = None
                turns.append(other)
        return taken

    def _take_of(self, target: int, now: int, most: int) -> list[Due]:
        lane = self._lanes.get(target)
        if lane is None:
            return []
        self._hosts.goes_on(target)
        room = self._hosts.room(target, most)
        if lane.waiting and room <= 0:
            self._hosts.wait(target)
            return []
        taken = lane.take(now, min(most, room))
        self._hosts.add(target, len(taken))
        moment = lane.next_moment(now)
        if moment is not None:
            heapq.heappush(self._resting, (max(moment, now + 1), target))
        elif lane.waiting and (lane.room() or not lane.known):
            self._ready[target] = None
        return taken

    def reserve(self, entry: Due) -> None:
        """Count it as claimed once more."""
        self._known.add(entry[1])
        self.lane(entry[2]).claimed += 1
        self._hosts.add(entry[2], 1)

    def forget(self, entry: Due) -> None:
        """It is claimed, or no longer due: a later hint of the same row is news."""
        self._known.discard(entry[1])

    def done(self, target: int, took_ms: int | None = None, *, unmade: bool = False) -> None:
        """One of the target's calls has ended; `unmade`: it was a tick, or cancelled, and counts for no rate."""
        lane = self._lanes[target]
        lane.done(took_ms, unmade=unmade)
        self._hosts.add(target, -1)
        other = self._hosts.next_of(target)
        if other is not None:
            self._ready[other] = None
        if lane.waiting:
            self._ready[target] = None

    def next_moment(self) -> int | None:
        """When the first rate-limited lane may go on."""
        if self._rested:
            return self._looked_at
        return self._resting[0][0] if self._resting else None

    def room(self, target: int) -> int:
        """How many held rows the target's lane could take: none while it is more than half full after it ran over."""
        lane = self._lanes.get(target)
        longest = self._longest()
        if lane is None:
            return longest
        lane.overflowed = lane.overflowed and len(lane.waiting) > longest // 2
        return 0 if lane.overflowed else max(0, longest - len(lane.waiting))

    def _wake_those_who_rested(self, now: int) -> None:
        """All of them when the clock was set back: their moments are of a time that may not come for long."""
        while self._resting and (self._resting[0][0] <= now or now < self._looked_at):
            self._rested[heapq.heappop(self._resting)[1]] = None
        self._looked_at = now

    def _longest(self) -> int:
        return next((longest for many, longest in _CROWDED if len(self._known) >= many), LONGEST_LANE)

    def _forget_those_at_rest(self, now: int) -> None:
        for target in [target for target, lane in self._lanes.items() if lane.is_at_rest(now)]:
            del self._lanes[target]
            self._hosts.forget(target)
