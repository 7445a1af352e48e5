"""What libraries log comes in our form, from warnings on, or not at all."""

import json
import subprocess
import sys

STORY = """
import logging
import structlog
from undercroft.app import logs
logs.configure({form!r}, {level!r})
secret = "https://host/?token=hunter2"
for name in ("asyncssh", "httpx", "httpcore", "asyncio", "psycopg"):
    logging.getLogger(name).info("of %s: %s", name, secret)
    logging.getLogger(name).debug("of %s: %s", name, secret)
logging.getLogger("asyncssh").warning("odd:\\n%s", "key")
try:
    password = "hunter2"
    raise OSError("broken")
except OSError:
    logging.getLogger("asyncio").error("a task failed", exc_info=True)
structlog.get_logger().info("of_ours", a=1)
"""


def told(form: str, level: str) -> list[str]:
    story = [sys.executable, "-c", STORY.format(form=form, level=level)]
    return subprocess.run(story, check=True, capture_output=True, text=True, timeout=60).stderr.splitlines()


def test_lines_of_libraries_are_objects_like_all_others_and_hold_no_secret() -> None:
    for level in ("debug", "info"):
        lines = told("json", level)
        assert "hunter2" not in "".join(lines)
        warning, error, ours = map(json.loads, lines)
        assert all(one.pop("timestamp").endswith("Z") for one in (warning, error, ours))
        assert warning == {"level": "warning", "event": "odd:\nkey", "logger": "asyncssh"}
        [exception] = error.pop("exception")
        assert (exception["exc_type"], exception["exc_value"]) == ("OSError", "broken")
        assert error == {"level": "error", "event": "a task failed", "logger": "asyncio"}
        assert ours == {"level": "info", "event": "of_ours", "a": 1}


def test_on_a_terminal_they_are_lines_like_all_others() -> None:
    lines = told("text", "debug")
    assert "hunter2" not in "".join(lines)
    assert [line.partition("[")[2].partition("]")[0].strip() for line in lines if "Z [" in line] == [
        "warning", "error", "info",
    ]  # fmt: skip
