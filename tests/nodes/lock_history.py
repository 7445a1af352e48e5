"""What may not be in a history of locks. Pure: what the server kept and what clients were told in, faults out.

*Server time.* `Kept` and `Stood` are changes of the server's own rows, in the order of their commits, with the lease
time `at` which the server decided on. So a grant's interval begins at its `granted_at` and lasts to the `expires_at`
that the server last gave it, both on the server's clock; no clock of a client has a say in it. A row has one holder at
a time by its key, so that alone would prove nothing: what counts is that a grant of which a client was *told* is only
over when the server's time has reached its end, or when its own client has asked to give it back. What is told and
not kept, or kept otherwise than told, is a fault as well. The clients' moments only say what came before what.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

# How far apart the clocks of processes on one machine are read (ms).
SLACK = 100


class Kept(NamedTuple):
    """A lease as it was written, or (`gone`) as it was when it was removed. Moments in ms."""

    batch: int
    at: int
    name: str
    fence: int
    token: str
    expires_at: int | None
    delay: int = 0
    gone: bool = False


class Stood(NamedTuple):
    """A place in line as it was written or removed. `granted`: what another node has put down for it."""

    batch: int
    at: int
    name: str
    number: int
    token: str
    until: int
    alive_until: int
    granted: int | None = None
    gone: bool = False


Change = Kept | Stood


class Tale(NamedTuple):
    """A request as its client tells of it: `kind` obtain, renew or release. `token`: of the grant that it is about.

    `yes` None: the answer was lost. `ends`: when the grant ends, in whole seconds since 1970. `wait` in ms.
    """

    kind: str
    name: str
    token: str
    sent: int
    answered: int | None = None
    yes: bool | None = None
    fence: int = 0
    ends: int | None = None
    key: str | None = None
    tries: int = 1
    wait: int = 0


@dataclass
class Grant:
    name: str
    fence: int
    token: str
    ends: list[int | None] = field(default_factory=list)
    """Every end that the server gave it, the last one being in force."""
    delay: int = 0
    over_at: int | None = None
    successor: int | None = None

    @property
    def is_cut_short(self) -> bool:
        """It was over before the server's time had reached its end (and, where another got it, its delay)."""
        end = self.ends[-1]
        if self.over_at is None:
            return False
        return end is None or self.over_at < end + (self.delay if self.successor else 0)


def faults(changes: Sequence[Change], tales: Sequence[Tale]) -> list[str]:
    """Every fault of the history, in words; none of a good one."""
    kept = [change for change in changes if isinstance(change, Kept)]
    grants = grants_of(kept)
    return [
        *_fences_that_do_not_grow(kept, tales),
        *_told_but_not_kept(grants, tales),
        *_cut_short(grants, tales),
        *_wrong_releases(grants, tales),
        *_keys_with_two_grants(tales),
        *_out_of_order(changes),
        *_sent_away_early(tales),
    ]


def grants_of(kept: Iterable[Kept]) -> dict[str, Grant]:
    """By token."""
    found: dict[str, Grant] = {}
    holders: dict[str, Grant] = {}
    for change in kept:
        holder = holders.get(change.name)
        if holder is not None and (change.gone or holder.fence != change.fence):
            holder.over_at = change.at
            holder.successor = None if change.gone else change.fence
            del holders[change.name]
        if not change.gone:
            grant = found.setdefault(change.token, Grant(change.name, change.fence, change.token))
            grant.ends.append(change.expires_at)
            grant.delay = change.delay
            holders[change.name] = grant
    return found


def _fences_that_do_not_grow(kept: Iterable[Kept], tales: Iterable[Tale]) -> Iterator[str]:
    highest = 0
    known: set[str] = set()
    for _, group in groupby(kept, key=lambda change: change.batch):
        # What was decided in one transaction is written in any order.
        new = {change.token: change for change in group if not change.gone and change.token not in known}
        for grant in new.values():
            if grant.fence <= highest:
                yield f"fence {grant.fence} of {grant.name} was handed out after {highest}"
        known |= new.keys()
        highest = max([highest, *(grant.fence for grant in new.values())])
    yield from _fences_against_time(tales)


def _fences_against_time(tales: Iterable[Tale]) -> Iterator[str]:
    """Who asked for the first time after another had been told, got a higher one."""
    granted = [tale for tale in tales if tale.kind == "obtain" and tale.yes and tale.answered is not None]
    firsts: dict[int, Tale] = {}
    for tale in sorted(granted, key=lambda tale: tale.sent):
        firsts.setdefault(tale.fence, tale)
    told = sorted(firsts.values(), key=lambda tale: tale.answered or 0)
    highest, place = 0, 0
    for tale in sorted(firsts.values(), key=lambda tale: tale.sent):
        while place < len(told) and (told[place].answered or 0) < tale.sent:
            highest = max(highest, told[place].fence)
            place += 1
        if tale.fence < highest:
            yield f"fence {tale.fence} of {tale.name} was asked for after {highest} had been told"


