"""What one transaction keeps of a mail: itself, its recipients, a delivery for each; keys and suppressions."""

from typing import Any

import pytest

from tests.database.engines import Engine
from tests.machinery.mail.making import NOW, mail, order
from undercroft.base.clock import DAY, HOUR, wall_clock
from undercroft.base.ids import sortable_id
from undercroft.base.refusals import Refusal
from undercroft.machinery.deliveries import store as deliveries
from undercroft.machinery.deliveries import targets
from undercroft.machinery.deliveries.hooks import Settled
from undercroft.machinery.deliveries.model import Delivery, Outcome, Result
from undercroft.machinery.deliveries.model import State as DeliveryState
from undercroft.machinery.deliveries.policy import judge
from undercroft.machinery.mail import keys, store, suppressions
from undercroft.machinery.mail.actions import (
    FAMILY,
    QUEUE,
    RELAY,
    Enqueued,
    Order,
    cancel,
    enqueue_many,
    settled,
)
from undercroft.machinery.mail.model import State
from undercroft.machinery.mail.schedule import RETRIES, Terms
from undercroft.machinery.mail.sending import CAPTURED, SUPPRESSED
from undercroft.machinery.mail.upkeep import oldest_id


def enqueue(engine: Engine, *orders: Order) -> list[Enqueued | Refusal]:
    with engine.transaction() as tx:
        return enqueue_many(tx, list(orders))


def rows(tx: Any, namespace: str = "@admin") -> list[Delivery]:
    queue = targets.find_queue(tx, FAMILY, namespace, QUEUE)
    assert queue is not None
    found = tx.all(f"SELECT {deliveries.COLUMNS} FROM deliveries WHERE queue = :queue ORDER BY id", queue=queue.id)
    return [Delivery._make(row) for row in found]


def end(engine: Engine, delivery: Delivery, result: Result, **more: Any) -> None:
    outcome = Outcome(NOW, 5, result, **more)
    with engine.transaction() as tx:
        settled(tx, [Settled(delivery, outcome, judge(outcome, 1, NOW, RETRIES))])


def states(engine: Engine, id: str) -> tuple[State, list[State]]:
    with engine.transaction() as tx:
        found = store.find(tx, id)
        assert found is not None
        return found[0].state, [one.state for one in store.recipients_of(tx, [id])[id]]


def test_each_recipient_has_a_delivery_of_its_own(engine: Engine) -> None:
    one = order(to="ann@example.com, Bob <bob@Example.COM>", cc="ANN@example.com", bcc=["eve@example.com"])
    assert enqueue(engine, one) == [Enqueued(one.id, True, 3)]
    with engine.transaction() as tx:
        found = rows(tx)
        recipients = store.recipients_of(tx, [one.id])[one.id]
    assert [row.name for row in found] == [f"{one.id}.{n}" for n in range(3)]
    assert [(r.address, r.kind) for r in recipients] == [
        ("ann@example.com", "to"),
        ("bob@example.com", "to"),
        ("eve@example.com", "bcc"),
    ]
    assert {row.planned_at for row in found} == {NOW}


def test_many_orders_are_kept_by_one_call(engine: Engine) -> None:
    orders = [order(f"@team{n % 3}", to=f"user{n}@example.com") for n in range(50)]
    assert [answer.id for answer in enqueue(engine, *orders) if isinstance(answer, Enqueued)] == [o.id for o in orders]
    with engine.transaction() as tx:
        assert len(rows(tx, "@team0")) == 17
        assert len(store.page(tx, ["@team1"], None, None, 100)) == 17


