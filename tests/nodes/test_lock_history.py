"""The checker of histories fails where it has to: each bad history is a good one with one thing done wrong."""

from dataclasses import dataclass, field, replace

import pytest

from tests.nodes.lock_history import Change, Kept, Stood, Tale, faults


@dataclass(frozen=True)
class History:
    """Moments in ms: one lock, `first` until 5000, then `second` to who stood in line."""

    changes: list[Change] = field(default_factory=list)
    tales: list[Tale] = field(default_factory=list)

    def faults(self) -> list[str]:
        return faults(self.changes, self.tales)


def kept(batch: int, at: int, token: str, fence: int, expires_at: int | None, **more: object) -> Kept:
    return Kept(batch, at, "gate", fence, token, expires_at, **more)  # type: ignore[arg-type]


def stood(batch: int, at: int, token: str, number: int, **more: object) -> Stood:
    return Stood(batch, at, "gate", number, token, **{"until": 60_000, "alive_until": 60_000, **more})  # type: ignore[arg-type]


def obtained(token: str, fence: int, sent: int, answered: int, ends: int | None, **more: object) -> Tale:
    return Tale("obtain", "gate", token, sent, answered, True, fence, ends, **more)  # type: ignore[arg-type]


def released(token: str, sent: int, yes: bool | None, **more: object) -> Tale:
    answered = None if yes is None else sent + 10
    return Tale("release", "gate", token, sent, answered, yes, **more)  # type: ignore[arg-type]


def good() -> History:
    """`first` gives it back at 3000 to `second`, whose lock runs out at 8000 and goes to `third`."""
    return History(
        [
            kept(2, 1_000, "first", 1, 5_000),
            stood(4, 2_000, "second", 3),
            stood(6, 2_500, "third", 5),
            kept(8, 3_000, "second", 7, 8_000),
            stood(8, 3_000, "second", 3, gone=True),
            kept(10, 8_000, "third", 9, 12_000),
            stood(10, 8_000, "third", 5, gone=True),
        ],
        [
            obtained("first", 1, 990, 1_010, 5),
            obtained("second", 7, 1_990, 3_010, 8, wait=50_000),
            obtained("third", 9, 2_490, 8_010, 12, wait=50_000),
            released("first", 2_990, True),
            released("second", 9_000, False),
        ],
    )


def changed(history: History, at: int, change: Change) -> History:
    return replace(history, changes=[*history.changes[:at], change, *history.changes[at + 1 :]])


def retold(history: History, at: int, tale: Tale) -> History:
    return replace(history, tales=[*history.tales[:at], tale, *history.tales[at + 1 :]])


def test_a_good_history_has_no_fault() -> None:
    assert good().faults() == []


def test_what_is_written_in_one_transaction_has_no_order() -> None:
    other = Kept(2, 1_000, "door", 2, "beside", 5_000)
    history = replace(good(), changes=[other, *good().changes])

    assert history.faults() == []


def test_grants_that_overlap() -> None:
    history = retold(good(), 3, released("another", 2_990, False))

    assert history.faults() == ["fence 7 of gate was granted while 1 was held"]


def test_a_grant_before_the_delay_is_over() -> None:
    history = changed(good(), 3, kept(8, 3_000, "second", 7, 8_000, delay=1))

    assert history.faults() == ["fence 9 of gate was granted while 7 was held"]


def test_a_grant_of_which_nobody_was_told_may_be_taken_back() -> None:
    good_one = good()
    history = replace(good_one, tales=[tale for tale in good_one.tales if tale.token != "first"])

    assert history.faults() == []


@pytest.mark.parametrize("fence", [1, 0])
def test_a_fence_that_does_not_grow(fence: int) -> None:
    history = retold(changed(good(), 5, kept(10, 8_000, "third", fence, 12_000)), 2, obtained("third", fence, 0, 1, 12))

    assert any(f"fence {fence} of gate was" in fault for fault in history.faults())


