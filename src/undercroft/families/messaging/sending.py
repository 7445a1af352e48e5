"""From subscriptions that are ready to deliveries, in the transaction that says so: many at once.

The body is built here and not when it is sent: each attempt carries the very same bytes under the same webhook-id, and
the courier needs to look nothing up. That the text may be some seconds old by then costs little, because a run has no
more than `runs.MOST_AHEAD` messages under way.
"""

from collections import Counter
from typing import Any, NamedTuple

import msgspec

from undercroft.database import Transaction
from undercroft.families.messaging import figures, hours, optout
from undercroft.families.messaging.channels import Way, Ways, way_of
from undercroft.families.messaging.channels.targets import FAMILY, QUEUE
from undercroft.families.messaging.directory import Whereto, whereto
from undercroft.families.messaging.model import NO_ADDRESS, Message, MessageSet, Schedule, Subscription
from undercroft.families.messaging.outbound import Content, outbound, prepended
from undercroft.families.messaging.store import BINARIES, SCHEDULES, SETS
from undercroft.machinery.deliveries import store, targets
from undercroft.machinery.deliveries.model import NewDelivery


class Sent(msgspec.Struct, frozen=True, omit_defaults=True):
    """The options of a delivery: what it was, for when it has had its end. `turn` is 0 of a resend."""

    number: int
    turn: int
    sequence: int
    run: int = 0
    prepended: bool = False
    label: str = ""
    opt_out: str | None = None
    quiet: hours.Quiet | None = None
    """Of its receiver: a later attempt keeps to them as the first one does."""


class Occasion(NamedTuple):
    """Why something is sent: a run, or somebody's wish. `moment` is the schedule's, None where it is now."""

    now: int
    moment: int | None = None
    schedule: Schedule | None = None
    run: int = 0
    resend: bool = False


class Queued(NamedTuple):
    """How many were queued, and of these how many leave later than now; the ids of those for whom there is no message,
    or no address."""

    messages: int
    later: int
    without_message: list[str]
    without_address: list[str]


def queue_messages(tx: Transaction, namespace: str, these: list[Subscription], ways: Ways, why: Occasion) -> Queued:
    """Send each of these its next message (or, as a resend, its last one); all are of this namespace."""
    if not these:
        return Queued(0, 0, [], [])
    batch = _Batch(tx, namespace, ways, why)
    sets = SETS.find_all(tx, {one.messageset for one in these})
    these = [one for one in these if one.messageset in sets]
    numbers = _last_numbers(tx, these) if why.resend else {one.number: one.next_sequence_number for one in these}
    contents = _contents(tx, these, numbers, ways)
    routes = {
        id: way_of(tx, ways, namespace, each.channel, why.now, dry_run=bool(each.dry_run)) for id, each in sets.items()
    }
    reached = _reached(tx, namespace, these, routes, ways)
    for one in these:
        content = contents.get((one.messageset, one.lang, numbers[one.number]))
        if content is None:
            batch.without_message.append(one.id)
        elif one.identity not in reached[routes[one.messageset].address_kind]:
            batch.without_address.append(one)
        else:
            address = reached[routes[one.messageset].address_kind][one.identity]
            batch.add(one, sets[one.messageset], content, address, routes[one.messageset].target)
    return batch.put_in()


def _last_numbers(tx: Transaction, these: list[Subscription]) -> dict[int, int]:
    """A resend is of the message before the next one, or of the first (contract §7), whether or not the set counts
    without gaps."""
    rows = tx.each(
        "SELECT r.key, MAX(m.sequence_number) FROM {rows} JOIN messaging_messages m"
        " ON m.messageset = r.messageset AND m.lang = r.lang AND m.sequence_number < r.number GROUP BY r.key",
        "key BIGINT, messageset BIGINT, lang TEXT, number BIGINT",
        [(one.number, one.messageset, one.lang, one.next_sequence_number) for one in these],
    )
    return {one.number: one.next_sequence_number for one in these} | dict(rows)