def test_a_mail_for_later_is_due_later(engine: Engine) -> None:
    enqueue(engine, order(send_at=NOW + HOUR), order(send_at=(NOW + 40 * DAY) // 1_000))
    with engine.transaction() as tx:
        soon, late = rows(tx)
    assert (soon.planned_at, late.planned_at) == (NOW + HOUR, NOW + 40 * DAY)
    assert late.state == DeliveryState.FILED


def test_a_key_sends_once_a_day(engine: Engine) -> None:
    first, again, other = order(key="k"), order(key="k"), order(key="k", subject="Another")
    assert enqueue(engine, first) == [Enqueued(first.id, True, 1)]
    same, refused = enqueue(engine, again, other)
    assert same == Enqueued(first.id, False)
    assert isinstance(refused, Refusal) and refused.code == "key_used"
    elsewhere, tomorrow = order("@shop", key="k"), order(key="k", now=NOW + DAY, subject="Another")
    assert enqueue(engine, elsewhere) == [Enqueued(elsewhere.id, True, 1)]
    assert enqueue(engine, tomorrow) == [Enqueued(tomorrow.id, True, 1)]
    with engine.transaction() as tx:
        assert len(rows(tx)) == 2


def test_of_several_with_one_key_in_one_call_the_first_is_sent(engine: Engine) -> None:
    one, same, other, free = order(key="k"), order(key="k"), order(key="k", subject="Another"), order()
    answers = enqueue(engine, one, same, other, free)
    assert answers[:2] == [Enqueued(one.id, True, 1), Enqueued(one.id, False)]
    assert isinstance(answers[2], Refusal)
    assert answers[3] == Enqueued(free.id, True, 1)


def test_keys_are_forgotten_after_a_day(engine: Engine) -> None:
    enqueue(engine, order(key="old"))
    enqueue(engine, order(key="new", now=NOW + HOUR))
    with engine.transaction() as tx:
        assert keys.forget(tx, NOW + DAY, 10) == 1
        assert set(keys.find(tx, {("@admin", "old"), ("@admin", "new")}, NOW + DAY)) == {("@admin", "new")}


def test_nothing_goes_to_who_is_suppressed(engine: Engine) -> None:
    with engine.transaction() as tx:
        suppressions.put(tx, "@admin", ["Ann@Example.com"], "unsubscribed", NOW)
    both, alone, elsewhere = order(to="ann@example.com, bob@example.com"), order(key="k"), order("@shop")
    answers = enqueue(engine, both, alone, elsewhere)
    assert answers[0] == Enqueued(both.id, True, 1) and answers[2] == Enqueued(elsewhere.id, True, 1)
    assert isinstance(answers[1], Refusal) and answers[1].code == "suppressed"
    assert states(engine, both.id) == (State.QUEUED, [State.SUPPRESSED, State.QUEUED])
    with engine.transaction() as tx:
        assert [row.name for row in rows(tx)] == [f"{both.id}.1"]
        assert suppressions.remove(tx, "@admin", "ANN@example.com")
    free_again = order(key="k")
    assert enqueue(engine, free_again) == [Enqueued(free_again.id, True, 1)]


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([(Result.DONE, {"status": 250, "reply": "250 ok"})] * 2, State.SENT),
        ([(Result.DONE, {"reply": CAPTURED})] * 2, State.CAPTURED),
        ([(Result.DONE, {}), (Result.AGAIN, {"error": "450 later"})], State.DEFERRED),
        ([(Result.DONE, {}), (Result.HOPELESS, {"error": "550 no"})], State.PARTLY),
        ([(Result.HOPELESS, {"error": "550 no"})] * 2, State.REFUSED),
        ([(Result.HOPELESS, {"error": SUPPRESSED})] * 2, State.SUPPRESSED),
    ],
)
def test_a_mail_is_the_sum_of_its_recipients(
    engine: Engine, ends: list[tuple[Result, dict[str, Any]]], expected: State
) -> None:
    one = order(to="ann@example.com, bob@example.com")
    enqueue(engine, one)
    with engine.transaction() as tx:
        found = rows(tx)
    end(engine, found[0], ends[0][0], **ends[0][1])
    if ends[0][0] is not Result.AGAIN:
        assert states(engine, one.id)[0] == State.QUEUED
    end(engine, found[1], ends[1][0], **ends[1][1])
    assert states(engine, one.id)[0] == expected


def test_what_is_cancelled_is_not_sent(engine: Engine) -> None:
    one = order(to="ann@example.com, bob@example.com", send_at=NOW + HOUR)
    enqueue(engine, one)
    with engine.transaction() as tx:
        assert cancel(tx, "@admin", one.id, NOW).state is State.CANCELLED
        assert rows(tx) == []
        with pytest.raises(Refusal) as refused:
            cancel(tx, "@admin", one.id, NOW)
        assert refused.value.code == "ended"
        with pytest.raises(Refusal) as refused:
            cancel(tx, "@shop", one.id, NOW)
        assert refused.value.code == "unknown_email"


