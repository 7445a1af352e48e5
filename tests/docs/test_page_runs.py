"""The reading, running and comparing of pages: what differs is found, what may differ is let pass."""

from pathlib import Path

import pytest

from tests.docs.fences import fences, table_under, without_fences
from tests.docs.likeness import alike, shows, values
from tests.docs.page import PageRun

PAGE = """# A page

## Words

| word | is |
|---|---|
| `a` | one |

```sh run
echo '{"state": "held", "at": 1795228329459}'
```

```json answer
{"state": "held", "at": 1700000000000}
```

```sh beside=other
echo "listening on 9000"; sleep 60
```

```text answer=other
listening on 9000
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def run(page: Path, patience: float = 20) -> int:
    running = PageRun(page, page.parent, {}, {}, patience)
    try:
        return running.run()
    finally:
        running.close()


def test_a_page_is_read(page: Path) -> None:
    assert [(fence.language, fence.words) for fence in fences(page)] == [
        ("sh", {"run": ""}),
        ("json", {"answer": ""}),
        ("sh", {"beside": "other"}),
        ("text", {"answer": "other"}),
    ]
    assert fences(page)[0].line == 9
    assert table_under(page, "Words") == [["`a`", "one"]]
    assert "echo" not in without_fences(page)


def test_a_page_that_is_right_passes(page: Path) -> None:
    assert run(page) == 2


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ('"held", "at": 17000', '"dead", "at": 17000', "page.md, line 13: printed"),
        ("echo '{", "false; echo '{", "page.md, line 9: a command failed"),
        ('"at": 1700000000000', '"at": null', "page.md, line 13: printed"),
        ("listening on 9000\n```", "listening on 9001\n```", "page.md, line 21: the terminal shows"),
    ],
)
def test_a_page_that_is_wrong_fails(page: Path, right: str, wrong: str, complaint: str) -> None:
    page.write_text(PAGE.replace(right, wrong))
    with pytest.raises(AssertionError, match=complaint):
        run(page, patience=0.5)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"at": 1700000000000}, {"at": 1795228329459}),
        ({"took_ms": 1}, {"took_ms": 250}),
        ({"id": "g1m7xz0b3pmcgxmjzdcb402d42"}, {"id": "g1m7y13r8vgskkzwgxh2c3tz2y"}),
        ({"error": "could not connect: …"}, {"error": "could not connect: refused"}),
        ([1, None, True, 1.5], [1, None, True, 1.5]),
    ],
)
def test_what_may_differ_is_alike(expected: object, actual: object) -> None:
    assert alike(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"attempts": 1}, {"attempts": 2}),
        ({"at": 1700000000000}, {"at": None}),
        ({"at": 1700000000000}, {"at": 1}),
        ({"a": True}, {"a": 1}),
        ({"id": "order-7"}, {"id": "order-8"}),
        ({"error": "could not connect: …"}, {"error": "could connect: refused"}),
        ([1], [1, 1]),
    ],
)
def test_what_differs_is_not(expected: object, actual: object) -> None:
    assert not alike(expected, actual)


def test_values_in_a_row_are_read_apart() -> None:
    assert values('{"a": 1}{"b": 2}\n[3]\n400') == [{"a": 1}, {"b": 2}, [3], 400]
    with pytest.raises(ValueError):
        values('{"a": 1} and more')


def test_lines_are_found_where_they_stand_together() -> None:
    screen = "first\n09:00:05.616 POST /a → 200  12 ms late\n  body\nlast\n"
    assert shows(screen, "10:11:12.123 POST /a → 200  3 ms late\nbody")
    assert shows(screen, "… POST /…\n  body")
    assert not shows(screen, "first\nlast")
    assert not shows(screen, "10:11:12.123 POST /a → 503  3 ms late")
    assert not shows(screen, "POST /a")
