"""The document that the wire format comes from: its examples, pasted, and its answers, to the letter."""

import json
import re
from typing import Any

import httpx
import pytest

from tests.contracts.caller import FAR, Caller

CREATED_LONG_AGO = "1667659342626"
JOB = """{
    "id": "nxz123bnj",
    "trigger_time": 1667659342626,
    "meta": {
        // Any json that you want to pass on to the reciepent
    },
    "route": "gameServer" // The reciepient route
}"""
ROUTE = """{
    "id": "gameServer",
    "type": "REST",
    "webhook_url": "gameserver-dev-1.myorg.com/timer?action=endgame" // Your URL webhook
}"""
OK = """{
    "status": "ok"
}"""
ERROR = """{
    "error": "Human readable reason", // For humans
    "code": "E001" // For robots
}"""
ROUTES, ONE_ROUTE = "/route/{db}", "/route/{db}/gameServer"
JOBS, ONE_JOB = "/job/{db}/games", "/job/{db}/games/nxz123bnj"


def strict(example: str) -> str:
    """JSON has no comments, and its moment has passed."""
    return re.sub(r" *//.*", "", example).replace(CREATED_LONG_AGO, str(FAR))


def send(caller: Caller, method: str, path: str, example: str | None = None) -> httpx.Response:
    body = None if example is None else strict(example)
    return caller.http.request(method, path.format(db=caller.db), content=body)


def check(answer: httpx.Response, status: int, example: str) -> None:
    """The status, and the fields of the example with its values, in its order, and no other."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json().items()) == list(json.loads(strict(example)).items())


def check_error(answer: httpx.Response) -> None:
    assert answer.status_code == 400
    body = answer.json()
    assert list(body) == list(json.loads(strict(ERROR)))
    assert re.fullmatch(r"E\d{3}", body["code"])
    assert " " in body["error"], "a reason that people can read"


def test_the_life_of_a_route(bare: Caller) -> None:
    check(send(bare, "POST", ROUTES, ROUTE), 200, OK)
    check(send(bare, "GET", ONE_ROUTE), 200, ROUTE)
    check(send(bare, "PUT", ONE_ROUTE, ROUTE), 200, OK)
    check(send(bare, "GET", ONE_ROUTE), 200, ROUTE)
    check(send(bare, "DELETE", ONE_ROUTE), 200, OK)
    check_error(send(bare, "GET", ONE_ROUTE))


def test_the_life_of_a_job(bare: Caller) -> None:
    check(send(bare, "POST", ROUTES, ROUTE), 200, OK)
    check(send(bare, "POST", JOBS, JOB), 200, OK)
    check(send(bare, "GET", ONE_JOB), 200, JOB)
    check(send(bare, "PUT", ONE_JOB, JOB), 200, OK)
    check(send(bare, "GET", ONE_JOB), 200, JOB)
    check(send(bare, "DELETE", ONE_JOB), 200, OK)
    check_error(send(bare, "GET", ONE_JOB))


def test_an_update_changes_what_is_fetched(bare: Caller) -> None:
    other_route = ROUTE.replace("action=endgame", "action=turn")
    other_job = JOB.replace("{\n        // Any", '{"turn": 7\n        // Any')
    send(bare, "POST", ROUTES, ROUTE)
    send(bare, "POST", JOBS, JOB)

    check(send(bare, "PUT", ONE_ROUTE, other_route), 200, OK)
    check(send(bare, "PUT", ONE_JOB, other_job), 200, OK)

    check(send(bare, "GET", ONE_ROUTE), 200, other_route)
    check(send(bare, "GET", ONE_JOB), 200, other_job)
    assert send(bare, "GET", ONE_JOB).json()["meta"] == {"turn": 7}


@pytest.mark.parametrize(
    ("method", "path", "example"),
    [
        ("POST", JOBS, JOB),
        ("GET", ONE_JOB, None),
        ("PUT", ONE_JOB, JOB),
        ("DELETE", ONE_JOB, None),
        ("POST", ROUTES, ROUTE.replace("REST", "Pigeon")),
        ("GET", ONE_ROUTE, None),
        ("PUT", ONE_ROUTE, ROUTE),
        ("DELETE", ONE_ROUTE, None),
    ],
)
def test_every_operation_has_its_error(bare: Caller, method: str, path: str, example: Any) -> None:
    """Of a db in which there is neither the route nor the job."""
    check_error(send(bare, method, path, example))


def test_the_examples_need_what_was_done_to_them(bare: Caller) -> None:
    """Comments are no JSON, and the moment of the example has passed."""
    send(bare, "POST", ROUTES, ROUTE)
    path = JOBS.format(db=bare.db)

    commented = bare.http.post(path, content=JOB)
    past = bare.http.post(path, content=strict(JOB).replace(str(FAR), CREATED_LONG_AGO))

    assert (commented.status_code, commented.json()["code"]) == (400, "E001")
    assert (past.status_code, past.json()["code"]) == (400, "E004")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "text/plain"])
def test_the_type_that_a_caller_names_changes_nothing(bare: Caller, content_type: str) -> None:
    headers = {"Content-Type": content_type}

    for path, example in ((ROUTES, ROUTE), (JOBS, JOB)):
        answer = bare.http.post(path.format(db=bare.db), content=strict(example), headers=headers)
        check(answer, 200, OK)
