"""What answers may be anything: a verb says that it is not Undercroft, and shows no traceback."""

import pytest

from tests.app.cli.conftest import Run, Server

ANSWERS = [
    None,
    7,
    [],
    "job",
    {},
    {"id": "x"},
    {"id": "x", "route": "r", "trigger_time": "soon", "webhook_url": []},
    {"id": "x", "route": "r", "trigger_time": 10**30, "webhook_url": 1, "headers": 7},
    {"id": "x", "route": "r", "trigger_time": None, "webhook_url": "u", "retries": [[]]},
    {"id": "x", "route": "r", "trigger_time": 0, "last": {"took_ms": 1}, "webhook_url": "u", "headers": ["a"]},
]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize(
    ("path", "verb"),
    [("/job/default/default/x", ("timers", "show", "x")), ("/route/default/x", ("timers", "route", "show", "x"))],
)
def test_an_answer_of_another_shape(
    croft: Run, server: Server, path: str, verb: tuple[str, ...], answer: object
) -> None:
    server.answers(path, answer)

    ended = croft(*verb)

    assert ended.code in (0, 3), "what can be shown may be"
    assert ended.code == 0 or "answered, but not as Undercroft does" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("verb", [("timers", "show", "x"), ("timers", "route", "show", "x")])
def test_what_lacks_all_is_none_of_ours(croft: Run, server: Server, verb: tuple[str, ...]) -> None:
    for path in ("/job/default/default/x", "/route/default/x"):
        server.answers(path, {})

    assert croft(*verb).code == 3
