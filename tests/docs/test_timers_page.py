"""docs/timers.md: its commands are run, its tables are those of the code."""

import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.docs.fences import PROJECT, fences, table_under
from tests.docs.likeness import shows
from tests.services.croft import Croft
from undercroft.app.assembly import FAMILY_NAMES
from undercroft.app.setting_readers import READERS
from undercroft.app.settings import Settings
from undercroft.base.clock import SECOND
from undercroft.families.timers import model, selecting
from undercroft.families.timers import routes as route_rules
from undercroft.families.timers.http.jobs import LONGEST_SINGLE, MOST_VALUES
from undercroft.families.timers.refusing import CODES
from undercroft.machinery.deliveries.actions import LONGEST_TIMEOUT
from undercroft.machinery.deliveries.lanes import DEFAULT_CONCURRENCY
from undercroft.machinery.deliveries.model import PUBLIC_STATES
from undercroft.machinery.deliveries.policy import DEFAULT_RETRIES
from undercroft.machinery.recurrence import next_occurrence

PAGE = PROJECT / "docs" / "timers.md"
TEXT = PAGE.read_text()
BERLIN = ZoneInfo("Europe/Berlin")


def test_every_command_does_what_it_shows(run_page: Callable[..., int]) -> None:
    assert run_page(PAGE) >= 25, "blocks have lost their marks"


def test_no_command_is_left_out() -> None:
    assert [fence.line for fence in fences(PAGE) if fence.language == "sh" and not fence.words] == []


def test_a_delivered_request_looks_as_shown(start_croft: Callable[..., Croft]) -> None:
    croft = start_croft()
    shown = next(fence.text for fence in fences(PAGE) if fence.language == "http")
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        receiver.settimeout(20)
        port = receiver.getsockname()[1]
        route = {"id": "signed", "type": "REST", "webhook_url": f"127.0.0.1:{port}/signed", "secret": True}
        croft.http.post("/route/shop", json=route).raise_for_status()
        job = '{"id": "größe/7", "trigger_time": 0, "meta": {"order": 7}, "route": "signed"}'
        croft.http.post("/job/shop/orders?late=fire", content=job.encode()).raise_for_status()
        connection, _ = receiver.accept()
        with connection:
            arrived = connection.recv(65_536).decode().replace("\r\n", "\n")
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    arrived = arrived.replace("X-Undercroft-Due: 0\n", "X-Undercroft-Due: 1795228453751\n")
    assert shows(arrived, shown.replace("9000", str(port))), arrived


def test_the_error_codes_are_those_of_the_code() -> None:
    assert table_under(PAGE, "Errors") == [[f"`{code}`", meaning] for code, meaning in CODES.values()]


def test_the_states_are_those_of_the_code() -> None:
    assert sorted(row[0] for row in table_under(PAGE, "States")) == sorted(f"`{state}`" for state in PUBLIC_STATES)


@pytest.mark.parametrize(
    "heading, struct", [("POST /route/DB", model.RouteIn), ("POST /job/DB/COLLECTION", model.JobIn)]
)
def test_the_fields_are_those_of_the_code(heading: str, struct: type) -> None:
    shown = {name for row in table_under(PAGE, heading) for name in re.findall(r"`(\w+)`", row[0])}
    assert shown == set(struct.__struct_fields__) - {"trigger_ms"}, "trigger_ms is told of under trigger_time"


