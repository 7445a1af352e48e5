"""A caller of one db of a running server, and what it says in a test."""

import itertools
import time
from typing import Any
from urllib.parse import quote

import httpx

from tests.services.croft import Croft
from tests.services.receiver import Call, Receiver
from tests.services.waiting import wait_until

OK = {"status": "ok"}
FAR = 4_102_444_800_000
"""The year 2100, in milliseconds."""
HOUR = 3_600_000
SOON = 300
_numbers = itertools.count(1)


def now() -> int:
    return time.time_ns() // 1_000_000


def encoded(name: str) -> str:
    """One segment of a path; a client would take a bare `.` for the folder that it is in."""
    return quote(name, safe="").replace(".", "%2E")


def ok(answer: httpx.Response) -> Any:
    """The decoded body of an answer that must be 200."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def refused(answer: httpx.Response, code: str, status: int = 400) -> str:
    """What the refusal says to people; it holds that and a code, nothing else."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error", "code"]
    assert body["code"] == code, body
    error: str = body["error"]
    assert error
    return error


class Caller:
    """`db` is this caller's own; `hook` is a route of it, if made, to the receiver's path of that name."""

    def __init__(self, croft: Croft, receiver: Receiver, db: str | None = None) -> None:
        self.http = croft.http
        self.url = croft.url
        self.receiver = receiver
        self.db = db or f"shop-{next(_numbers)}"
        self.routes = f"/route/{encoded(self.db)}"
        self.jobs = f"/job/{encoded(self.db)}/carts"
        self.dead = f"/dead/{encoded(self.db)}"

    def make_route(self, id: str = "hook", **more: Any) -> Any:
        given = {"id": id, "type": "REST", "webhook_url": self.receiver.url(f"/{id}"), **more}
        return ok(self.http.post(self.routes, json=given))

    def route(self, id: str = "hook") -> Any:
        return ok(self.http.get(f"{self.routes}/{id}?detail=1"))

    def post(self, id: str | None = None, query: str = "", **fields: Any) -> httpx.Response:
        """A job for `hook` in 2100, but for what `fields` say."""
        named = {} if id is None else {"id": id}
        return self.http.post(self.jobs + query, json={**named, "trigger_time": FAR, "route": "hook", **fields})

    def fire(self, id: str, **fields: Any) -> int:
        """A job that is due in a moment; its trigger_time."""
        due = now() + SOON
        assert ok(self.post(id, trigger_time=due, **fields)) == OK
        return due

    def path(self, id: str) -> str:
        return f"{self.jobs}/{encoded(id)}"

    def get(self, id: str) -> Any:
        return ok(self.http.get(self.path(id)))

    def detail(self, id: str) -> Any:
        return ok(self.http.get(f"{self.path(id)}?detail=1"))

    def attempts(self, id: str) -> Any:
        return ok(self.http.get(f"{self.path(id)}/attempts"))["attempts"]

    def put(self, id: str, query: str = "", /, **fields: Any) -> httpx.Response:
        return self.http.put(self.path(id) + query, json=fields)

    def listed(self, query: str = "") -> list[str]:
        return [job["id"] for job in ok(self.http.get(self.jobs + query))["jobs"]]

    def dead_ids(self, query: str = "") -> list[str]:
        return [job["id"] for job in ok(self.http.get(self.dead + query))["jobs"]]

    def wait_for(self, id: str, state: str) -> Any:
        """The details of the job, as soon as it is in this state."""
        wait_until(lambda: self.detail(id)["state"] == state, f"{id!r} to be {state}")
        return self.detail(id)

    def delivered(self, id: str) -> Call:
        """The call that brought this job, the only one by its id, once the server has noted that it arrived."""
        self.wait_for(id, "delivered")
        [call] = [call for call in self.receiver.calls() if call.headers["x-undercroft-job"] == id]
        return call
