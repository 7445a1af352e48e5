"""`croft user`, `team`, `key`, `permissions` and the login by password against a running server."""

from pathlib import Path

import pytest

from tests.app.cli.conftest import Run
from tests.services.croft import Croft
from undercroft.app.cli.profiles import read_profiles
from undercroft.app.permissions import PERMISSIONS

ANN = "ann@shop.example"
KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGAzGFKCQoOJSauea5uBP2dP5BwFp98PgEik9D/teZVI ann@laptop\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> object:
    croft = Croft(tmp_path_factory.mktemp("accounts"))
    croft.start()
    yield croft
    croft.close()


@pytest.fixture
def admin(croft: Run, server: Croft) -> Run:
    """`croft`, logged in as the admin; and Ann is there with a password."""
    assert croft("login", server.url, "--token", "-", "--profile", "admin", stdin=server.token.encode()).code == 0
    croft("user", "create", ANN, stdin=b"correct horse")
    return croft


def as_ann(croft: Run, server: Croft) -> None:
    ended = croft("login", server.url, "--email", ANN, "--profile", "ann", stdin=b"correct horse\n")
    assert ended.code == 0, ended.err
    assert "correct horse" not in ended.out + ended.err


def test_a_login_by_password_ends_with_the_logout(admin: Run, server: Croft) -> None:
    as_ann(admin, server)
    kept = read_profiles().known["ann"]
    assert kept.by_password and not read_profiles().known["admin"].by_password
    bearer = {"Authorization": f"bearer {kept.token}"}
    assert server.http.get("/teams", headers=bearer).status_code == 200

    assert admin("logout").out == "Logged out: profile ann is forgotten.\n"

    assert server.http.get("/teams", headers=bearer).status_code == 401
    assert set(read_profiles().known) == {"admin"}


def test_a_logout_goes_through_where_the_token_has_ended_or_the_server_is_gone(admin: Run, server: Croft) -> None:
    as_ann(admin, server)
    path = Path.home() / "config" / "undercroft" / "profiles.toml"
    text = path.read_text()
    path.write_text(text.replace(read_profiles().known["ann"].token, "f" * 40))
    ended = admin("logout")
    assert (ended.code, ended.err) == (0, "")
    path.write_text(text.replace(server.url, "http://127.0.0.1:9"))
    ended = admin("logout", "--profile", "ann")
    assert ended.code == 0 and "ends" not in ended.out and "by itself" in ended.err


@pytest.mark.parametrize(
    ("password", "said"), [(b"wrong horse", "wrong password"), (b"", "no password"), (b"x", "least 6")]
)
def test_a_login_that_is_refused_keeps_nothing(admin: Run, server: Croft, password: bytes, said: str) -> None:
    ended = admin("login", server.url, "--email", ANN, "--profile", "ann", stdin=password)

    assert ended.code in (1, 2) and said in ended.err
    assert set(read_profiles().known) == {"admin"}
    both = admin("login", server.url, "--email", ANN, "--token", "x", stdin=b"correct horse")
    assert both.code == 2


def test_users_are_made_listed_and_removed(admin: Run, server: Croft) -> None:
    assert admin("user", "create", "bob@shop.example", "--json", stdin=b"battery staple").json == {"status": "ok"}
    again = admin("user", "create", "bob@shop.example", stdin=b"battery staple")
    assert (again.code, again.err.splitlines()[0]) == (1, "croft: This email is already registered.")
    listed = admin("users", "list", "--json").json
    assert [user["email"] for user in listed["users"]] == ["admin@localhost", ANN, "bob@shop.example"]
    page = admin("user", "list", "--limit", 1)
    assert "admin@localhost" in page.out and ANN not in page.out and "--all" in page.err
    whole = admin("user", "list", "--limit", 1, "--all")
    assert "bob@shop.example" in whole.out and whole.out.count("EMAIL") == 1
    assert admin("user", "remove", "bob@shop.example").out == "User bob@shop.example is removed.\n"
    assert admin("user", "remove", "bob@shop.example").code == 1
    assert admin("user", "remove").code == 2, "it would be oneself"


