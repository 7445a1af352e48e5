"""Who holds a lease, until when, under which number; on either engine."""

import pytest

from tests.machinery.leases.conftest import OpenHouse
from tests.machinery.leases.house import START, Clocks, House, acquire, place
from undercroft.base.refusals import Refusal
from undercroft.database import Transaction
from undercroft.machinery.leases import store
from undercroft.machinery.leases.model import Answer, Release, Span

pytestmark = pytest.mark.anyio


async def test_one_gets_it_the_other_does_not_and_learns_until_when(house: House) -> None:
    first, second = await house.take(owner="A"), await house.take(owner="B")
    assert (first.yes, first.expires_at, first.left) == (True, START + 1_000, 1_000)
    assert (second.yes, second.token, second.owner, second.free_at) == (False, "", "A", START + 1_000)


async def test_of_those_who_come_at_the_same_moment_the_first_gets_it(house: House) -> None:
    answers = await house.ask(*(acquire() for _ in range(5)), acquire("other"))
    assert [answer.yes for answer in answers] == [True, False, False, False, False, True]


async def test_names_of_other_namespaces_and_families_never_meet(house: House) -> None:
    other = acquire()._replace(place=place(namespace="other"))
    family = acquire()._replace(place=place()._replace(family="house"))
    assert [answer.yes for answer in await house.ask(acquire(), other, family)] == [True] * 3


async def test_it_is_held_up_to_the_moment_of_its_end_and_free_at_it(house: House) -> None:
    held = await house.take()
    house.clocks.pass_time(999)
    assert not (await house.take()).yes
    house.clocks.pass_time(1)
    later = await house.take()
    assert later.yes and later.fence > held.fence and later.token != held.token


async def test_without_an_end_it_is_held_for_ever(house: House) -> None:
    assert (await house.take(ttl=None)).expires_at is None
    house.clocks.pass_time(10**12)
    refused = await house.take()
    assert (refused.yes, refused.free_at) == (False, None)


async def test_an_end_that_is_past_is_refused_and_changes_nothing(house: House) -> None:
    for ends_at in (START, START - 1, 0):
        [refusal] = await house.ask(acquire(span=Span(ends_at=ends_at)))
        assert isinstance(refusal, Refusal) and refusal.code == "past"
    assert (await house.leases.look(place())).lease is None
    assert (await house.take(span=Span(ends_at=START + 1))).left == 1


async def test_a_refused_request_moves_no_end(house: House) -> None:
    await house.take(ttl=1_000)
    await house.take(ttl=100_000)
    house.clocks.pass_time(1_000)
    assert (await house.take()).yes


async def test_released_by_anybody_or_by_its_token_alone(house: House) -> None:
    first = await house.take()
    assert not await house.release("another")
    assert await house.release(first.token)
    assert not await house.release(first.token)
    await house.take()
    assert await house.release()
    assert not await house.release()


async def test_a_late_release_frees_no_newer_grant(house: House) -> None:
    first = await house.take()
    house.clocks.pass_time(1_000)
    assert not await house.release(first.token), "its time was over"
    second = await house.take()
    assert not await house.release(first.token)
    assert not (await house.take()).yes
    assert (await house.renew(second.token)).yes


async def test_a_guarded_one_is_released_with_its_token_only(house: House) -> None:
    held = await house.take(guarded=1)
    [refusal] = await house.ask(Release(place()))
    assert isinstance(refusal, Refusal) and refusal.code == "needs_token"
    assert await house.release(held.token)


async def test_renewing_keeps_the_number_and_counts_from_now(house: House) -> None:
    held = await house.take()
    house.clocks.pass_time(600)
    renewed = await house.renew(held.token, 2_000)
    assert (renewed.yes, renewed.fence, renewed.expires_at) == (True, held.fence, START + 2_600)
    assert not (await house.renew("another")).yes
    house.clocks.pass_time(2_000)
    assert not (await house.renew(held.token)).yes, "it is over, even though nobody took it"


async def test_asking_with_ones_own_token_renews_and_after_its_end_is_a_new_grant(house: House) -> None:
    held = await house.take()
    again = await house.take(own=held.token, ttl=5_000)
    assert (again.yes, again.fence, again.token, again.left) == (True, held.fence, held.token, 5_000)
    house.clocks.pass_time(5_000)
    anew = await house.take(own=held.token)
    assert anew.yes and anew.fence > held.fence and anew.token != held.token
    assert not await house.release(held.token), "a token is of one grant"