class _Batch:
    def __init__(self, tx: Transaction, namespace: str, ways: Ways, why: Occasion) -> None:
        self._tx = tx
        self._why = why
        self._ways = ways
        self._queue = targets.queue_id(tx, FAMILY, namespace, QUEUE, why.now)
        self._key = optout.secret(tx)
        self._new: list[NewDelivery] = []
        self._turns: list[tuple[int, int]] = []
        self._later = 0
        self._zones: dict[int, str] = {}
        self.without_message: list[str] = []
        self.without_address: list[Subscription] = []

    def add(self, one: Subscription, its_set: MessageSet, content: Content, where: Whereto, target: int) -> None:
        why, turn = self._why, one.turns + 1
        said_before = prepended(one.metadata)
        opt_out = optout.url(self._ways.base_url, self._key, one.id)
        zone = where.timezone or self._zone_of(one)
        quiet = _quiet(its_set, zone)
        leaves_at = _leaves_at(why, where, quiet, zone)
        body = outbound(one, its_set, content, where.address, said_before, opt_out, resend=why.resend)
        sent = Sent(
            one.number,
            0 if why.resend else turn,
            content.message.sequence_number,
            run=why.run if leaves_at <= why.now else 0,
            prepended=bool(said_before),
            label=its_set.label or its_set.short_name,
            opt_out=opt_out,
            quiet=quiet,
        )
        options = _encode(sent).decode()
        self._later += leaves_at > why.now
        self._new.append(NewDelivery(self._queue, f"{one.id}#{turn}", target, leaves_at, body, options=options))
        self._turns.append((one.number, turn))

    def put_in(self) -> Queued:
        store.insert(self._tx, self._new, self._why.now)
        figures.tell_messages(self._tx, Counter(queued=len(self._new)))
        under_way = "under_way" if self._why.resend else "r.turn"
        self._tx.each(
            f"UPDATE messaging_subscriptions SET turns = r.turn, under_way = {under_way} FROM {{rows}}"
            " WHERE messaging_subscriptions.number = r.number",
            "number BIGINT, turn BIGINT",
            self._turns,
        )
        if not self._why.resend:
            self._tx.each(
                "UPDATE messaging_subscriptions SET process_status = :status, updated_at = :now FROM {rows}"
                " WHERE messaging_subscriptions.number = r.number",
                "number BIGINT",
                [(one.number,) for one in self.without_address],
                status=NO_ADDRESS,
                now=self._why.now,
            )
        return Queued(len(self._new), self._later, self.without_message, [one.id for one in self.without_address])

    def _zone_of(self, one: Subscription) -> str:
        """Its schedule's, where its receiver has none."""
        if self._why.schedule is not None:
            return self._why.schedule.timezone
        if one.schedule not in self._zones:
            found = SCHEDULES.find_all(self._tx, {one.schedule}).get(one.schedule)
            self._zones[one.schedule] = found.timezone if found else "UTC"
        return self._zones[one.schedule]


_encode = msgspec.json.encode


def _leaves_at(why: Occasion, where: Whereto, quiet: hours.Quiet | None, zone: str) -> int:
    """Now, unless the receiver's own clock says otherwise."""
    moment = why.now
    if where.timezone is None and quiet is None:
        return moment
    if why.moment is not None and why.schedule is not None and why.schedule.has_one_time_of_day:
        moment = max(moment, hours.in_own_zone(why.moment, why.schedule.minute, why.schedule.hour, zone))
    return moment if quiet is None else hours.after_quiet(moment, quiet)


def _quiet(its_set: MessageSet, zone: str) -> hours.Quiet | None:
    if its_set.quiet_from is None or its_set.quiet_until is None:
        return None
    return hours.Quiet(zone, its_set.quiet_from, its_set.quiet_until)


Numbered = tuple[int, str, int]
"""(set, language, sequence number)"""


def _contents(
    tx: Transaction, these: list[Subscription], numbers: dict[int, int], ways: Ways
) -> dict[Numbered, Content]:
    wanted = {(one.messageset, one.lang, numbers[one.number]) for one in these}
    rows = tx.each(
        f"SELECT {', '.join('m.' + name for name in Message._fields)} FROM messaging_messages m JOIN {{rows}}"
        " ON m.messageset = r.messageset AND m.lang = r.lang AND m.sequence_number = r.number",
        "messageset BIGINT, lang TEXT, number BIGINT",
        list(wanted),
    )
    messages = [Message._make(row) for row in rows]
    files = BINARIES.find_all(tx, {one.binary_content for one in messages if one.binary_content is not None})
    return {
        (one.messageset, one.lang, one.sequence_number): Content(
            one, _file_url(files.get(one.binary_content or 0), ways)
        )
        for one in messages
    }


def _file_url(binary: Any, ways: Ways) -> str | None:
    return None if binary is None else f"{ways.base_url.rstrip('/')}/media/{binary.name}"


def _reached(
    tx: Transaction, namespace: str, these: list[Subscription], routes: dict[int, Way], ways: Ways
) -> dict[str | None, dict[str, Whereto]]:
    """By the kind of address, identity by identity. Where another service knows them, it is asked later."""
    by_kind: dict[str | None, set[str]] = {}
    for one in these:
        by_kind.setdefault(routes[one.messageset].address_kind, set()).add(one.identity)
    if ways.looks_up:
        return {kind: dict.fromkeys(them, Whereto("", None)) for kind, them in by_kind.items()}
    return {kind: whereto(tx, namespace, them, kind) for kind, them in by_kind.items()}
