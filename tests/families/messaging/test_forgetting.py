"""Old runs are forgotten, some at a time; what is open or young stays."""

import pytest

from tests.families.messaging.house import NOW, House
from undercroft.base.clock import DAY
from undercroft.database import Transaction
from undercroft.families.messaging import forgetting

pytestmark = pytest.mark.anyio


async def test_finished_runs_are_forgotten_after_their_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "PER_STEP", 2)
    for _ in range(4):
        await house.call("POST", "schedule/1/send/")
        await house.go_on()

    def leave_open(tx: Transaction) -> None:
        tx.run("UPDATE messaging_runs SET finished_at = NULL WHERE id = 2")

    await house.database.write(leave_open)
    forgets = forgetting.Forgetting(house.database)
    assert not await forgets.step(house.clock.now + forgetting.KEPT)
    assert len((await house.get("runs/"))["results"]) == 4
    for _ in range(4):
        await forgets.step(NOW + forgetting.KEPT + DAY)
    assert [run["id"] for run in (await house.get("runs/"))["results"]] == [2]
