"""Settings: which source wins, what is explained how, and that every one is documented."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from undercroft.app.notation import Secret, duration_text, size_text
from undercroft.app.setting_checks import check
from undercroft.app.setting_readers import READERS
from undercroft.app.settings import Problem, Settings, WrongSettings, read_settings
from undercroft.machinery.callers import Callers

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
TOKEN = "a-token-that-is-long-enough"


def problems_of(*arguments: Any, **named: Any) -> list[Problem]:
    with pytest.raises(WrongSettings) as wrong:
        read_settings(*arguments, **named)
    return wrong.value.problems


def toml(folder: Path, text: str) -> Path:
    path = folder / "undercroft.toml"
    path.write_text(text)
    return path


def test_defaults_are_for_one_machine() -> None:
    settings = read_settings({})
    assert settings.listen == ("127.0.0.1:3862",)
    assert settings.allow_private_targets is False
    assert settings.anonymous == ()
    assert settings.max_body == 33_554_432
    assert settings.database_url == f"sqlite:///{Path('var').absolute()}/undercroft.db"
    assert check(settings) == []


def test_later_sources_win(tmp_path: Path) -> None:
    path = toml(tmp_path, 'log_level = "warning"\nlog_format = "json"\ndatabase_pool = 3\nkeep_dead = "2d"')
    environ = {"UNDERCROFT_LOG_FORMAT": "text", "UNDERCROFT_DATABASE_POOL": "4"}
    defaults = {"keep_dead": "1d", "keep_delivered": "1d", "log_level": "error"}
    settings = read_settings(environ, path, {"database_pool": 5, "log_level": None}, defaults)
    assert settings.database_pool == 5
    assert settings.log_format == "text"
    assert settings.log_level == "warning"
    assert settings.keep_dead == 2 * 86_400
    assert settings.keep_delivered == 86_400


def test_toml_takes_its_own_types(tmp_path: Path) -> None:
    path = toml(
        tmp_path,
        """
        listen = ["127.0.0.1:4000", "[::1]:4000", "unix:/run/croft.sock"]
        allow_private_targets = true
        anonymous = ["timers", "docs"]
        max_body = 1_000_000
        request_timeout = 2.5
        """,
    )
    settings = read_settings({}, path)
    assert [address.port for address in settings.addresses] == [4000, 4000, 0]
    assert settings.allow_private_targets is True
    assert settings.anonymous == ("timers", "docs")
    assert settings.max_body == 1_000_000
    assert settings.request_timeout == 2.5


def test_a_variable_may_name_a_file_that_holds_the_value(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    settings = read_settings({"UNDERCROFT_ADMIN_TOKEN_FILE": str(tmp_path / "token")})
    assert settings.admin_token == Secret(TOKEN)


def test_nobodys_word_on_addresses_counts_unless_named() -> None:
    callers = Callers(Settings().trusted_proxies)
    for peer in ("127.0.0.1", "::1", None):
        assert callers.address(peer, {b"x-forwarded-for": b"192.0.2.1"}) == peer


def test_every_setting_can_come_from_a_variable_and_from_a_file(tmp_path: Path) -> None:
    written = {
        "data_dir": "/srv/x", "listen": "0.0.0.0:1,[::]:2", "database": "postgresql://u@h/x",
        "admin_token": TOKEN, "allow_private_targets": "yes", "anonymous": "timers, metrics",
        "log_format": "JSON", "log_level": "debug",
        "max_body": "1MB", "request_timeout": "5s", "shutdown_grace": "1m", "webhook_default_scheme": "https",
        "keep_delivered": "1d", "keep_dead": "2d", "database_pool": "3", "host_concurrency": "7", "node_name": "n-1",
        "public_signup": "yes", "login_expires": "1d", "max_sessions": "3", "apps_per_user": "5",
        "trusted_proxies": "10.0.0.0/8", "sync_origins": "https://files.example.com",
        "sync_keep_bytes": "20GiB",
        "sync_rules": "[]", "sync_entries": "{}",
        "lock_default_ttl": "1h", "lock_maximum_ttl": "1d", "lock_timezone": "Asia/Manila", "lock_require_token": "yes",
        "smtp_url": "smtp://u:p@h", "mail_from": "a@b.c", "mail_from_allowed": "@b.c", "mail_wait": "1s",
        "mail_retries": "5s,1m", "mail_rate": "5", "mail_max_attachments": "1MB", "mail_keep": "1d",
        "messaging_channel": "mail", "messaging_url": "https://m.example.com", "messaging_sender_url": "http://s:1",
        "messaging_sender_token": "t", "messaging_sender_private": "yes",
            "messaging_identity_url": "http://i:2/", "messaging_identity_token": "u",
        "messaging_files": "s3://bucket/folder", "messaging_files_endpoint": "http://s3:9",
            "messaging_files_region": "r", "messaging_files_key": "k", "messaging_files_secret": "s",
            "dkim_selector": "s", "dkim_domain": "b.c", "dkim_key": "k",
    }  # fmt: skip
    assert set(written) == set(READERS) == {field.name for field in msgspec.structs.fields(Settings)}
    from_variables = read_settings({f"UNDERCROFT_{name.upper()}": text for name, text in written.items()})
    for name, text in written.items():
        (tmp_path / name).write_text(f"{text}\n")
        assert getattr(from_variables, name) != getattr(Settings(), name), f"{name} was not read"
    files = {f"UNDERCROFT_{name.upper()}_FILE": str(tmp_path / name) for name in written}
    assert read_settings(files) == from_variables


def test_a_variable_and_its_file_at_once_are_a_problem(tmp_path: Path) -> None:
    environ = {"UNDERCROFT_ADMIN_TOKEN": TOKEN, "UNDERCROFT_ADMIN_TOKEN_FILE": str(tmp_path)}
    (problem,) = problems_of(environ)
    assert problem.setting == "UNDERCROFT_ADMIN_TOKEN_FILE"
    assert "keep one" in problem.hint


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems_of({"UNDERCROFT_DATABASE_FILE": str(tmp_path / "none")})
    assert "none can't be read: No such file" in problem.message


def test_unknown_names_are_problems_with_a_hint(tmp_path: Path) -> None:
    path = toml(tmp_path, "lisen = []\nwholly_other = 1")
    found = problems_of({"UNDERCROFT_ADMIN_TOKN": TOKEN, "OTHER": "x"}, path)
    assert [(p.setting.partition(" in ")[0], p.hint) for p in found] == [
        ("lisen", "did you mean listen?"),
        ("wholly_other", "`croft check` lists them all"),
        ("UNDERCROFT_ADMIN_TOKN", "did you mean UNDERCROFT_ADMIN_TOKEN?"),
    ]
    assert TOKEN not in str(found)


def test_variables_of_others_are_left_alone() -> None:
    environ = {
        "UNDERCROFT_URL": "http://x",
        "UNDERCROFT_TOKEN": "x",
        "UNDERCROFT_CONFIG": "x",
        "UNDERCROFT_SERVICE_HOST": "10.0.0.1",
        "UNDERCROFT_SERVICE_PORT_HTTP": "3862",
        "UNDERCROFT_PORT": "tcp://10.0.0.1:3862",
        "UNDERCROFT_PORT_3862_TCP_ADDR": "10.0.0.1",
        "UNDERCROFT_DATABASE": "",
    }
    assert read_settings(environ) == read_settings({})


@pytest.mark.parametrize("text", ["listen = [", b"\xff\xfe", None])
def test_a_toml_file_that_cannot_be_read_is_a_problem(tmp_path: Path, text: str | bytes | None) -> None:
    path = tmp_path / "undercroft.toml"
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    (problem,) = problems_of({}, path)
    assert "can't be read" in problem.message


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("listen", "3862", "127.0.0.1:3862"),
        ("database", "mysql://u:hunter2@h/x", "postgresql://"),
        ("allow_private_targets", "perhaps", "true or false"),
        ("log_format", "xml", "auto, text, json"),
        ("log_level", "loud", "debug, info, warning, error"),
        ("max_body", "lots", "32MB"),
        ("max_body", "1", "1KiB to 1GiB"),
        ("request_timeout", "0s", "1s to 1h"),
        ("keep_dead", "soon", "7d"),
        ("webhook_default_scheme", "ftp", "http, https"),
        ("database_pool", "0", "1 to 500"),
        ("database_pool", "2.5", "whole number"),
        ("data_dir", "~nobody-of-this-name/x", "whole path"),
    ],
)
def test_wrong_values_are_explained(name: str, text: str, says: str) -> None:
    (problem,) = problems_of({f"UNDERCROFT_{name.upper()}": text})
    assert problem.setting == f"UNDERCROFT_{name.upper()}"
    assert says in problem.message
    assert "hunter2" not in problem.message


@pytest.mark.parametrize(
    "text",
    ["listen = 3862", "listen = [1]", "max_body = true", "database_pool = 1.5", "request_timeout = nan",
     "log_level = 3", "anonymous = {a = 1}", "data_dir = 2030-01-01", "admin_token = 12345678901234567890"],
)  # fmt: skip
def test_wrong_types_are_explained_by_their_place(tmp_path: Path, text: str) -> None:
    (problem,) = problems_of({}, toml(tmp_path, text))
    assert problem.setting == f"{text.partition(' ')[0]} in {tmp_path}/undercroft.toml"
    assert "1234567890" not in problem.message


def test_all_problems_are_told_at_once_and_the_rest_is_read() -> None:
    with pytest.raises(WrongSettings) as wrong:
        read_settings({"UNDERCROFT_MAX_BODY": "x", "UNDERCROFT_LISTEN": "x", "UNDERCROFT_LOG_LEVEL": "debug"})
    assert len(wrong.value.problems) == 2
    assert wrong.value.settings.log_level == "debug"


@given(some.dictionaries(some.sampled_from(sorted(READERS)), some.text()))
def test_any_text_is_read_or_explained(written: dict[str, str]) -> None:
    environ = {f"UNDERCROFT_{name.upper()}": text for name, text in written.items()}
    try:
        settings = read_settings(environ)
    except WrongSettings as wrong:
        assert all(problem.message for problem in wrong.problems)
    else:
        check(settings)


@given(some.integers(1, 3_600), some.integers(2**10, 2**30))
def test_shown_values_read_back(seconds: int, count: int) -> None:
    environ = {
        "UNDERCROFT_REQUEST_TIMEOUT": duration_text(seconds),
        "UNDERCROFT_MAX_BODY": size_text(count),
    }
    settings = read_settings(environ)
    assert (settings.request_timeout, settings.max_body) == (seconds, count)


def test_settings_show_no_secret() -> None:
    environ = {"UNDERCROFT_ADMIN_TOKEN": TOKEN, "UNDERCROFT_DATABASE": "postgresql://u:hunter2@h/x"}
    settings = read_settings(environ)
    shown = repr(settings)
    assert TOKEN not in shown
    assert "hunter2" not in shown
    assert "postgresql://u:***@h/x" in shown
    assert settings.database_url == environ["UNDERCROFT_DATABASE"]


def test_every_setting_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(UNDERCROFT_\w+)` \| (.+?) \| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    documented = {name: (variable, default) for name, variable, default, _ in rows}
    assert list(documented) == [field.name for field in msgspec.structs.fields(Settings)]
    for name, (variable, default) in documented.items():
        assert variable == f"UNDERCROFT_{name.upper()}"
        if not default.startswith("`"):
            continue  # said in words: the machine's name, or nothing
        read = read_settings({variable: default.strip("`")})
        assert getattr(read, name) == getattr(Settings(), name), f"the default of {name} is another"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("mail.example.com:587", "smtp://user:password@host:587"),
        ("smtp://shop:hunter2/x@mail.example.com", "percent-encoded"),
        ("smtp://shop:hunter2@mail.example.com?starttls=perhaps", "required, auto or never"),
    ],
)
def test_a_wrong_relay_is_explained_without_its_password(url: str, hint: str) -> None:
    (problem,) = problems_of({"UNDERCROFT_SMTP_URL": url})
    assert problem.setting == "UNDERCROFT_SMTP_URL"
    assert hint in problem.message
    assert "hunter2" not in str(problem)


def test_a_relay_is_shown_without_its_password_and_wants_a_sender() -> None:
    settings = read_settings({"UNDERCROFT_SMTP_URL": "smtp://shop:hunter2@mail.example.com"})
    assert str(settings.smtp_url) == "smtp://shop:***@mail.example.com"
    assert "hunter2" not in repr(settings)
    (problem,) = check(settings)
    assert (problem.setting, "no-reply@example.com" in problem.hint) == ("mail_from", True)


@pytest.mark.parametrize("sender", ["nobody", "a@b.c, d@e.f", "a@b.c\r\nBcc: d@e.f"])
def test_a_sender_that_is_none_is_explained(sender: str) -> None:
    (problem,) = problems_of({"UNDERCROFT_MAIL_FROM": sender})
    assert "write no-reply@example.com" in problem.message