def test_a_password_is_changed_and_set(admin: Run, server: Croft) -> None:
    as_ann(admin, server)
    wrong = admin("user", "password", stdin=b"wrong horse\nnew password\n")
    assert (wrong.code, "didn't match" in wrong.err) == (1, True)
    assert admin("user", "password", stdin=b"correct horse\nnew password\n").out == "Your password is changed.\n"
    assert admin("status").code == 0, "the token that changed it stays"
    assert admin("--profile", "admin", "user", "password", ANN, stdin=b"correct horse\n").code == 0
    assert admin("status").code == 1
    as_ann(admin, server)
    assert admin("user", "password", stdin=b"correct horse\n").code == 2


def test_a_reset_is_mailed_and_its_token_taken(admin: Run, server: Croft) -> None:
    assert "mailed" in admin("user", "reset", ANN).out
    assert admin("user", "reset", "nobody@shop.example").code == 1
    wrong = admin("user", "reset", ANN, "--token", "-", stdin=b"wrong-token\nnew password\n")
    assert (wrong.code, wrong.err.splitlines()[0]) == (1, "croft: Invalid token")


def test_teams(admin: Run, server: Croft) -> None:
    as_ann(admin, server)
    assert admin("team", "add", "a team").code == 0
    assert admin("teams", "list", "--json").json == [{"name": "a team"}]
    assert admin("team", "add-member", "a team", "admin@localhost").code == 0
    assert admin("team", "show", "a team").out.split() == ["MEMBER", "admin@localhost", ANN]
    assert admin("team", "remove-member", "a team", "admin@localhost", "--json").json == {"status": "ok"}
    last = admin("team", "remove-member", "a team", ANN)
    assert (last.code, "orphaned" in last.err) == (1, True)
    assert admin("team", "remove", "a team").code == 0
    assert admin("team", "show", "a team").err.startswith("croft: Team not found")
    assert admin("team", "add", "x").err.startswith("croft: Invalid team name")


def test_keys(admin: Run, server: Croft) -> None:
    as_ann(admin, server)
    Path("ann.pub").write_bytes(KEY)
    assert admin("key", "add", "ann.pub").code == 0
    assert admin("key", "add", "-", stdin=KEY).code == 1
    [name] = admin("keys", "list", "--json").json
    assert "ssh-ed25519" in admin("key", "list").out
    assert admin("key", "remove", "other").code == 2
    assert admin("key", "remove", name, "--json").json == {"status": "ok"}
    for wrong in (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", b"ssh-ed25519 AAAA\n"):
        assert admin("key", "add", "-", stdin=wrong).code in (1, 2)
    assert admin("key", "add", "missing.pub").code == 2


def test_tokens_of_apps_and_for_users(admin: Run, server: Croft) -> None:
    app = admin("token", "app", "cart")
    assert len(app.out.strip()) == 40 and "only now" in app.err
    assert server.http.get("/teams", headers={"Authorization": app.out.strip()}).status_code == 403
    user = admin("token", "user", "ci@shop.example", "--json").json["token"]
    assert server.http.get("/teams", headers={"Authorization": f"Token {user}"}).json() == []
    as_ann(admin, server)
    assert admin("token", "app", "cart").code == 1
    assert admin("token", "user", ANN).code == 1


def test_quotas(admin: Run, server: Croft) -> None:
    assert admin("user", "quota", ANN, "--set", 3, "--json").json == {"items": 0, "available": 3}
    as_ann(admin, server)
    assert admin("user", "quota").out.split() == ["User", ANN, "Apps", "0", "Left", "3"]
    assert admin("user", "quota", "admin@localhost").code == 1
    assert admin("user", "quota", ANN, "--set", 9).code == 1


def test_permissions_are_the_table(croft: Run) -> None:
    told = croft("permissions", "--json").json
    assert told == {family: {verb: access.value for verb, access in of.items()} for family, of in PERMISSIONS.items()}
    rows = croft("permissions").out.splitlines()
    assert len(rows) == 1 + sum(len(of) for of in PERMISSIONS.values())
    assert any(row.split()[:3] == ["timers", "read", "a"] for row in rows)
