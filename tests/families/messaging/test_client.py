"""Another's client, as it is on PyPI, against a real server: every call that it has."""

import importlib
import inspect
import io
from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.services.croft import Croft
from tests.services.receiver import Answer, Receiver
from tests.services.waiting import wait_until


def client_package() -> ModuleType:
    """Its only requirement was written for a Python that had `inspect.getargspec`; the client itself is unchanged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspect, "getargspec", lambda one: inspect.getfullargspec(one)[:4], raising=False)
        return importlib.import_module("seed_services_client")


@pytest.fixture
def croft(start_croft: Callable[..., Croft]) -> Croft:
    return start_croft()


@pytest.fixture
def client(croft: Croft) -> Any:
    return client_package().StageBasedMessagingApiClient(croft.token, f"{croft.url}/api/v1", timeout=20)


def ids(page: dict[str, Any]) -> list[Any]:
    return [one["id"] for one in page["results"]]


def test_every_call_of_the_client(croft: Croft, client: Any, receiver: Receiver) -> None:
    def post(path: str, **body: Any) -> Any:
        reply = croft.http.post(f"/api/v1/{path}/", json=body)
        assert reply.status_code == 201, reply.text
        return reply.json()

    post("routes", name="hook", url=receiver.url("/outbound/"), concurrency=2)
    schedule = post("schedule", minute="0", hour="8", day_of_week="1,4")
    assert client.get_schedule(schedule["id"]) == schedule
    assert ids(client.get_schedules()) == [schedule["id"]]

    series = post("messageset", short_name="hw_full.mother", default_schedule=schedule["id"], channel="webhook:hook")
    assert client.get_messageset(series["id"]) == series
    assert ids(client.get_messagesets({"short_name": "hw_full.mother"})) == [series["id"]]
    assert ids(client.get_messagesets({"short_name": "another"})) == []

    file = io.BytesIO(b"\xff\xfbsound\r\n--\r\n")
    file.name = "day1.mp3"
    binary = client.create_binarycontent({"content": file})
    assert httpx.get(binary["content"], trust_env=False).content == file.getvalue()

    words = {"messageset": series["id"], "sequence_number": 1, "lang": "eng_ZA", "text_content": "Welcome"}
    message = client.create_message(words)
    again = client.create_message({**words, "sequence_number": 2, "binary_content": binary["id"]})
    assert client.get_message(message["id"]) == message
    changed = client.update_message(message["id"], {"text_content": "Hello"})
    assert (changed["text_content"], changed["created_at"]) == ("Hello", message["created_at"])
    assert ids(client.get_messages({"messageset": series["id"]})) == [message["id"], again["id"]]
    assert client.get_messageset_languages() == {str(series["id"]): ["eng_ZA"]}

    wanted = {"identity": "+27820001001", "messageset": series["id"], "schedule": schedule["id"], "lang": "eng_ZA"}
    subscription = client.create_subscription(wanted)
    assert client.get_subscription(subscription["id"]) == subscription
    assert ids(client.get_subscriptions({"identity": "+27820001001"})) == [subscription["id"]]
    assert ids(client.get_subscriptions({"identity": "nobody"})) == []
    moved = client.update_subscription(subscription["id"], {"next_sequence_number": 2})
    assert moved["next_sequence_number"] == 2

    assert client.resend_subscription(subscription["id"]) == {"accepted": True}
    [call] = receiver.wait_for(1, "/outbound/")
    assert b'"content":"Hello"' in call.body
    assert ids(client.get_failed_tasks()) == []
    receiver.answer("/outbound/", Answer(410))
    assert croft.http.post(f"/api/v1/subscriptions/{subscription['id']}/send").status_code == 201
    receiver.wait_for(2, "/outbound/")
    wait_until(lambda: len(ids(client.get_failed_tasks())) == 1, "a failed task")
    receiver.answer("/outbound/", Answer(200))
    post("routes", name="hook", url=receiver.url("/outbound/"))
    assert client.requeue_failed_tasks() == {"requeued_failed_tasks": True}
    receiver.wait_for(3, "/outbound/")
    assert ids(client.get_failed_tasks()) == []

    client.delete_message(message["id"])
    client.delete_binarycontent(binary["id"])
    assert ids(client.get_messages()) == []


def test_lists_follow_each_other_page_by_page(croft: Croft, client: Any) -> None:
    croft.http.post("/api/v1/schedule/", json={}).raise_for_status()
    croft.http.post("/api/v1/messageset/", json={"short_name": "s", "default_schedule": 1}).raise_for_status()
    for third in range(3):
        people = [{"identity": f"p{third}-{number}", "schedule": 1, "lang": "eng"} for number in range(334)]
        croft.http.post("/api/v1/messageset/1/subscribers", json={"subscriptions": people}).raise_for_status()
    listed = ids(client.get_subscriptions())
    assert len(listed) == len(set(listed)) == 1_002


def test_the_calls_are_all_there_are() -> None:
    kind = client_package().StageBasedMessagingApiClient
    calls = {name for name in vars(kind) if not name.startswith("_")}
    source = inspect.getsource(test_every_call_of_the_client)
    assert calls and all(f"client.{name}(" in source for name in calls)
