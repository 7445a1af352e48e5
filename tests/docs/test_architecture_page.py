"""docs/architecture.md: its tree, tables and figures are those of the code."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.architecture.import_graph import modules_in
from tests.docs.fences import PROJECT, fences, table_under
from undercroft.app.connection import UNASKED_BODY
from undercroft.base.clock import HOUR, SECOND
from undercroft.machinery.deliveries import lanes, model
from undercroft.machinery.deliveries.courier import AHEAD
from undercroft.machinery.deliveries.settling import MOST_PER_SETTLE
from undercroft.machinery.deliveries.upkeep import NODE_GONE, OVERDUE
from undercroft.machinery.identity.gate import REMEMBERED

PAGE = PROJECT / "docs" / "architecture.md"
TEXT = " ".join(PAGE.read_text().split())
# Distributions whose module has another name, or none that is imported.
MODULES = {"argon2-cffi": "argon2", "dkimpy": "dkim", "prometheus-client": "prometheus_client", "pyyaml": "yaml",
           "tzdata": None}  # fmt: skip


def shown_tree() -> list[str]:
    """The paths of the tree, folders with a slash at the end."""
    tree = next(fence.text for fence in fences(PAGE) if fence.text.startswith("src/undercroft/\n"))
    parents: list[str] = []
    paths = []
    for line in tree.splitlines():
        drawn = re.match(r"([│├└─ ]*)([\w.]+/?(?:[\w.]+/?)*)(?: {2,}|$)", line)
        assert drawn is not None, f"this line of the tree can't be read: {line}"
        depth = len(drawn[1]) // 4
        parents[depth:] = [drawn[2]]
        paths.append("".join(parents))
    return paths


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True)
    return [Path(name) for name in listed.stdout.split("\0") if name]


def test_what_the_tree_shows_is_there() -> None:
    tree = shown_tree()
    assert len(tree) > 30
    assert [path for path in tree if not (PROJECT / path).exists()] == []
    assert [path for path in tree if (PROJECT / path).is_dir() != path.endswith("/")] == []


def test_every_folder_of_the_source_is_in_the_tree() -> None:
    folders = {str(path.parent) + "/" for path in tracked() if path.is_relative_to("src/undercroft")}
    assert folders - set(shown_tree()) == set()


@pytest.mark.parametrize("room", ["app", "machinery"])
def test_every_file_where_much_meets_is_in_the_tree(room: str) -> None:
    folder = PROJECT / "src" / "undercroft" / room
    files = {f"src/undercroft/{room}/{path.name}" for path in folder.glob("*.py") if path.name != "__init__.py"}
    assert files - set(shown_tree()) == set()


def packages() -> list[str]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return [re.split(r"[\[><=~!;]", dependency)[0] for dependency in project["dependencies"]]


def test_each_package_is_explained() -> None:
    rows = table_under(PAGE, "Packages")
    assert [row[0].strip("`") for row in rows] == packages()
    assert all(row[1] and row[2] for row in rows)


@pytest.mark.parametrize("package", packages())
def test_each_package_is_used(package: str) -> None:
    module = MODULES.get(package, package)
    if module is None:
        return
    source = PROJECT / "src"
    assert any(
        re.search(rf"^\s*(?:import|from) {module}\b", path.read_text(), re.M) for path in modules_in(source).values()
    ), f"nothing imports {package}: take it out of pyproject.toml, then `make lock`"


def test_the_developers_packages_are_named() -> None:
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
    named = re.search(r"For developing: (.*?)\. Versions are pinned", TEXT)
    assert named is not None
    missing = [name for name in groups["dev"] if not name.startswith("pytest-") and name not in named[1]]
    assert missing == []


def test_the_loops_are_those_of_the_assembly() -> None:
    source = (PROJECT / "src" / "undercroft" / "app" / "assembly.py").read_text()
    loops = re.findall(r'Loop\("([^"]+)", [\w.]+, (\d+)\)', source)
    assert len(loops) == source.count("Loop(")
    assert sorted((row[0], row[1]) for row in table_under(PAGE, "Loops")) == sorted(
        (name, f"{every} s") for name, every in loops
    )


@pytest.mark.parametrize(
    "words",
    [
        f"(due_at, id, target) of the next {AHEAD // SECOND} seconds",
        f"{lanes.LONGEST_LANE:,} wait in its lane",
        f"up to {MOST_PER_SETTLE:,} at a time",
        f"due within {model.NEAR // HOUR} hours has its exact place",
        "each sweeps what of its share is overdue by five seconds, and everybody what is by twenty",
        "stood still for ten seconds of *their* time",
        "works on other nodes for up to five seconds",
        f"of a body larger than {UNASKED_BODY // 1_024} KiB nothing is even read",
    ],
)
def test_the_figures_are_those_of_the_code(words: str) -> None:
    assert words in TEXT
    assert (OVERDUE, NODE_GONE, REMEMBERED, model.FILED_EARLY) == (5 * SECOND, 10 * SECOND, 5 * SECOND, HOUR)


def test_the_states_are_those_of_the_code() -> None:
    picture = next(fence.text for fence in fences(PAGE) if "FILED" in fence.text)
    assert set(re.findall(r"[A-Z]{4,}", picture)) == {state.name for state in model.State}
