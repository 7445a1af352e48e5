"""What the settings change about locks, on a running server."""

from collections.abc import Callable

import httpx

from tests.contracts.caller import ok, refused
from tests.services.croft import Croft


def test_the_settings_of_locks(start_croft: Callable[..., Croft]) -> None:
    croft = start_croft(
        environment={
            "UNDERCROFT_LOCK_DEFAULT_TTL": "1h",
            "UNDERCROFT_LOCK_MAXIMUM_TTL": "3650d",
            "UNDERCROFT_LOCK_TIMEZONE": "Asia/Manila",
            "UNDERCROFT_LOCK_REQUIRE_TOKEN": "yes",
            "UNDERCROFT_ANONYMOUS": "locks",
        }
    )
    by_default = ok(croft.http.post("/systems/locks", json={"name": "a", "details": True}))
    assert by_default["expires_in"] == 3_600
    refused(croft.http.post("/systems/locks", json={"name": "b", "ttl": 3651 * 86_400}), "L006")
    zoned = croft.http.post("/systems/locks", json={"name": "b", "expires_at": "2034-07-08 18:00:00"})
    assert zoned.headers["x-lock-expires-at"] == "2034-07-08 10:00:00"
    refused(croft.http.delete("/systems/locks/a"), "L016", 409)
    open_one = croft.http.post("/systems/locks", json={"name": "c", "require_token": False})
    assert open_one.status_code == 200
    assert ok(croft.http.delete("/systems/locks/c")) == {"lock_removed": True}
    with httpx.Client(base_url=croft.url, trust_env=False) as nobody:
        assert ok(nobody.post("/systems/locks", json={"name": "a"})) == {"lock_obtained": False}
        refused(nobody.delete("/systems/locks/a?force=1"), "L031", 403)
        assert nobody.get("/job/shop/orders").status_code == 401
