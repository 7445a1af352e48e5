"""What the server says of itself in OpenAPI, tried by a program that believes every word."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.target import FAULTS
from tests.services.croft import Croft

PROGRAM = Path(sys.executable).with_name("st")
# Per operation; the wire hardly knows which engine is behind it.
EXAMPLES = {"sqlite": 20, "postgres": 8}
# The paths of each run, as a regular expression: together they are all.
FILES, MESSAGING = r"^/api/v1\.0", r"^/(api/(?!v1\.0)|media/)"
OTHERS = r"^/(?!api/|media/)"
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


@pytest.mark.parametrize("paths", [FILES, MESSAGING, OTHERS], ids=["files", "messaging", "others"])
def test_openapi_keeps_its_word(
    start_croft: Callable[..., Croft], database_url: str, tmp_path: Path, paths: str
) -> None:
    croft = start_croft(database=database_url)
    document = croft.http.get("/openapi.json")
    (tmp_path / "openapi.json").write_bytes(document.content)
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)

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
            paths,
            "--max-examples",
            str(EXAMPLES[database_url.partition(":")[0].removesuffix("ql")]),
            "--no-shrink",
            "--continue-on-failure",
            "--warnings",
            "off",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    ).stdout

    ours = {path: methods for path, methods in document.json()["paths"].items() if re.search(paths, path)}
    operations = sum(len(methods) for path, methods in ours.items() if path not in ENDLESS)
    assert re.search(rf"Tested: {operations}\b", told), told[-8_000:]
    assert "No issues found" in told, told[-8_000:]
    assert not any(word in croft.log.read_text() for word in FAULTS), croft.log_tail()