def _told_but_not_kept(grants: dict[str, Grant], tales: Iterable[Tale]) -> Iterator[str]:
    for tale in tales:
        if not tale.yes or tale.kind == "release":
            continue
        grant = grants.get(tale.token)
        if grant is None or (grant.name, grant.fence) != (tale.name, tale.fence):
            yield f"{tale.kind} of {tale.name} was told fence {tale.fence}, which the server has not kept"
        elif not any(_says(tale.ends, end) for end in grant.ends):
            yield f"fence {tale.fence} of {tale.name} was told an end that the server never gave it"


def _says(told: int | None, end: int | None) -> bool:
    """Whether a second is that moment, cut to it."""
    return told == (None if end is None else end // 1_000)


def _cut_short(grants: dict[str, Grant], tales: Sequence[Tale]) -> Iterator[str]:
    told = {tale.token for tale in tales if tale.yes}
    given_back: dict[str, int] = {}
    for tale in tales:
        if tale.kind == "release":
            given_back[tale.token] = min(tale.sent, given_back.get(tale.token, tale.sent))
    for grant in grants.values():
        if not grant.is_cut_short or grant.token not in told:
            continue
        if given_back.get(grant.token, math.inf) <= (grant.over_at or 0) + SLACK:
            continue
        if grant.successor:
            yield f"fence {grant.successor} of {grant.name} was granted while {grant.fence} was held"
        else:
            yield f"fence {grant.fence} of {grant.name} was lost before its end"


def _wrong_releases(grants: dict[str, Grant], tales: Iterable[Tale]) -> Iterator[str]:
    done: set[str] = set()
    for tale in tales:
        grant = grants.get(tale.token)
        if tale.kind not in ("release", "renew") or grant is None or tale.answered is None:
            continue
        if tale.kind == "release" and tale.yes:
            if not grant.is_cut_short or tale.token in done:
                yield f"a release of {tale.name} was told that it removed {grant.fence}, which was over"
            done.add(tale.token)
        elif not tale.yes and tale.tries == 1 and not grant.is_cut_short:
            end = grant.ends[-1]
            if end is None or tale.answered < end - SLACK:
                yield f"a {tale.kind} of fence {grant.fence} of {tale.name} was refused while it was held"


def _keys_with_two_grants(tales: Iterable[Tale]) -> Iterator[str]:
    fences: dict[str, set[int]] = defaultdict(set)
    for tale in tales:
        if tale.key and tale.yes:
            fences[tale.key].add(tale.fence)
    for key, found in fences.items():
        if len(found) > 1:
            yield f"the same Idempotency-Key {key} was told the fences {sorted(found)}"


def _out_of_order(changes: Sequence[Change]) -> Iterator[str]:
    """Nobody gets a lock while somebody who came earlier stands in line for it."""
    lines: dict[str, dict[int, Stood]] = defaultdict(dict)
    holders: dict[str, int] = {}
    for (_, at), group in groupby(changes, key=lambda change: (change.batch, change.at)):
        batch = list(group)
        left = {change.number for change in batch if isinstance(change, Stood) and change.gone}
        for change in batch:
            if isinstance(change, Kept) and not change.gone and holders.get(change.name) != change.fence:
                yield from _passed_over(change, lines[change.name].values(), left, at)
        for change in batch:
            _follow(change, lines, holders)


def _passed_over(grant: Kept, line: Iterable[Stood], left: set[int], at: int) -> Iterator[str]:
    own = next((place.number for place in line if place.token == grant.token), None)
    for place in line:
        waits = place.number not in left and place.granted is None and min(place.until, place.alive_until) > at
        if waits and (own is None or place.number < own):
            yield f"fence {grant.fence} of {grant.name} was granted before number {place.number} in line"


def _follow(change: Change, lines: dict[str, dict[int, Stood]], holders: dict[str, int]) -> None:
    if isinstance(change, Stood):
        if change.gone:
            lines[change.name].pop(change.number, None)
        else:
            lines[change.name][change.number] = change
    elif change.gone:
        holders.pop(change.name, None)
    else:
        holders[change.name] = change.fence


def _sent_away_early(tales: Sequence[Tale]) -> Iterator[str]:
    """Without having waited. Who asks again with the key of a grant that is over is answered at once."""
    granted_before = {tale.key for tale in tales if tale.key and tale.yes}
    for tale in tales:
        if tale.key in granted_before:
            continue
        refused = tale.kind == "obtain" and tale.yes is False and tale.tries == 1 and tale.answered is not None
        if refused and tale.wait and (tale.answered or 0) < tale.sent + tale.wait - SLACK:
            yield f"a waiter for {tale.name} was sent away {tale.sent + tale.wait - (tale.answered or 0)} ms early"
