"""Thousands of requests for locks while servers are killed and clients stopped: the history has no fault."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.nodes import lock_witness
from tests.nodes.lock_history import Change, Kept, Stood, Tale, faults, grants_of
from tests.nodes.lock_storm import Keeper, LockStorm
from tests.services.croft import Croft

StartCroft = Callable[..., Croft]
# In each of the three storms, so that all have 10,200 answers.
ANSWERS = 3_400


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_server_that_is_killed_four_times(
    start_croft: StartCroft, request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    url = request.getfixturevalue(f"{engine}_url")
    croft = start_croft(database=url)
    lock_witness.call(url)
    keeper = Keeper(croft)
    storm = LockStorm([croft], tmp_path / "clients")

    with storm.raging():
        for share in (0.2, 0.4, 0.6, 0.8):
            storm.wait_for_answers(int(share * ANSWERS))
            croft.kill()
            croft.start()
            keeper.check(croft)
        storm.wait_for_answers(ANSWERS)

    check(lock_witness.heard(url), storm)


def test_three_nodes_of_which_some_are_killed(start_croft: StartCroft, postgres_url: str, tmp_path: Path) -> None:
    nodes = [start_croft(database=postgres_url) for _ in range(3)]
    lock_witness.call(postgres_url)
    keeper = Keeper(nodes[0])
    storm = LockStorm(nodes, tmp_path / "clients")

    with storm.raging():
        for node, share in zip(nodes, (0.2, 0.5, 0.75), strict=True):
            storm.wait_for_answers(int(share * ANSWERS))
            node.kill()
            storm.wait_for_answers(storm.answers() + 200)
            node.start()
            keeper.check(node)
        storm.wait_for_answers(ANSWERS)

    check(lock_witness.heard(postgres_url), storm)


def check(changes: Sequence[Change], storm: LockStorm) -> None:
    tales = storm.tales()
    assert sum(tale.yes is not None for tale in tales) >= ANSWERS
    seen = what_happened(changes, tales)
    print(f"{storm.stops} stops", dict(seen))
    found = faults(changes, tales)
    assert not found, "\n".join(found)
    for what in ("late releases", "granted in line", "told only when asked again", "renewed", "run out"):
        assert seen[what] >= 20, f"so few were {what} that it shows nothing: {seen}"


def what_happened(changes: Sequence[Change], tales: Sequence[Tale]) -> Counter[str]:
    grants = grants_of(change for change in changes if isinstance(change, Kept))
    lines = {change.token for change in changes if isinstance(change, Stood)}
    obtained = [tale for tale in tales if tale.kind == "obtain" and tale.yes]
    return Counter(
        {
            "grants": len(grants),
            "answers": sum(tale.yes is not None for tale in tales),
            "late releases": sum(tale.kind == "release" and tale.yes is False for tale in tales),
            "granted in line": sum(tale.token in lines for tale in obtained),
            "told only when asked again": sum(tale.tries > 1 for tale in obtained),
            "renewed": sum(tale.kind == "renew" and tale.yes is True for tale in tales),
            "run out": sum(grant.over_at is not None and not grant.is_cut_short for grant in grants.values()),
        }
    )
