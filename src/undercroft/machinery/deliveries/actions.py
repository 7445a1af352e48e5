"""One transaction's worth of a courier's work."""

import random
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from undercroft.database import Transaction
from undercroft.machinery.deliveries import claims, targets
from undercroft.machinery.deliveries.hooks import Hooks, Settled
from undercroft.machinery.deliveries.model import (
    NO_TARGET,
    QUEUE_PAUSED,
    TARGET_PAUSED,
    TARGET_REMOVED,
    Delivery,
    Kind,
    Outcome,
    Queue,
    Result,
    State,
    Target,
)
from undercroft.machinery.deliveries.policy import DEFAULT_RETRIES, Verdict, judge

LONGEST_TIMEOUT = 120.0


class Claimed(NamedTuple):
    """What a courier now has in its hands, with all that it needs to send it."""

    deliveries: list[Delivery]
    targets: dict[int, Target]
    queues: dict[int, Queue]


class Options(msgspec.Struct):
    """The part of a delivery's options that concerns couriers."""

    retries: tuple[float, ...] | None = None


_options = msgspec.json.Decoder(Options)


def claim_due(
    tx: Transaction, ids: list[int], node: str, lease_until: int, now: int, hooks: Mapping[str, Hooks]
) -> Claimed:
    """Claim those that are still due; hold those that are paused, bury those without a target, run the ticks."""
    taken = claims.claim(tx, ids, node, now, lease_until)
    their_targets = targets.targets_by_id(tx, {delivery.target for delivery in taken})
    their_queues = targets.queues_by_id(tx, {delivery.queue for delivery in taken})
    to_send: list[Delivery] = []
    ticks: dict[str, list[Delivery]] = defaultdict(list)
    aside: dict[tuple[State, str], list[Delivery]] = defaultdict(list)
    for delivery in taken:
        target, queue = their_targets.get(delivery.target), their_queues[delivery.queue]
        obstacle = _obstacle(delivery, target, queue)
        if obstacle:
            aside[obstacle].append(delivery)
        elif delivery.kind == Kind.TICK:
            ticks[queue.family].append(delivery)
        else:
            to_send.append(delivery)
    for (state, reason), those in aside.items():
        claims.put_back(tx, those, state, now, reason)
        if state is State.DEAD:
            _tell_buried(tx, those, reason, their_queues, now, hooks)
    for family, those in ticks.items():
        due = hooks[family].due
        assert due is not None, f"{family} makes ticks but has no hook for them"
        due(tx, those, now)
    return Claimed(to_send, their_targets, their_queues)


def _obstacle(delivery: Delivery, target: Target | None, queue: Queue) -> tuple[State, str] | None:
    if not (delivery.kind == Kind.TICK and delivery.target == NO_TARGET):
        if target is None or target.removed_at is not None:
            return State.DEAD, TARGET_REMOVED
        if target.paused_at is not None:
            return State.HELD, TARGET_PAUSED
    if queue.paused_at is not None:
        return State.HELD, QUEUE_PAUSED
    return None


def _tell_buried(
    tx: Transaction,
    those: list[Delivery],
    reason: str,
    queues: dict[int, Queue],
    now: int,
    hooks: Mapping[str, Hooks],
) -> None:
    """A family hears of every end, also of one without an attempt."""
    for family in {queues[delivery.queue].family for delivery in those}:
        told = hooks[family].settled
        if told:
            outcome = Outcome(now, 0, Result.HOPELESS, error=reason)
            verdict = Verdict(State.DEAD, now, reason)
            own = [delivery for delivery in those if queues[delivery.queue].family == family]
            told(tx, [Settled(delivery, outcome, verdict) for delivery in own])


def settle_tried(
    tx: Transaction,
    tried: list[tuple[Delivery, Target, str, Outcome]],
    node: str,
    now: int,
    hooks: Mapping[str, Hooks],
) -> list[Settled]:
    """Judge these (delivery, target, family, outcome), write down what follows, tell their families; what was
    settled. One whose claim is no longer ours changes nothing."""
    judged = [
        Settled(delivery, outcome, _judge(outcome, delivery, target, now)) for delivery, target, _, outcome in tried
    ]
    held = claims.settle(tx, [(one.delivery, one.verdict) for one in judged])
    valid = [one for one in judged if one.delivery.id in held]
    claims.log_attempts(tx, node, [(one.delivery, one.outcome) for one in valid])
    gone = {one.delivery.target: one.verdict.reason for one in valid if one.verdict.pause_target}
    for target, reason in gone.items():
        targets.pause_target(tx, target, now, reason)
    families = {delivery.id: family for delivery, _, family, _ in tried}
    for family, its_hooks in hooks.items():
        own = [one for one in valid if families[one.delivery.id] == family] if its_hooks.settled else []
        if own and its_hooks.settled:
            its_hooks.settled(tx, own)
    return valid


def _judge(outcome: Outcome, delivery: Delivery, target: Target, now: int) -> Verdict:
    return judge(outcome, delivery.attempts + 1, now, _retries(delivery, target), stretch=random.random())


def _retries(delivery: Delivery, target: Target) -> tuple[float, ...]:
    own = _options.decode(delivery.options).retries if delivery.options else None
    if own is not None:
        return own
    return DEFAULT_RETRIES if target.settings.retries is None else target.settings.retries


def release_lines(tx: Transaction, lines: list[tuple[int, int, int]]) -> int:
    """Schedule held rows of these (target, queue, limit) again where neither is paused; how many."""
    their_targets = targets.targets_by_id(tx, {target for target, _, _ in lines})
    their_queues = targets.queues_by_id(tx, {queue for _, queue, _ in lines})
    released = 0
    for target, queue, limit in lines:
        known = their_targets.get(target)
        gone = target != NO_TARGET and (known is None or known.removed_at is not None)
        paused = (known is not None and known.paused_at is not None) or their_queues[queue].paused_at is not None
        if gone or not paused:  # what has lost its target is due as well: to die
            released += claims.release(tx, target, queue, limit)
    return released
