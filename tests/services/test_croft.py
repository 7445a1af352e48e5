from collections.abc import Callable

import pytest

from tests.services.croft import Croft


def test_comes_back_on_its_port_after_an_end_of_either_kind(
    start_croft: Callable[..., Croft], database_url: str
) -> None:
    croft = start_croft(database=database_url)
    first = croft.pid

    croft.kill()
    assert not croft.running
    croft.start()

    assert croft.pid != first
    assert croft.stop() == 0
    croft.start()
    assert croft.http.get("/route/shop").status_code == 200


def test_a_server_that_ends_by_itself_is_no_start(start_croft: Callable[..., Croft]) -> None:
    with pytest.raises(AssertionError, match="ended by itself"):
        start_croft(database="nothing://here")


def test_nodes_share_a_database_and_a_token(start_croft: Callable[..., Croft], postgres_url: str) -> None:
    one, other = [start_croft(database=postgres_url) for _ in range(2)]

    route = {"id": "hook", "type": "REST", "webhook_url": "http://127.0.0.1:9/"}
    assert one.http.post("/route/shop", json=route).status_code == 200

    assert other.http.get("/route/shop/hook").json()["webhook_url"] == route["webhook_url"]
