"""`croft check`: settings explained; `croft serve` refuses to start with the same words."""

from pathlib import Path

import pytest

from tests.app.cli.conftest import Run


def test_all_is_well(croft: Run, home: Path) -> None:
    ended = croft("check")
    assert ended.code == 0
    assert "All is well." in ended.out
    assert "127.0.0.1:3862" in ended.out


def test_says_where_each_value_came_from_and_shows_no_secret(
    croft: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "data").mkdir()
    (home / "data" / "undercroft.toml").write_text('log_level = "debug"\ndatabase = "postgresql://u:hunter2@h/x"')
    (home / "token").write_text("hunter2-and-more-of-it")
    monkeypatch.setenv("UNDERCROFT_ADMIN_TOKEN_FILE", str(home / "token"))
    ended = croft("check", "--data", "data", "--listen", "127.0.0.1:1", "--listen", "[::1]:1")
    rows = {line.split()[0]: line for line in ended.out.splitlines()[1:] if line}
    assert "log_level in data/undercroft.toml" in rows["log_level"]
    assert "postgresql://u:***@h/x" in rows["database"]
    assert "UNDERCROFT_ADMIN_TOKEN_FILE" in rows["admin_token"]
    assert "127.0.0.1:1, [::1]:1" in rows["listen"]
    assert "--listen" in rows["listen"]
    assert "hunter2" not in ended.out + ended.err


def test_json_holds_the_same(croft: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERCROFT_ADMIN_TOKEN", "hunter2-and-more-of-it")
    report = croft("check", "--json").json
    assert report["ok"] is True
    assert report["settings"]["listen"] == {"value": ["127.0.0.1:3862"], "from": "default"}
    assert report["settings"]["admin_token"] == {"value": "(set, not shown)", "from": "UNDERCROFT_ADMIN_TOKEN"}


def test_wrong_settings_are_explained(croft: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERCROFT_MAX_BODY", "lots")
    monkeypatch.setenv("UNDERCROFT_ANONYMOUS", "timer")
    monkeypatch.setenv("UNDERCROFT_LISTN", "x")
    ended = croft("check")
    assert ended.code == 2
    assert "UNDERCROFT_MAX_BODY: 'lots' is no size: write 32MB" in ended.err
    assert "did you mean timers?" in ended.err
    assert "did you mean UNDERCROFT_LISTEN?" in ended.err
    report = croft("check", "--json")
    assert report.code == 2
    assert [problem["setting"] for problem in report.json["problems"]] == [
        "UNDERCROFT_LISTN",
        "UNDERCROFT_MAX_BODY",
        "anonymous",
    ]


@pytest.mark.parametrize("verb", ["serve", "run"])
def test_a_server_does_not_start_with_them(verb: str, croft: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERCROFT_MAX_BODY", "lots")
    ended = croft(verb)
    assert ended.code == 2
    assert "UNDERCROFT_MAX_BODY" in ended.err
    assert "Nothing was started" in ended.err
    assert not (home / "var").exists()


def test_the_file_is_named_by_flag_before_variable_before_folder(
    croft: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "var").mkdir()
    for name in ("var/undercroft.toml", "by-variable.toml", "by-flag.toml"):
        (home / name).write_text(f'node_name = "{name.replace("/", ".")}"')
    levels = [croft("check", "--json").json["settings"]["node_name"]["value"]]
    monkeypatch.setenv("UNDERCROFT_CONFIG", "by-variable.toml")
    levels.append(croft("check", "--json").json["settings"]["node_name"]["value"])
    levels.append(croft("check", "--config", "by-flag.toml", "--json").json["settings"]["node_name"]["value"])
    assert levels == ["var.undercroft.toml", "by-variable.toml", "by-flag.toml"]
    missing = croft("check", "--config", "none.toml")
    assert missing.code == 2
    assert "none.toml: can't be read" in missing.err