def test_what_is_on_its_way_is_not_cancelled(engine: Engine) -> None:
    one = order(to="ann@example.com, bob@example.com")
    enqueue(engine, one)
    with engine.transaction() as tx:
        tx.run("UPDATE deliveries SET state = 2 WHERE name = :name", name=f"{one.id}.1")
    with pytest.raises(Refusal) as refused, engine.transaction() as tx:
        cancel(tx, "@admin", one.id, NOW)
    assert refused.value.code == "in_flight"
    with engine.transaction() as tx:
        assert len(rows(tx)) == 2, "nothing was taken out"


def test_lists_are_newest_first_in_pages_of_any_size(engine: Engine) -> None:
    made = [order() for _ in range(7)]
    orders = [one._replace(mail=mail(to=f"user{n % 2}@example.com")) for n, one in enumerate(made)]
    enqueue(engine, *orders)
    newest_first = [one.id for one in reversed(orders)]
    for limit in (1, 3, 7, 10):
        seen: list[str] = []
        before: str | None = None
        while True:
            with engine.transaction() as tx:
                page = store.page(tx, ["@admin"], None, before, limit)
            seen += [one.id for one in page]
            if len(page) < limit:
                break
            before = page[-1].id
        assert seen == newest_first
    with engine.transaction() as tx:
        found, following = store.page_to(tx, "@admin", "USER1@example.com", None, None, 2)
        assert [one.id for one in found] == [orders[5].id, orders[3].id]
        last, end_of_all = store.page_to(tx, "@admin", "user1@example.com", State.QUEUED, following, 2)
        assert ([one.id for one in last], end_of_all) == ([orders[1].id], None)
        assert store.page_to(tx, "@admin", "user1@example.com", State.SENT, None, 2) == ([], None)
        assert store.page(tx, ["@shop"], None, None, 5) == []
        assert len(store.page(tx, None, State.QUEUED, None, 5)) == 5


def test_mails_that_had_their_end_are_forgotten_and_those_that_wait_are_not(engine: Engine) -> None:
    done, waiting = order(), order(send_at=NOW + HOUR)
    enqueue(engine, done, waiting)
    with engine.transaction() as tx:
        end_it = rows(tx)[0]
    end(engine, end_it, Result.DONE)
    with engine.transaction() as tx:
        assert store.forget(tx, "", oldest_id(0), 10) == (0, None)
        assert store.forget(tx, "", "~", 10) == (1, None)
        assert store.find(tx, done.id) is None and store.find(tx, waiting.id) is not None
        assert store.recipients_of(tx, [done.id]) == {done.id: []}
        assert tx.all("SELECT mail FROM mail_contents") == [(waiting.id,)]


def test_ids_are_in_the_order_of_their_moments() -> None:
    assert oldest_id(wall_clock() - 1_000) < sortable_id() < oldest_id(wall_clock() + 1_000)


def test_a_namespaces_target_follows_the_settings(engine: Engine) -> None:
    def schedule() -> tuple[tuple[float, ...] | None, int]:
        with engine.transaction() as tx:
            found = targets.find_target(tx, FAMILY, "@admin", RELAY)
            assert found is not None
            return found.settings.retries, found.concurrency

    enqueue(engine, order())
    assert schedule() == Terms()[:2]
    enqueue(engine, order()._replace(terms=Terms((5.0,), 3)), order("shop"))
    enqueue(engine, order())
    assert schedule() == ((5.0,), 3), "who says nothing leaves it as it is"


def test_each_namespace_has_a_target_of_its_own(engine: Engine) -> None:
    enqueue(engine, order(), order("shop"), order())
    with engine.transaction() as tx:
        mine, shops = (targets.find_target(tx, FAMILY, name, RELAY) for name in ("@admin", "shop"))
        assert mine is not None and shops is not None
        assert [row.target for row in rows(tx)] == [mine.id, mine.id]
        assert [row.target for row in rows(tx, "shop")] == [shops.id]


def test_of_two_who_take_a_key_at_once_the_second_finds_it_taken(engine: Engine) -> None:
    key, other = (keys.Key("@admin", "k", digest, mail) for digest, mail in (("d1", "m1"), ("d2", "m2")))
    with engine.transaction() as tx:
        assert keys.take(tx, [key], NOW) == {("@admin", "k")}
        assert keys.take(tx, [other], NOW + HOUR) == set()
        assert keys.find(tx, {("@admin", "k")}, NOW + HOUR) == {("@admin", "k"): ("d1", "m1")}
        assert keys.take(tx, [other], NOW + DAY) == {("@admin", "k")}
