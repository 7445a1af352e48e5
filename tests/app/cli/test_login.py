"""Profiles, `croft login`, `logout`, `status`, `profile`."""

import stat
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run, Server
from tests.services.ports import free_port
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.profiles import (
    Login,
    Profile,
    Profiles,
    Wanted,
    choose,
    profile_name,
    profiles_file,
    read_profiles,
    save_profile,
    write_profiles,
)

ME = {"user": "admin@localhost", "teams": ["admin"], "scopes": []}
HERE = Profile("http://127.0.0.1:3862", "token-of-here")
WORK = Profile("https://work.example", "token-of-work")
BOTH = Profiles("here", {"here": HERE, "work": WORK})


@pytest.fixture
def alone(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """No variables: only flags and the file say which server and token."""
    monkeypatch.delenv("UNDERCROFT_URL")
    monkeypatch.delenv("UNDERCROFT_TOKEN")
    server.answers("/undercroft/me", ME)
    server.answers("/health", {"status": "ok"})
    return server


def test_login_verifies_the_token_and_keeps_it_for_the_owner_only(croft: Run, alone: Server) -> None:
    ended = croft("login", alone.url, "--token", "-", "--profile", "mine", stdin=b"my-token\n")
    assert ended.code == 0, ended.err
    assert alone.asked == "GET /undercroft/me"
    assert alone.calls[-1].headers["Authorization"] == "Bearer my-token"
    assert "admin@localhost" in ended.out
    assert "my-token" not in ended.out + ended.err
    assert read_profiles() == Profiles("mine", {"mine": Profile(alone.url, "my-token")})
    assert stat.S_IMODE(profiles_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(profiles_file().parent.stat().st_mode) == 0o700


def test_a_refused_token_is_not_kept(croft: Run, alone: Server) -> None:
    alone.answers("/undercroft/me", {"error": "no such token", "code": "unauthorized"}, status=401)
    ended = croft("login", alone.url, "--token", "wrong-token")
    assert ended.code == 1
    assert read_profiles() == Profiles("", {})


def test_login_takes_the_token_of_the_environment(croft: Run, alone: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERCROFT_TOKEN", "from-env")
    assert croft("login", alone.url, "--json").json == {
        "profile": profile_name(alone.url),
        "url": alone.url,
        **ME,
    }
    assert read_profiles().known[profile_name(alone.url)].token == "from-env"


@pytest.mark.parametrize("token", [b"", b"two words", "smörgås".encode()])
def test_login_refuses_what_is_no_token(croft: Run, alone: Server, token: bytes) -> None:
    assert croft("login", alone.url, "--token", "-", stdin=token).code == 2
    assert alone.calls == []


def test_login_without_a_terminal_asks_for_stdin(croft: Run, alone: Server) -> None:
    ended = croft("login", alone.url)
    assert ended.code == 2
    assert "--token -" in ended.err


def test_the_token_is_not_sent_in_the_clear_unnoticed(croft: Run, alone: Server) -> None:
    ended = croft("login", "http://undercroft.invalid", "--token", "x")
    assert ended.code == 3
    assert "unencrypted" in ended.err


def test_verbs_use_the_current_profile(croft: Run, alone: Server) -> None:
    save_profile("mine", Profile(alone.url, "my-token"))
    ended = croft("status")
    assert ended.code == 0
    assert alone.url in ended.out
    assert "mine" in ended.out
    assert "everything" in ended.out
    assert "my-token" not in ended.out


def test_status_speaks_json_and_tells_of_a_refused_token(croft: Run, alone: Server) -> None:
    save_profile("mine", Profile(alone.url, "my-token"))
    assert croft("status", "--json").json == {
        "profile": "mine",
        "url": alone.url,
        "health": {"status": "ok"},
        "me": ME,
    }
    alone.answers("/undercroft/me", {"error": "expired", "code": "unauthorized"}, status=401)
    ended = croft("status")
    assert ended.code == 1
    assert "nobody" in ended.out
    assert "croft login" in ended.err


def test_status_of_no_server_ends_with_3(croft: Run, home: Path) -> None:
    assert croft("--url", f"127.0.0.1:{free_port()}", "status").code == 3


def test_logout_forgets_one_profile(croft: Run, alone: Server) -> None:
    write_profiles(BOTH)
    assert croft("logout", "--profile", "work").code == 0
    assert read_profiles() == Profiles("here", {"here": HERE})
    assert croft("logout").code == 0
    assert read_profiles() == Profiles("", {})
    assert croft("logout").code == 2


def test_profiles_are_listed_and_chosen(croft: Run, home: Path) -> None:
    write_profiles(BOTH)
    listed = croft("profile", "list")
    assert [line.split() for line in listed.out.splitlines()[1:]] == [
        ["*", "here", HERE.url],
        ["work", WORK.url],
    ]
    assert "token-of" not in listed.out
    assert croft("profile", "use", "work").code == 0
    assert croft("profile", "list", "--json").json["current"] == "work"
    assert croft("profile", "use", "none").code == 2


@pytest.mark.parametrize(
    ("wanted", "environ", "login"),
    [
        (Wanted(), {}, Login("here", HERE.url, HERE.token)),
        (Wanted(profile="work"), {}, Login("work", WORK.url, WORK.token)),
        (Wanted(profile="work"), {"UNDERCROFT_URL": "http://env"}, Login("work", WORK.url, WORK.token)),
        (Wanted(), {"UNDERCROFT_URL": "http://env"}, Login("", "http://env", "")),
        (Wanted(url="http://flag"), {"UNDERCROFT_URL": "http://env"}, Login("", "http://flag", "")),
        (Wanted(url=WORK.url + "/"), {}, Login("work", WORK.url, WORK.token)),
        (Wanted(profile="work", url="http://other"), {}, Login("work", "http://other", "")),
        (Wanted(), {"UNDERCROFT_TOKEN": "env"}, Login("here", HERE.url, "env")),
        (Wanted(url="other:80"), {"UNDERCROFT_TOKEN": "env"}, Login("", "http://other:80", "env")),
    ],
)
def test_a_profiles_token_goes_to_its_own_server_only(wanted: Wanted, environ: dict[str, str], login: Login) -> None:
    assert choose(wanted, environ, BOTH) == login


def test_without_any_profile_it_is_the_server_of_this_machine() -> None:
    assert choose(Wanted(), {}, Profiles("", {})) == Login("", "http://127.0.0.1:3862", "")


def test_profiles_read_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "profiles.toml"
    odd = Profiles("a.b", {"a.b": Profile("http://[::1]:1/x", 'quo"te\\back'), "c-d_e": WORK})
    write_profiles(odd, path)
    assert read_profiles(path) == odd
    assert [each.name for each in path.parent.iterdir()] == ["profiles.toml"]


@pytest.mark.parametrize("text", ["current = ", "profiles = 3", "[profiles.x]\nurl = 'http://x'", "[profiles]\nx = 1"])
def test_a_broken_file_is_explained(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profiles.toml"
    path.write_text(text)
    with pytest.raises(WrongUsage, match="can't be read"):
        read_profiles(path)


@pytest.mark.parametrize("name", ["", "-x", "a b", "x" * 65, "ü", "a/b"])
def test_odd_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongUsage, match="no name for a profile"):
        save_profile(name, HERE, tmp_path / "profiles.toml")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://127.0.0.1:3862", "local"),
        ("http://localhost:3862", "local"),
        ("http://127.0.0.1:9000", "127.0.0.1-9000"),
        ("https://undercroft.example.org", "undercroft.example.org"),
        ("https://x.example:8443/base", "x.example-8443"),
        ("http://[2001:db8::1]:80", "2001-db8-1-80"),
    ],
)
def test_names_made_from_urls(url: str, name: str) -> None:
    assert profile_name(url) == name


def test_the_folder_follows_xdg() -> None:
    assert profiles_file({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == Path("/x/undercroft/profiles.toml")
    assert profiles_file({"XDG_CONFIG_HOME": "x", "HOME": "/h"}) == Path("/h/.config/undercroft/profiles.toml")
    assert profiles_file({"HOME": "/h"}) == Path("/h/.config/undercroft/profiles.toml")
