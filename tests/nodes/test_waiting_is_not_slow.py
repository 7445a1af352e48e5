"""Who stands in line because they asked to is no slow request: not in the log, and not in the metrics."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.nodes.parts import SteppedClock, running
from undercroft.app import server


@pytest.mark.anyio
async def test_a_wait_for_a_lock_is_no_slow_request(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SLOW", 0.25)
    async with running(sqlite_url, SteppedClock(), tmp_path) as node:
        await node.call("POST", "/systems/locks", {"name": "gate"})

        with capture_logs() as logs:
            for details in (False, True):
                answer = await node.call("POST", "/systems/locks", {"name": "gate", "wait": 0.3, "details": details})
                assert answer["lock_obtained"] is False

    assert [entry for entry in logs if entry["event"] == "request"] == []
