"""What an admin's page reads: the mails of all namespaces, of one state or of any."""

from tests.database.engines import Engine
from tests.database.plans import plan_of
from undercroft.machinery.mail import store
from undercroft.machinery.mail.model import State

COUNT = 3_000


def fill(engine: Engine) -> None:
    """One in a thousand failed."""
    with engine.transaction() as tx:
        tx.each(
            "INSERT INTO mails (id, namespace, owner, sender, subject, state, created_at)"
            " SELECT r.id, 'shop', '', '', '', r.state, 0 FROM {rows} WHERE true",
            "id TEXT, state BIGINT",
            [(f"{n:06}", int(State.SENT if n % 1_000 else State.FAILED)) for n in range(COUNT)],
        )
    engine.connection.execute("ANALYZE")


def test_those_of_one_state_are_found_without_looking_at_others(engine: Engine) -> None:
    fill(engine)
    assert "mails_of_all_by_state" in plan_of(engine, store.page, None, State.FAILED, None, 5)
    with engine.transaction() as tx:
        assert [one.id for one in store.page(tx, None, State.FAILED, None, 2)] == ["002000", "001000"]
        assert [one.id for one in store.page(tx, None, State.FAILED, "001000", 2)] == ["000000"]
        assert [one.id for one in store.page(tx, None, None, "001001", 2)] == ["001000", "000999"]
