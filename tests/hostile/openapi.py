"""What the server says of itself in OpenAPI, tried by a program that believes every word.

A part of the paths at a time, each from a file of its own: they are tried side by side.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.target import FAULTS
from tests.services.croft import Croft

PROGRAM = Path(sys.executable).with_name("st")
# Per operation; the wire hardly knows which engine is behind it.
EXAMPLES = {"sqlite": 20, "postgresql": 8}
# Which paths are of which part, as regular expressions.
PARTS = {
    "files": r"^/api/v1\.0",
    "messaging": r"^/(api/(?!v1\.0)|media/)",
    "timers": r"^/(collection|dead|job|route)/",
    "others": r"^/(?!api/|media/|collection/|dead/|job/|route/)",
}
# For a program that hangs (s): one part takes a minute on a machine that is busy.
LONGEST = 600
# All is checked but three things: a schema can't say that a job's route must exist; the timers document answers 400 to
# whatever is wrong, the method too; and with ?report=1 a list of which nothing was right is a 200 that says so of each.
SETTINGS = """
[checks]
positive_data_acceptance.enabled = false
unsupported_method.enabled = false

[[operations]]
include-name = "POST /job/{db}/{collection}"
checks.negative_data_rejection.enabled = false

[[operations]]
include-name = "GET /api/v1.0/events"
enabled = false
"""
# A stream that does not end has no answer to be checked.
ENDLESS = {"/api/v1.0/events"}


def paths_of(document: Any, part: str) -> dict[str, Any]:
    return {path: methods for path, methods in document["paths"].items() if re.search(PARTS[part], path)}


def require_its_word_is_kept(start_croft: Callable[..., Croft], database_url: str, folder: Path, part: str) -> None:
    croft = start_croft(database=database_url)
    document = croft.http.get("/openapi.json")
    (folder / "openapi.json").write_bytes(document.content)
    (folder / "schemathesis.toml").write_text(SETTINGS)

    told = subprocess.run(
        [
            PROGRAM,
            "--no-color",
            "run",
            "openapi.json",
            "--url",
            croft.url,
            "--seed",
            "3862",
            "--header",
            f"Authorization: Bearer {croft.token}",
            "--include-path-regex",
            PARTS[part],
            "--max-examples",
            str(EXAMPLES[database_url.partition(":")[0]]),
            "--no-shrink",
            "--continue-on-failure",
            "--warnings",
            "off",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    ).stdout

    ours = paths_of(document.json(), part)
    operations = sum(len(methods) for path, methods in ours.items() if path not in ENDLESS)
    assert re.search(rf"Tested: {operations}\b", told), told[-8_000:]
    assert "No issues found" in told, told[-8_000:]
    assert not any(word in croft.log.read_text() for word in FAULTS), croft.log_tail()