async def test_after_an_expiry_a_delay_passes_after_a_release_none(house: House) -> None:
    await house.take(delay=500)
    house.clocks.pass_time(1_000)
    refused = await house.take()
    assert (refused.yes, refused.free_at) == (False, START + 1_500)
    house.clocks.pass_time(500)
    held = await house.take(delay=500)
    assert held.yes
    assert await house.release(held.token)
    assert (await house.take()).yes


async def test_numbers_only_grow_whatever_becomes_of_names_and_nodes(open_house: OpenHouse) -> None:
    fences = []
    for node in ("a", "b", "a"):
        house = await open_house(node)
        for name in ("one", "two", "one"):
            held = await house.take(name)
            fences.append(held.fence)
            assert await house.release(held.token, name)
        await house.database.write(lambda tx: tx.run("DELETE FROM leases"))
    assert fences == sorted(set(fences))


async def test_forced_away_from_its_holder_guarded_or_not(house: House) -> None:
    held = await house.take(guarded=1, owner="A")
    forced = await house.database.write(house.desk.force, place())
    assert (forced.yes, forced.fence, forced.owner) == (True, held.fence, "A")
    assert not (await house.database.write(house.desk.force, place())).yes
    assert not (await house.renew(held.token)).yes


async def test_held_ones_are_listed_by_name_and_in_pages(house: House) -> None:
    for name in ("b2", "a1", "b1", "B1", "b%", "b_"):
        await house.take(name)
    await house.take("b0", ttl=1)
    house.clocks.pass_time(1)
    assert sorted(name for page in await pages(house, "b", 2) for name in page) == ["b%", "b1", "b2", "b_"]
    assert await house.leases.held("locks", "elsewhere", "", "", 10) == ([], None)


async def test_a_page_looks_at_so_many_and_says_where_to_go_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOOKED_AT", 4)
    for number in range(9):
        await house.take(f"a{number}")
    await house.take("b1")
    await house.take("b2")
    assert await pages(house, "b", 5) == [[], [], ["b1", "b2"]]
    assert await pages(house, "b", 1) == [[], [], ["b1"], ["b2"]]
    assert await pages(house, "", 3) == [["a0", "a1", "a2"], ["a3", "a4", "a5"], ["a6", "a7", "a8"], ["b1", "b2"]]


async def pages(house: House, prefix: str, most: int) -> list[list[str]]:
    found: list[list[str]] = []
    after: str | None = ""
    while after is not None:
        seats, after = await house.leases.held("locks", "shop", prefix, after, most)
        found.append([seat.place.name for seat in seats])
    return found


async def test_what_is_over_is_forgotten_and_what_is_held_is_not(house: House) -> None:
    await house.take("over", delay=500)
    await house.take("held", ttl=None)
    house.clocks.pass_time(1_000)
    await house.leases.forget_old(0)
    assert await house.count("leases") == 2, "its delay is not over"
    house.clocks.pass_time(500)
    await house.leases.forget_old(0)
    assert await house.count("leases") == 1
    assert not (await house.take("held")).yes


async def test_numbers_grow_over_a_backup_that_does_not_know_the_latest(open_house: OpenHouse) -> None:
    clocks = Clocks()
    before = await open_house(clocks=clocks)
    await before.take("long ago")
    [state] = await before.database.read(lambda tx: tx.all("SELECT fence, at, shift, steps FROM lease_state"))
    clocks.pass_time(60_000)
    crowd = await before.ask(*(acquire(f"n{number}") for number in range(500)))  # all in one millisecond
    highest = max(answer.fence for answer in crowd if isinstance(answer, Answer))

    def restore(tx: Transaction) -> None:
        tx.run("DELETE FROM leases")
        tx.run("UPDATE lease_state SET fence = :fence, at = :at, shift = :shift, steps = :steps",
               **dict(zip(("fence", "at", "shift", "steps"), state, strict=True)))  # fmt: skip

    await before.database.write(restore)
    clocks.pass_time(1)

    assert (await before.take()).fence > highest, "the database came back under a node that runs"
    assert (await (await open_house("b", clocks=clocks)).take("other")).fence > highest, "and for one that starts"


async def test_numbers_grow_while_the_clock_is_wrong_and_after(house: House) -> None:
    fences = []
    for by in (0, 3_600_000, -3_600_000, -86_400_000):
        house.clocks.set_wall(by)
        fences += [(await house.take(f"{by} {number}")).fence for number in range(3)]
    assert fences == sorted(set(fences)) and fences[-1] < 2**53
