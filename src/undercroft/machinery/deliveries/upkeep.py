"""The steps that keep a courier supplied and the table small. Each does a bounded piece and says whether it did any.

Each is run by a loop (`machinery/loops.py`); the clock is handed in.
"""

from undercroft.base.clock import HOUR, SECOND
from undercroft.database import Database, Transaction
from undercroft.machinery.deliveries import actions, claims, store
from undercroft.machinery.deliveries.claims import Share
from undercroft.machinery.deliveries.courier import AHEAD, Courier
from undercroft.machinery.deliveries.model import State

PAGE = 5_000
# More is never kept in the horizon, whatever falls due: the rest waits in the database.
MOST_AHEAD = 100_000
# Held lines that are looked at in one step; the next step goes on behind them.
MOST_LINES = 2_000
# Due for longer than this and still scheduled: its hint may be lost (ms).
OVERDUE = 5 * SECOND
# And for longer than this: the node whose share it is does not get to it. One that is gone has no share by then.
OVERDUE_OF_ALL = 20 * SECOND
# Between two heartbeats (ms).
BEAT = 2 * SECOND
# A node that has not beaten for this long is gone, and what it had in its hands is taken back (ms).
NODE_GONE = 10 * SECOND
NODE_FORGOTTEN = HOUR


class Upkeep:
    def __init__(self, courier: Courier, database: Database, *, keep_delivered: int, keep_dead: int) -> None:
        self._courier = courier
        self._database = database
        self._keep = {State.DELIVERED: keep_delivered, State.DEAD: keep_dead}
        self._position = (0, 0)
        self._looked_at = 0
        self._sweep = (0, 0)
        self._line = (-1, -1)
        self._beats: dict[str, int] = {}
        self._still: dict[str, int] = {}
        """For how many of our own heartbeats each node's counter has stood still."""
        self._gone: list[str] = []

    async def look_ahead(self, now: int) -> bool:
        """Read the next page of what falls due soon into the horizon."""
        courier = self._courier
        if now < self._looked_at:  # the clock was set back: what was read is far off by now, what is near was not
            self._position, courier.seen_until = (now, 0), 0
        self._looked_at = now
        if len(courier.horizon) >= MOST_AHEAD:
            return False
        until = now + AHEAD
        page = await self._database.read_apart(claims.falling_due, self._position, until, courier.share, PAGE)
        courier.expect_read(page)
        if len(page) == PAGE:
            self._position = (page[-1][0], page[-1][1])
            return True
        self._position = max(self._position, (until, 0))
        courier.seen_until = self._position[0]
        return False

    async def sweep_overdue(self, now: int) -> bool:
        """Look once more at what is overdue: hints may be lost, nodes may die, rows may be due before we looked."""
        courier = self._courier
        if len(courier.horizon) >= MOST_AHEAD:
            return False
        page = await self._database.read_apart(
            claims.overdue, self._sweep, now - OVERDUE, now - OVERDUE_OF_ALL, courier.share, PAGE
        )
        news = [hint for hint in page if not courier.lanes.knows(hint[1])]
        courier.expect_read(news)
        self._sweep = (page[-1][0], page[-1][1]) if len(page) == PAGE else (0, 0)
        return len(page) == PAGE and bool(news)  # a long backlog is no reason to read all of it again and again

    async def file_precisely(self, now: int) -> bool:
        """Rows filed by a day that comes near get their exact place."""
        return await self._database.write(claims.file_precisely, now, 1_000) == 1_000

    async def reclaim_expired(self, now: int) -> bool:
        """Take back what couriers claimed and never settled: their lease is over, or they are gone."""
        courier = self._courier
        expired = await self._database.read_apart(claims.expired_of, courier.node, now, PAGE)
        lost = [id for id in expired if id not in courier.in_hands]
        if lost:
            await self._database.write(claims.reclaim_lost, lost, courier.node, now)
        taken = [await self._database.write(claims.reclaim_expired, courier.node, now, PAGE)]
        taken += [await self._database.write(claims.reclaim_of, node, now, PAGE) for node in self._gone]
        return PAGE in taken

    async def reclaim_own(self, now: int) -> bool:
        """At start: what this node had in its hands when it was killed."""
        return await self._database.write(claims.reclaim_of, self._courier.node, now, PAGE) == PAGE

    async def release_held(self, _now: int) -> bool:
        """Let go on what was held for a reason that has passed, as far as its lane has room."""
        lines = await self._database.read_apart(claims.held_lines, self._line, MOST_LINES)
        self._line = lines[-1] if len(lines) == MOST_LINES else (-1, -1)
        rooms = [(*line, min(1_000, self._courier.lanes.room(line[0]))) for line in lines]
        open_lines = [line for line in rooms if line[2]]
        return bool(open_lines) and await self._database.write(actions.release_lines, open_lines) > 0

    async def purge(self, now: int) -> bool:
        """Forget finished deliveries after the time that settings keep them."""
        purged = [await self._database.write(store.purge, state, now - keep, 500) for state, keep in self._keep.items()]
        return 500 in purged

    async def heartbeat(self, _now: int) -> bool:
        """Tell the other nodes that this one lives, learn which of them do, and which share is its own.

        Time is counted in heartbeats of our own: a clock that is set, ours or another's, makes nobody look dead.
        """
        node = self._courier.node
        beats = dict(await self._database.write(beat, node))
        self._still = {
            name: self._still.get(name, 0) + 1 if self._beats.get(name) == count else 0 for name, count in beats.items()
        }
        self._beats = beats
        for name in [name for name, rounds in self._still.items() if rounds > NODE_FORGOTTEN // BEAT]:
            await self._database.write(leave, name)
        alive = sorted(name for name, rounds in self._still.items() if rounds < NODE_GONE // BEAT)
        self._courier.share = Share(alive.index(node), len(alive))
        self._gone = [name for name in beats if name not in alive]
        return False


def beat(tx: Transaction, node: str) -> list[tuple[str, int]]:
    """Count this node's counter up; every node's counter."""
    tx.run(
        "INSERT INTO nodes (name, beats) VALUES (:node, 1) ON CONFLICT (name) DO UPDATE SET beats = nodes.beats + 1",
        node=node,
    )
    return tx.all("SELECT name, beats FROM nodes")


def leave(tx: Transaction, node: str) -> None:
    """A node that shuts down in order takes itself off the list; one that died, or could not give back what it had in
    its hands, is taken off by the others, who fetch that first."""
    tx.run(
        "DELETE FROM nodes WHERE name = :node"
        " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE state = 2 AND claimed_by = :node)",
        node=node,
    )


def installation_mark(tx: Transaction, fresh: str) -> str:
    """What tells this installation's messages from another's; made once."""
    tx.run(
        "INSERT INTO installation (mark) SELECT :mark WHERE NOT EXISTS (SELECT 1 FROM installation)",
        mark=fresh,
    )
    row = tx.one("SELECT mark FROM installation ORDER BY mark LIMIT 1")
    assert row is not None, "put in above"
    return str(row[0])
