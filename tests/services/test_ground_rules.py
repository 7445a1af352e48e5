"""How this suite treats skips and in which order it runs, seen from a pytest of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENDINGS = """
import pytest

@pytest.fixture
def missing():
    pytest.skip("missing for the fixture")

def test_fixture(missing):
    pass

@pytest.mark.skip(reason="missing for the mark")
def test_mark():
    pass

def test_call():
    pytest.skip("missing for the call")

@pytest.mark.xfail
def test_expected_failure():
    assert False

def test_passing():
    pass
"""
MODULE = "import pytest\n\npytest.skip('missing for the module', allow_module_level=True)\n"


def run_pytest(folder: Path, *arguments: str, ci: str = "") -> str:
    """What a pytest with this suite's ground rules prints about the tests in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "tests.conftest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    ).stdout


@pytest.fixture
def skips(tmp_path: Path) -> Path:
    (tmp_path / "test_endings.py").write_text(ENDINGS)
    (tmp_path / "test_module.py").write_text(MODULE)
    return tmp_path


def test_a_skip_fails_where_ci_is_true_and_says_why(skips: Path) -> None:
    said = run_pytest(skips, "--continue-on-collection-errors", ci="true")

    assert "1 failed, 1 passed, 1 xfailed, 3 errors" in said
    for kind in ("fixture", "mark", "call", "module"):
        assert f"missing for the {kind}" in said


def test_a_skip_is_named_elsewhere(skips: Path) -> None:
    said = run_pytest(skips)

    assert "1 passed, 4 skipped, 1 xfailed" in said
    for kind in ("fixture", "mark", "call", "module"):
        assert f"missing for the {kind}" in said


def test_whole_servers_come_last(tmp_path: Path) -> None:
    for folder in ("browser", "nodes", "zoo"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"test_{folder}.py").write_text("def test_it():\n    pass\n")

    said = run_pytest(tmp_path, "--collect-only", "-q").splitlines()

    assert [line.partition("/")[0] for line in said if "::" in line] == ["zoo", "nodes", "browser"]
