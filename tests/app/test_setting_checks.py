"""What can't work though each setting could be read."""

from pathlib import Path

import pytest

from undercroft.app.notation import Secret
from undercroft.app.setting_checks import OPENABLE, check, check_places
from undercroft.app.settings import Settings, WrongSettings, read_settings


@pytest.mark.parametrize(
    ("settings", "setting", "hint"),
    [
        (Settings(anonymous=("timer",)), "anonymous", "did you mean timers?"),
        (Settings(anonymous=("x",)), "anonymous", "it may name docs, locks, mail, metrics, sync, timers"),
        (Settings(listen=()), "listen", "at least one"),
        (Settings(listen=("a:1", "a:1")), "listen", "once"),
        (Settings(admin_token=Secret("short")), "admin_token", "openssl"),
        (Settings(admin_token=Secret("with a space in the middle")), "admin_token", "openssl"),
        (Settings(node_name="a b"), "node_name", "1 to 128"),
    ],
)
def test_check_explains_what_cannot_work(settings: Settings, setting: str, hint: str) -> None:
    (problem,) = check(settings)
    assert problem.setting == setting
    assert hint in problem.hint


def test_all_that_may_be_opened_can_be_named() -> None:
    assert check(Settings(anonymous=tuple(OPENABLE))) == []


def test_several_addresses_may_ask_for_a_free_port() -> None:
    assert check(Settings(listen=("127.0.0.1:0", "127.0.0.1:0"))) == []


def test_folders_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (problem,) = check_places(Settings(data_dir=tmp_path / "file" / "x"))
    assert problem.message == f"{tmp_path}/file is no folder"
    (problem,) = check_places(Settings(data_dir=tmp_path, listen=(f"unix:{tmp_path}/none/x.sock",)))
    assert problem.message == f"{tmp_path}/none is no folder"
    assert check_places(Settings(data_dir=tmp_path / "new" / "deep")) == []


def test_mails_are_kept_for_as_long_as_keys_that_speak_of_them() -> None:
    (problem,) = check(read_settings({"UNDERCROFT_MAIL_KEEP": "23h"}))
    assert (problem.setting, "1d or longer" in problem.hint) == ("mail_keep", True)
    assert check(read_settings({"UNDERCROFT_MAIL_KEEP": "1d"})) == []


def test_what_is_wrong_with_signing_is_explained() -> None:
    (problem,) = check(Settings(dkim_selector="mail", dkim_domain="example.com", dkim_key=Secret("no key")))
    assert (problem.setting, "openssl genrsa" in problem.hint) == ("dkim_key", True)
    assert "no key" not in str(problem)
    found = check(Settings(dkim_key=Secret("no key")))
    assert [problem.setting for problem in found] == ["dkim_selector", "dkim_domain"]


def test_an_object_store_needs_a_bucket_and_whole_credentials() -> None:
    alone = Settings(messaging_files_key="k", messaging_files_endpoint="http://s3:9")
    assert {p.setting for p in check(alone)} == {"messaging_files_key", "messaging_files_endpoint"}
    assert all("s3://BUCKET" in p.hint for p in check(alone))
    half = Settings(messaging_files="s3://bucket", messaging_files_secret=Secret("s"))
    assert [(p.setting, p.message) for p in check(half)] == [("messaging_files_key", "is missing")]
    assert check(Settings(messaging_files="s3://bucket")) == []
    with pytest.raises(WrongSettings, match="write s3://BUCKET"):
        read_settings({"UNDERCROFT_MESSAGING_FILES": "https://bucket"})