def test_a_fence_that_was_asked_for_later_and_is_lower() -> None:
    """As when a server that was restored counts from an earlier number: the rows alone look well."""
    before = Kept(1, 900, "door", 1, "other", 99_000)
    history = replace(
        good(),
        changes=[before, *(change for change in good().changes if change.batch > 2)],
        tales=[obtained("second", 7, 10, 20, 8), Tale("obtain", "door", "other", 30, 40, True, 1, 99)],
    )

    assert history.faults() == ["fence 1 of door was asked for after 7 had been told"]


def test_a_grant_that_a_kill_has_undone() -> None:
    history = replace(good(), changes=good().changes[1:])

    assert history.faults() == ["obtain of gate was told fence 1, which the server has not kept"]


def test_a_grant_that_is_removed_while_it_is_held() -> None:
    history = replace(
        good(),
        changes=[*good().changes, kept(12, 9_000, "third", 9, 12_000, gone=True)],
    )

    assert history.faults() == ["fence 9 of gate was lost before its end"]


def test_a_grant_that_ends_earlier_than_was_told() -> None:
    history = retold(good(), 2, obtained("third", 9, 2_490, 8_010, 13, wait=50_000))

    assert history.faults() == ["fence 9 of gate was told an end that the server never gave it"]


def test_a_late_release_that_frees_a_newer_grant() -> None:
    history = replace(
        retold(good(), 4, released("second", 9_000, True)),
        changes=[*good().changes, kept(12, 9_000, "third", 9, 12_000, gone=True)],
    )

    assert history.faults() == [
        "fence 9 of gate was lost before its end",
        "a release of gate was told that it removed 7, which was over",
    ]


def test_a_release_that_succeeds_twice() -> None:
    history = replace(good(), tales=[*good().tales, released("first", 4_000, True)])

    assert history.faults() == ["a release of gate was told that it removed 1, which was over"]


@pytest.mark.parametrize("kind", ["release", "renew"])
def test_a_holder_who_is_refused(kind: str) -> None:
    refused = released("third", 9_000, False)._replace(kind=kind)
    history = replace(good(), tales=[*good().tales, refused])

    assert history.faults() == [f"a {kind} of fence 9 of gate was refused while it was held"]


def test_waiters_out_of_order() -> None:
    history = changed(good(), 3, kept(8, 3_000, "third", 7, 8_000))
    history = changed(history, 4, stood(8, 3_000, "third", 5, gone=True))
    history = changed(history, 5, kept(10, 8_000, "second", 9, 12_000))
    history = changed(history, 6, stood(10, 8_000, "second", 3, gone=True))
    history = replace(history, tales=good().tales[3:4])

    assert history.faults() == ["fence 7 of gate was granted before number 3 in line"]


def test_somebody_who_passes_the_line() -> None:
    history = changed(good(), 5, kept(10, 8_000, "passer-by", 9, 12_000))
    history = replace(history, changes=history.changes[:6], tales=good().tales[:2] + good().tales[3:])

    assert history.faults() == ["fence 9 of gate was granted before number 5 in line"]


@pytest.mark.parametrize("gone", [{"until": 3_000}, {"alive_until": 3_000}, {"granted": 2}])
def test_who_does_not_wait_any_more_is_passed(gone: dict[str, int]) -> None:
    history = changed(good(), 3, kept(8, 3_000, "third", 7, 8_000))
    history = changed(history, 1, stood(4, 2_000, "second", 3, **gone))
    history = replace(history, changes=history.changes[:4], tales=good().tales[3:4])

    assert history.faults() == []


def test_a_key_with_two_grants() -> None:
    tales = [tale._replace(key="same") if tale.kind == "obtain" else tale for tale in good().tales]

    assert replace(good(), tales=tales).faults() == ["the same Idempotency-Key same was told the fences [1, 7, 9]"]


def test_a_waiter_who_is_sent_away_early() -> None:
    refused = Tale("obtain", "gate", "", 2_600, 3_000, False, wait=1_000)
    history = replace(good(), tales=[*good().tales, refused])

    assert history.faults() == ["a waiter for gate was sent away 600 ms early"]
