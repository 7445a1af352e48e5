"""The courier: sleeps until the first moment, claims what is due, sends it, writes down what came of it.

    horizon ──due──▶ lanes ──room──▶ claim (one write) ──▶ send ──▶ settle (one write)

Prefetch is a hint, the claim is the truth: cancelling or moving a delivery is only a row change, and losing all of its
memory loses nothing. What is claimed waits in `parcels.py` to be sent, what came of it in `settling.py` to be written
down; the loops that keep the horizon filled are in `upkeep.py`.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from undercroft.base.clock import MINUTE, SECOND, Clock
from undercroft.base.ids import base32
from undercroft.base.refusals import Refusal
from undercroft.database import Database
from undercroft.machinery.deliveries import actions, claims, hosts, metrics, targets
from undercroft.machinery.deliveries.actions import LONGEST_TIMEOUT
from undercroft.machinery.deliveries.claims import Due, Share
from undercroft.machinery.deliveries.hooks import Hooks
from undercroft.machinery.deliveries.horizon import Horizon
from undercroft.machinery.deliveries.hosts import Hosts
from undercroft.machinery.deliveries.lanes import Lanes
from undercroft.machinery.deliveries.model import (
    LANE_FULL,
    Delivery,
    NotSent,
    NoTurn,
    Outcome,
    Result,
    State,
    Target,
)
from undercroft.machinery.deliveries.parcels import Parcel, Parcels
from undercroft.machinery.deliveries.policy import lease
from undercroft.machinery.deliveries.settling import Settling
from undercroft.machinery.deliveries.store import DUE
from undercroft.machinery.deliveries.transports import Transport

log = structlog.get_logger()

MOST_PER_CLAIM = 500
# Sorted into lanes at once: many more than are claimed, so that nobody's backlog stands before another's next one.
MOST_PER_LOOK = 20_000
# The wall clock may step: never sleep longer than this without a look at it (s).
LONGEST_SLEEP = 0.5
# How far ahead hints are kept (ms); farther ones are read when their time comes near.
AHEAD = 3 * SECOND


class Courier:
    def __init__(
        self,
        database: Database,
        transports: Mapping[str, Transport],
        hooks: Mapping[str, Hooks],
        clock: Clock,
        node: str,
        mark: str,
        *,
        host_concurrency: int = hosts.DEFAULT_CONCURRENCY,
    ) -> None:
        """`host_concurrency`: so many are claimed at once for one host, as the transports name it."""
        self._database = database
        self._transports = transports
        self._hooks = hooks
        self._clock = clock
        self._mark = mark
        self.node = node
        self.share = Share()
        self.horizon = Horizon()
        self.lanes = Lanes(Hosts(host_concurrency))
        self.seen_until = 0
        """Up to this moment everything of the node's share has been read into the horizon."""
        self._woken = asyncio.Event()
        self.parcels = Parcels(self._send)
        self.settling = Settling(database, hooks, clock, node, self._let_go)
        self.in_hands: set[int] = set()
        """Claimed, and neither settled nor given back: no matter how long that takes, they are not lost."""
        self._astray: dict[int, int] = {}
        """id → lease of claims that may stand in the database and that nobody here will send: given back when it can be
        reached again. Without that they would wait for the end of their lease, minutes."""
        self._lease_until = 0
        self._stopping = False
        database.listen(DUE, self.expect)
        database.listen(targets.CHANGED, lambda ids: self._recall(lambda parcel: parcel.target.id in ids))
        database.listen(targets.QUEUES_CHANGED, lambda ids: self._recall(lambda parcel: parcel.queue.id in ids))

    def expect(self, hints: list[Due]) -> None:
        """Rows that a transaction of this process has made due; those far off are read later."""
        near = max(self.seen_until, self._clock() + AHEAD)
        self.horizon.add(hint for hint in hints if hint[0] <= near)
        self._woken.set()

    def expect_read(self, page: list[Due]) -> None:
        """Rows that were read because they fall due soon."""
        self.horizon.add(page)
        if page:
            self._woken.set()

    async def run(self) -> None:
        """Fire what is due, until stopped."""
        while not self._stopping:
            self._woken.clear()
            try:
                while await self.fire_due():
                    pass
            except Refusal as refusal:
                log.warning("claim_failed", reason=refusal.message)
                await asyncio.sleep(LONGEST_SLEEP)
            except Exception:
                log.exception("claim_failed")
                await asyncio.sleep(LONGEST_SLEEP)
            await self._sleep()

    async def fire_due(self) -> bool:
        """Claim what is due and has room, start sending it. Whether there was any."""
        now = self._clock()
        overflow = self.lanes.add(self.horizon.pop_due(now, MOST_PER_LOOK))
        if overflow:
            await self._database.write(claims.hold, overflow, LANE_FULL)
        if self._stopping or self.settling.has_enough():
            return False
        if self._astray:
            await self._fetch_back()
        if strangers := self.lanes.strangers():
            await self._get_to_know(strangers)
        taken = self.lanes.take(now, MOST_PER_CLAIM)
        if taken:
            await self._claim(taken, now)
        moment = self.horizon.next_moment()
        return bool(taken or overflow) or (moment is not None and moment <= now)

    async def settle_all(self) -> None:
        """Write down what was tried, until stopped and all is written."""
        while not (self._stopping and not self.settling.tried and not self.parcels.tasks):
            await self.settling.settle_next(more_to_come=bool(self.parcels.tasks))

    async def stop(self, grace: float) -> None:
        """Claim no more, give calls under way `grace` seconds, give back what was not sent."""
        self._stopping = True
        self._woken.set()
        await self._give_back([parcel.delivery for parcel in self.parcels.take_back()])
        if self.parcels.tasks:
            _, late = await asyncio.wait(self.parcels.tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        self.settling.woken.set()

    # Claiming

    async def _get_to_know(self, strangers: set[int]) -> None:
        """Their limits hold from the first delivery on, which the claim would only learn of when it is made."""
        known = await self._database.read_apart(targets.targets_by_id, strangers)
        for target in strangers:
            self._learn(target, known.get(target))

    def _learn(self, id: int, target: Target | None) -> None:
        way = None if target is None else self._transports.get(target.transport)
        host = None if target is None or way is None else way.host(target)
        self.lanes.learn(id, target, self.share.nodes, host)

    async def _claim(self, taken: list[Due], now: int) -> None:
        hints = {entry[1]: entry for entry in taken}
        self._lease_until = self._next_lease(now)
        try:
            claimed = await self._database.write(
                actions.claim_due, list(hints), self.node, self._lease_until, now, self._hooks
            )
        except BaseException as error:
            self._forget(taken, set())
            if isinstance(error, Exception) and not isinstance(error, Refusal):
                await self._claim_apart(taken, now, error)
                return
            self.horizon.add(taken)
            self._astray.update(dict.fromkeys(hints, self._lease_until))  # it may have been committed all the same
            raise
        self.in_hands.update(delivery.id for delivery in claimed.deliveries)
        if self._stopping:  # it was asked to while the claim was under way
            await self._give_back(claimed.deliveries)
            return
        self._forget(taken, {delivery.id for delivery in claimed.deliveries})
        # The clock was set back since their hints came up: the claim left them alone, and their moment comes again.
        self.horizon.add(entry for entry in taken if entry[0] > now)
        for delivery in sorted(claimed.deliveries, key=lambda one: hints[one.id]):  # the first due goes first
            target = claimed.targets[delivery.target]
            self._learn(target.id, target)
            self.parcels.add(Parcel(delivery, target, claimed.queues[delivery.queue], hints[delivery.id]))
        for target_id in {delivery.target for delivery in claimed.deliveries}:
            self.parcels.start_senders(target_id, self.lanes.lane(target_id).concurrency)

    def _next_lease(self, now: int) -> int:
        """Another one for each claim, and not far from what the clock says: it may have been wrong before."""
        until = now + lease(LONGEST_TIMEOUT)
        return self._lease_until + 1 if until <= self._lease_until < until + MINUTE else until

    async def _claim_apart(self, taken: list[Due], now: int, error: Exception) -> None:
        """One of them has a fault: the others must not wait for it. The sweep will find it again."""
        if len(taken) == 1:
            log.error("claim_failed", delivery=taken[0][1], exc_info=error)
            return
        for entry in taken:
            self.lanes.reserve(entry)
            await self._claim([entry], now)

    def _forget(self, taken: list[Due], claimed: set[int]) -> None:
        for entry in taken:
            self.lanes.forget(entry)
            if entry[1] not in claimed:
                self.lanes.done(entry[2], unmade=True)

    # Sending

    async def _send(self, parcel: Parcel) -> None:
        delivery, target, queue = parcel.delivery, parcel.target, parcel.queue
        started_at = self._clock()
        try:
            if delivery.due_at - started_at < target.settings.timeout * SECOND:
                outcome = None  # too little is left of the lease: another courier may take it while we call
            else:
                headers = self._hooks[queue.family].headers(delivery, queue, target)
                outcome = await self._transports[target.transport].send(
                    target, delivery, self.webhook_id(delivery), headers
                )
        except NoTurn:
            outcome = None
        except NotSent as fault:
            log.error("not_sent", delivery=delivery.id, reason=str(fault))
            await asyncio.sleep(1)  # in its place, so that the lane does not run through all it has
            outcome = None
        except asyncio.CancelledError:
            outcome = Outcome(
                started_at, 0, Result.AGAIN, error="the server was shut down while the call was under way"
            )
        except Exception as error:
            log.exception("send_failed", delivery=delivery.id)
            outcome = Outcome(started_at, 0, Result.AGAIN, error=f"could not be sent: {type(error).__name__}")
        finally:
            self.lanes.done(parcel.hint[2], outcome.took_ms if outcome else None, unmade=outcome is None)
            self._woken.set()
        if outcome is None:
            await self._give_back([delivery])
            return
        metrics.note_sent(queue.family, outcome, started_at - parcel.hint[0])
        self.settling.add(parcel, outcome)
        await self.settling.rest(parcel)

    def webhook_id(self, delivery: Delivery) -> str:
        """Stable over retries and replays, another after each change of content: what receivers dedupe by."""
        return f"msg_{self._mark}_{base32(delivery.id)}_{delivery.revision}"

    def _recall(self, is_meant: Callable[[Parcel], bool]) -> None:
        """Their target or queue was paused or changed: what is claimed and not yet under way is claimed anew."""
        recalled = self.parcels.take_back(is_meant)
        for parcel in recalled:
            self.lanes.done(parcel.hint[2], unmade=True)
        if recalled:
            self.parcels.begin(self._give_back([parcel.delivery for parcel in recalled]))

    async def _give_back(self, unsent: list[Delivery]) -> None:
        """Schedule them again, at once; where that can't be written, before the next claim."""
        if not unsent:
            return
        self.in_hands.difference_update(delivery.id for delivery in unsent)
        try:
            await self._database.write(claims.put_back, unsent, State.SCHEDULED, self._clock(), None)
        except Refusal as refusal:
            log.warning("give_back_failed", reason=refusal.message, deliveries=len(unsent))
            self._astray.update((delivery.id, delivery.due_at) for delivery in unsent)
            self._woken.set()

    async def _fetch_back(self) -> None:
        astray = dict(self._astray)
        await self._database.write(claims.fetch_back, list(astray.items()), self.node, self._clock())
        for id, until in astray.items():
            if self._astray[id] == until:
                del self._astray[id]

    def _let_go(self, parcels: list[Parcel]) -> None:
        self.in_hands.difference_update(parcel.delivery.id for parcel in parcels)
        self._woken.set()

    # Sleeping

    async def _sleep(self) -> None:
        now = self._clock()
        # Of one who has enough unsettled the next moment is not the horizon's: settling wakes it.
        moments = () if self.settling.has_enough() else (self.horizon.next_moment(), self.lanes.next_moment())
        seconds = min((moment - now) / 1_000 for moment in moments if moment is not None) if any(moments) else 1.0
        timeout = max(0.0, min(LONGEST_SLEEP, seconds))
        timer = asyncio.get_running_loop().call_later(timeout, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            timer.cancel()
