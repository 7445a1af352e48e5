"""docs/operations.md: its scripts work, its tables are those of the code."""

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.docs.fences import PROJECT, fences, table_under
from tests.services.croft import PROGRAM, Croft
from tests.services.receiver import Receiver
from undercroft.app.connection import LONGEST_HEAD
from undercroft.app.listening import KEEP_ALIVE
from undercroft.app.server import SLOW
from undercroft.app.setting_readers import READERS
from undercroft.app.settings import Settings
from undercroft.base.clock import SECOND
from undercroft.database.postgres import PATIENCE
from undercroft.machinery.deliveries.lanes import LONGEST_LANE
from undercroft.machinery.deliveries.settling import MOST_UNSETTLED, MOST_UNSETTLED_OF_LANE
from undercroft.machinery.deliveries.upkeep import NODE_GONE
from undercroft.machinery.identity.gate import REMEMBERED

PAGE = PROJECT / "docs" / "operations.md"
TEXT = " ".join(PAGE.read_text().split())
SKIPPED_IDS = 1_000_000_000


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    folder = tmp_path / "scripts"
    folder.mkdir()
    for fence in fences(PAGE):
        if "keep" in fence.words:
            (folder / fence.words["keep"]).write_text(fence.text)
    return folder


def run(script: Path, *arguments: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["sh", "-e", str(script), *map(str, arguments)], check=True, env={"PATH": path})


def test_a_backup_is_restored_and_new_jobs_get_new_ids(
    start_croft: Callable[..., Croft], receiver: Receiver, scripts: Path, tmp_path: Path
) -> None:
    croft = start_croft()
    route = {"id": "r", "type": "REST", "webhook_url": receiver.url("/r")}
    croft.http.post("/route/shop", json=route).raise_for_status()
    _fire(croft, "before")
    receiver.wait_for(1)
    run(scripts / "backup.sh", croft.data, tmp_path / "backup.db")
    assert (tmp_path / "backup.db").stat().st_mode & 0o077 == 0
    _fire(croft, "lost")
    receiver.wait_for(2)
    croft.stop()
    run(scripts / "restore.sh", tmp_path / "backup.db", croft.data)
    croft.start()
    assert croft.http.get("/job/shop/jobs/before").status_code == 200
    assert croft.http.get("/job/shop/jobs/lost").status_code == 400
    _fire(croft, "after")
    wanted = {"before", "lost", "after"}
    ids = defaultdict(set)
    for call in receiver.wait_for(3):
        ids[call.headers["x-undercroft-job"]].add(call.headers["webhook-id"])
    assert set(ids) == wanted
    assert len(set.union(*ids.values())) == len(wanted), "the job made anew shares its id with the lost one"


def _fire(croft: Croft, id: str) -> None:
    job = {"id": id, "trigger_time": 0, "route": "r"}
    croft.http.post("/job/shop/jobs?late=fire", json=job).raise_for_status()


def test_the_statement_for_postgresql_skips_ids(start_croft: Callable[..., Croft], postgres_url: str) -> None:
    croft = start_croft(database=postgres_url)
    croft.http.post("/route/shop", json={"id": "r", "type": "REST", "webhook_url": "127.0.0.1:9"}).raise_for_status()
    statement = next(fence.text for fence in fences(PAGE) if fence.language == "sql")
    with psycopg.connect(postgres_url) as connection:
        connection.execute(statement.encode())
    _fire(croft, "after")
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("SELECT id FROM deliveries").fetchone()
    assert row is not None
    assert row[0] > SKIPPED_IDS


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    shown = next(fence.text for fence in fences(PAGE) if fence.language == "ini")
    start = re.search(r"(?m)^ExecStart=/opt/undercroft/\.venv/bin/croft (serve .+)$", shown)
    assert start is not None
    helped = subprocess.run([PROGRAM, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    assert all(f"{flag} " in helped for flag in re.findall(r"--\w+", start[1]))
    if shutil.which("systemd-analyze"):  # which a container may do without
        unit = tmp_path / "undercroft.service"
        unit.write_text(shown.replace("/opt/undercroft/.venv/bin/croft", str(PROGRAM)))
        ended = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
        assert "undercroft.service" not in ended.stderr, ended.stderr


def test_the_metrics_are_those_of_the_server(start_croft: Callable[..., Croft]) -> None:
    told = start_croft().http.get("/metrics").text
    types = {
        name: kind
        for name, kind in re.findall(r"(?m)^# TYPE (undercroft_\w+) (\w+)$", told)
        if not name.endswith("_created")
    }
    shown = {row[0].strip("`"): row[1].split()[0] for row in table_under(PAGE, "Health and metrics")}
    assert shown == types


def test_the_labels_are_those_of_the_code() -> None:
    source = "".join(path.read_text() for path in (PROJECT / "src").rglob("*.py"))
    for name, kind, _ in table_under(PAGE, "Health and metrics"):
        labels = re.findall(r"`(\w+)`", kind)
        declared = re.search(rf'"{name.strip("`")}",\s*"[^"]*",\s*[\[(]([^\])]*)', source)
        assert declared is not None, f"{name} is not declared"
        assert re.findall(r'"(\w+)"', declared[1]) == labels


def test_the_events_are_those_of_the_code() -> None:
    levels: dict[str, set[str]] = defaultdict(set)
    for path in (PROJECT / "src").rglob("*.py"):
        for method, event in re.findall(r'\blog\.(debug|info|warning|error|exception)\(\s*"(\w+)"', path.read_text()):
            levels[event].add({"exception": "error"}.get(method, method))
    shown = {row[0].strip("`"): set(row[1].split(", ")) for row in table_under(PAGE, "Logs")}
    assert shown == levels


@pytest.mark.parametrize(
    "words",
    [
        f"gives calls under way `shutdown_grace` ({Settings().shutdown_grace:g} s)",
        f"the others notice within {NODE_GONE // SECOND} seconds",
        f"may work on another for {REMEMBERED // SECOND} more seconds",
        f"opens up to `database_pool` ({Settings().database_pool}) connections",
        f"each write is tried for {PATIENCE:g} s",
        f"wait in memory, up to {MOST_UNSETTLED:,}, and up to {MOST_UNSETTLED_OF_LANE} of one route",
        f"{LONGEST_LANE:,} of its due jobs wait in memory",
        f"A request's head may have {LONGEST_HEAD // 1_024} KiB",
        f"an idle connection is closed after {KEEP_ALIVE:g} s",
        "when they take longer than a second",
    ],
)
def test_the_figures_are_those_of_the_code(words: str) -> None:
    assert words in TEXT
    assert SLOW == 1.0


@pytest.mark.parametrize(
    "setting",
    sorted(
        set(re.findall(r"`(\w+) = ", TEXT))
        | {found.lower() for found in re.findall(r"UNDERCROFT_([A-Z_]+?)(?:_FILE)?\b", TEXT)}
    ),
)
def test_each_setting_that_is_named_exists(setting: str) -> None:
    assert setting in READERS
