"""Ids, secrets, the clock, refusals: what everything else is made of."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercroft.base.clock import END_OF_TIME, wall_clock
from undercroft.base.ids import base32, earliest_id, new_secret, sortable_id
from undercroft.base.refusals import Kind, Refusal, conflict, invalid, not_found, unavailable

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


@given(st.integers(0, 2**140))
def test_base32_is_the_number(number: int) -> None:
    written = base32(number)

    value = 0
    for letter in written:
        value = value * 32 + ALPHABET.index(letter)
    assert value == number
    assert written == "0" or written[0] != "0"


def test_ids_sort_by_the_moment_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [0, 1, 31, 32, 1_700_000_000_000, 1_700_000_000_001, END_OF_TIME]
    made = []
    for moment in moments:
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment * 1_000_000)
        made.append([sortable_id() for _ in range(5)])

    for earlier, later in itertools.pairwise(made):
        assert max(earlier) < min(later)
    assert {len(id) for ids in made for id in ids} == {26}


def test_ids_of_one_millisecond_sort_as_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while the clock is set back a little; not for long where it was set back by much."""
    moments = [5_000, 5_000, 5_001, 4_900, 5_000, 5_001]
    made = []
    for moment in moments:
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment * 1_000_000)
        made += [sortable_id() for _ in range(50)]

    assert made == sorted(set(made))
    monkeypatch.setattr(time, "time_ns", lambda: 3_000 * 1_000_000)
    assert earliest_id(3_000) < sortable_id() < earliest_id(3_001)


def test_no_two_ids_or_secrets_are_the_same() -> None:
    assert len({sortable_id() for _ in range(10_000)}) == 10_000
    secrets = {new_secret() for _ in range(1_000)}
    assert len(secrets) == 1_000
    assert all(len(secret) == 27 and secret.replace("-", "").replace("_", "").isalnum() for secret in secrets)


def test_the_wall_clock_is_in_milliseconds() -> None:
    before = time.time() * 1_000
    now = wall_clock()
    assert before - 1 <= now <= time.time() * 1_000 + 1
    assert isinstance(now, int)


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (invalid("code", "no"), Kind.INVALID),
        (not_found("code", "no"), Kind.NOT_FOUND),
        (conflict("code", "no"), Kind.CONFLICT),
    ],
)
def test_a_refusal_has_a_kind_a_code_and_a_message(refusal: Refusal, kind: Kind) -> None:
    assert (refusal.kind, refusal.code, refusal.message, str(refusal)) == (kind, "code", "no", "no")
    assert refusal.retry_after is None


def test_what_is_not_there_now_may_be_there_soon() -> None:
    assert (unavailable("away").code, unavailable("away").retry_after) == ("unavailable", 1)
    assert unavailable("away", retry_after=30).retry_after == 30
