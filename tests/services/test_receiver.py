import httpx
import pytest

from tests.services.receiver import Answer, Receiver


@pytest.fixture
def caller():
    with httpx.Client(trust_env=False, timeout=5) as client:
        yield client


def test_records_what_arrived(receiver: Receiver, caller: httpx.Client) -> None:
    answer = caller.request("PUT", receiver.url("/a%2Fb?x=1"), content=b"body", headers={"X-Name": "value"})

    assert answer.status_code == 200
    [call] = receiver.calls()
    assert (call.method, call.path, call.query, call.body) == ("PUT", "/a%2Fb", "x=1", b"body")
    assert call.headers["x-name"] == "value"


def test_answers_as_programmed_and_then_the_last_one_ever_after(receiver: Receiver, caller: httpx.Client) -> None:
    receiver.answer("/hook", Answer(503, headers={"Retry-After": "7"}), Answer(204))

    first, *later = [caller.post(receiver.url("/hook")) for _ in range(3)]

    assert (first.status_code, first.headers["Retry-After"]) == (503, "7")
    assert [answer.status_code for answer in later] == [204, 204]
    assert caller.post(receiver.url("/other")).status_code == 200
    assert len(receiver.wait_for(3, "/hook")) == 3


def test_hangs_up_when_told_to(receiver: Receiver, caller: httpx.Client) -> None:
    receiver.answer("/hook", Answer(hang_up=True))

    with pytest.raises(httpx.RemoteProtocolError):
        caller.post(receiver.url("/hook"))
    assert len(receiver.calls("/hook")) == 1


def test_waiting_for_calls_that_do_not_come_fails(receiver: Receiver) -> None:
    with pytest.raises(AssertionError, match="0 of 1 calls"):
        receiver.wait_for(1, seconds=0.01)


def test_refuses_while_stopped_and_comes_back_on_its_port(receiver: Receiver, caller: httpx.Client) -> None:
    caller.post(receiver.url())
    receiver.stop()
    with pytest.raises(httpx.TransportError):
        caller.post(receiver.url())

    receiver.start()

    caller.post(receiver.url())
    assert len(receiver.calls()) == 2
