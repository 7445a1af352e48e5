"""What a worker keeps of the files of its root."""

from typing import Any

import pytest

from undercroft.families.sync.reconcile import Content, Seen
from undercroft.families.sync.worker.index import FEW_FOLDERS, Index, below


def test_the_index_is_looked_through_while_it_changes() -> None:
    """One thread looks through it while others note what they have carried out."""
    index = Index()
    index.take([(f"folder/{number}", "1", "", 1) for number in range(3)])

    class Hasty(str):
        def startswith(self, *prefix: Any) -> bool:
            index.note(Seen(f"newer {self}", Content("", 1, 1, 0o644), "1"))
            return super().startswith(*prefix)

    index.take([(Hasty("folder/hasty"), "1", "", 1)])
    assert len(index.below(["folder"])) == 4


@pytest.mark.parametrize("others", [0, FEW_FOLDERS])
def test_what_is_below_folders_is_found_in_one_pass(others: int) -> None:
    paths = ["a/x", "a/b/y", "ab/z", "c/d/e/f", "c/d", "x"]
    folders = ["a", "c/d", *(f"other{n}" for n in range(others))]
    assert below(paths, folders) == ["a/x", "a/b/y", "c/d/e/f"]


def test_what_is_in_the_way_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For all that failed together, and not again while it is still there: there may be a million names."""
    index = Index()
    names = ["file", "a/1", "a/2", "a/b/3", "other/x", *(f"f{n}/x" for n in range(20))]
    index.take([(name, "1", "", 1) for name in names])
    walks: list[int] = []
    really = index.below
    monkeypatch.setattr(index, "below", lambda folders: walks.append(len(folders)) or really(folders))
    blocked = {"a", "a/b", "file/y/z", "nothing", *(f"f{n}" for n in range(20))}
    for _ in range(2):
        by = index.in_the_way(blocked)
        assert by["a"] in {"a/1", "a/2", "a/b/3"}
        assert {**by, "a": ""} == {"a": "", "a/b": "a/b/3", "file/y/z": "file", "nothing": "",
                                   **{f"f{n}": f"f{n}/x" for n in range(20)}}  # fmt: skip
    assert walks == [23, 1]
    index.note(Seen(by["a"], None, ""))
    assert index.in_the_way({"a"})["a"] in {"a/1", "a/2", "a/b/3"} - {by["a"]}