LIMITS = {
    "id of a job or route": (model.LONGEST_ID,),
    "db and collection": (model.LONGEST_NAMESPACE,),
    "`meta` of a job": (model.LONGEST_META // 2**20, LONGEST_SINGLE // 2**20),
    "request body": (Settings().max_body // 2**20, MOST_VALUES),
    "jobs in one bulk": (model.MOST_IN_BULK,),
    "jobs selected by one PATCH, DELETE or replay": (selecting.MOST_SELECTED,),
    "jobs per page": (selecting.MOST_PER_PAGE,),
    "`timeout`": (0, 1, int(LONGEST_TIMEOUT)),
    "`retries`": (model.MOST_RETRIES, model.LONGEST_PAUSE // 86_400),
    "`concurrency`": (1, route_rules.MOST_CONCURRENT),
    "`rate`": (1, route_rules.HIGHEST_RATE),
}


@pytest.mark.parametrize("what", LIMITS)
def test_the_limits_are_those_of_the_code(what: str) -> None:
    shown = dict(table_under(PAGE, "Limits"))[what]
    assert [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", shown)] == list(LIMITS[what])


@pytest.mark.parametrize(
    "path, body, limit",
    [
        ("/route/shop", {"id": "r", "type": "REST", "webhook_url": "h/" + "x" * (2_048 - len("http://h/"))}, "url"),
        ("/route/shop", {"id": "r", "type": "REST", "webhook_url": "h", "headers": {"x": "y" * 8_191}}, "headers"),
        ("/job/shop/c", {"trigger_time": 4102444800000, "route": "r", "idempotency_key": "k" * 256}, "key"),
    ],
)
def test_the_largest_that_is_shown_is_taken_and_one_more_is_not(
    start_croft: Callable[..., Croft], path: str, body: dict[str, object], limit: str
) -> None:
    croft = start_croft()
    croft.http.post("/route/shop", json={"id": "r", "type": "REST", "webhook_url": "h"}).raise_for_status()
    assert croft.http.post(path, json=body).status_code == 200
    more = {
        "url": {"webhook_url": f"{body.get('webhook_url')}x"},
        "headers": {"headers": {"x": "y" * 8_192}},
        "key": {"idempotency_key": "k" * 257},
    }
    assert croft.http.post(path, json={**body, **more[limit]}).status_code == 400


def test_the_schedule_of_retries_is_that_of_the_code() -> None:
    words = re.search(r"after pauses of (.*?): nine attempts in\nabout (\d+) hours", TEXT)
    assert words is not None
    units = {"s": 1, "min": 60, "h": 3_600}
    pauses = [int(number) * units[unit] for number, unit in re.findall(r"(\d+) (s|min|h)\b", words[1])]
    assert tuple(pauses) == DEFAULT_RETRIES
    assert len(pauses) + 1 == 9
    assert int(words[2]) == round(sum(pauses) / 3_600)


def test_the_defaults_are_those_of_the_code() -> None:
    fields = {row[0]: row[1] for row in table_under(PAGE, "POST /route/DB")}
    assert fields["`concurrency`"] == f"`{DEFAULT_CONCURRENCY}`"
    kept = {row[0]: row[1] for row in table_under(PAGE, "States")}
    days = [re.search(r"Kept for (\d+) days", kept[state]) for state in ("`delivered`", "`dead`")]
    assert [int(found[1]) for found in days if found] == [
        Settings().keep_delivered / 86_400,
        Settings().keep_dead / 86_400,
    ]
    assert (
        f"up to {['no', 'one', 'two', 'three', 'four', 'five'][model.CLOCK_SKEW // SECOND]} seconds ago" in TEXT.lower()
    )


@pytest.mark.parametrize("setting", sorted(set(re.findall(r"setting `(\w+)`", TEXT))))
def test_each_setting_that_is_named_exists(setting: str) -> None:
    assert setting in READERS


def test_the_days_on_which_clocks_change_are_right() -> None:
    rows = table_under(PAGE, "Recurring jobs")
    assert len(rows) == 5
    for cron, spring, autumn in rows:
        assert _occurrences(cron.strip("`"), datetime(2027, 3, 28, tzinfo=BERLIN)) == spring
        assert _occurrences(cron.strip("`"), datetime(2027, 10, 31, tzinfo=BERLIN)) == autumn


def _occurrences(cron: str, day: datetime) -> str:
    """When it fires on this day in Berlin."""
    moment = int(day.timestamp() * SECOND) - 1
    end = int((day + timedelta(days=1)).timestamp() * SECOND)
    shown = []
    while (moment := next_occurrence(cron, str(BERLIN), moment)) < end:
        local = datetime.fromtimestamp(moment / SECOND, UTC).astimezone(BERLIN)
        shown.append(f"{local:%H:%M}{local.isoformat()[-6:]}")
    return ", ".join(shown) or "none"


def test_the_page_is_about_every_path_of_the_family(start_croft: Callable[..., Croft]) -> None:
    assert "timers" in FAMILY_NAMES
    described = start_croft().http.get("/openapi.json").json()["paths"]
    of_family = {
        (method.upper(), path)
        for path, methods in described.items()
        for method, operation in methods.items()
        if operation["tags"] == ["timers"]
    }
    assert of_family
    for method, path in of_family:
        shown = path.replace("{db}", "DB").replace("{collection}", "COLLECTION").replace("{id}", "ID")
        named = shown.replace("/resume", "/pause")
        assert re.search(rf"{method} {named}(?![/\w])", TEXT), f"{method} {shown} is not on the page"
