"""One shop's timers on a real server, in the words of these tests."""

import time
from typing import Any

import httpx

from tests.services.croft import Croft
from tests.services.waiting import wait_until

PATH = "/job/shop/carts"


class Shop:
    def __init__(self, croft: Croft) -> None:
        self.croft = croft
        self.http = croft.http

    def route(self, id: str, url: str, **more: object) -> None:
        route = {"id": id, "type": "REST", "webhook_url": url, **more}
        self.http.post("/route/shop", json=route).raise_for_status()

    def job(self, id: str, route: str, in_ms: int = 0, **more: object) -> None:
        job = {"id": id, "trigger_time": now() + in_ms, "route": route, **more}
        self.http.post(PATH, json=job).raise_for_status()

    def jobs(self, names: list[str], route: str, in_ms: int = 0) -> None:
        due = now() + in_ms
        self.http.post(
            PATH, json=[{"id": name, "trigger_time": due, "route": route} for name in names]
        ).raise_for_status()

    def delete(self, id: str) -> httpx.Response:
        return self.http.delete(f"{PATH}/{id}")

    def detail(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"{PATH}/{id}?detail=1").raise_for_status().json()
        return found

    def wait_for_state(self, id: str, state: str, seconds: float = 20) -> dict[str, Any]:
        wait_until(lambda: self.detail(id)["state"] == state, f"{id} to be {state}", seconds)
        return self.detail(id)

    def attempts(self, id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(f"{PATH}/{id}/attempts").raise_for_status().json()["attempts"]
        return found

    def count(self, state: str) -> int:
        """How many jobs are in this state, page by page."""
        total, cursor = 0, ""
        while True:
            page = self.http.get(f"{PATH}?state={state}&limit=1000{cursor}").raise_for_status().json()
            total += len(page["jobs"])
            if page["cursor"] is None:
                return total
            cursor = f"&cursor={page['cursor']}"


def now() -> int:
    return time.time_ns() // 1_000_000
