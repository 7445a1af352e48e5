"""Users, teams, keys, quotas and tokens as the apps document has them: statuses, and texts that clients compare."""

import itertools
import json
import re
import time
from typing import Any

import httpx
import pytest

from tests.services.croft import Croft

_numbers = itertools.count(1)
RIGHT = "123456"


class Person:
    """A user of the test's own, from an address of its own, signed in."""

    def __init__(self, croft: Croft) -> None:
        number = next(_numbers)
        self.croft = croft
        self.email = f"user{number}@globo.com"
        self.place = {"X-Forwarded-For": f"203.0.{number // 250}.{number % 250}"}
        assert croft.http.post("/users", json={"email": self.email, "password": RIGHT}).status_code == 200
        self.token = self.log_in().json()["token"]

    def log_in(self, password: str = RIGHT) -> httpx.Response:
        return self.bare("POST", f"/users/{self.email}/tokens", json={"password": password})

    def bare(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Without a token."""
        headers = {**self.place, **more.pop("headers", {})}
        return httpx.request(method, self.croft.url + path, headers=headers, trust_env=False, **more)

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.bare(method, path, headers={"Authorization": f"bearer {self.token}"}, **more)


@pytest.fixture(scope="module")
def someone(croft: Croft) -> Person:
    """For tests that change nothing of it."""
    return Person(croft)


@pytest.fixture
def ann(croft: Croft) -> Person:
    return Person(croft)


@pytest.fixture
def bob(croft: Croft) -> Person:
    return Person(croft)


def says(answer: httpx.Response, status: int, text: str) -> None:
    """A refusal: its line, byte for byte."""
    assert (answer.status_code, answer.content) == (status, f"{text}\n".encode())
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    is_of_the_family(answer)


def done(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.content) == (200, b"")
    is_of_the_family(answer)


def is_of_the_family(answer: httpx.Response) -> None:
    assert answer.headers["supported-tsuru"] == "0.9.0"
    assert answer.headers["supported-crane"] == "0.5.1"
    assert answer.headers["supported-tsuru-admin"] == "0.3.0"


# The document's examples, byte for byte


def test_the_examples_of_users(croft: Croft, ann: Person) -> None:
    body = b'{"email":"nobody@globo.com","password":"123456"}'
    done(croft.http.post("/users", content=body))
    says(croft.http.post("/users", content=body), 409, "This email is already registered.")
    login = croft.http.post("/users/nobody@globo.com/tokens", content=b'{"password":"123456"}')
    assert login.status_code == 200
    assert re.fullmatch(rb'\{"token":"[0-9a-f]{40}","is_admin":false\}\n', login.content)
    nobody = {"Authorization": f"bearer {login.json()['token']}"}
    done(croft.http.put("/users/password", content=b'{"old":"123456","new":"654321"}', headers=nobody))
    done(croft.http.post("/users/keys", content=b'{"key":"my-key"}', headers=nobody))
    done(croft.http.request("DELETE", "/users/keys", content=b'{"key":"my-key"}', headers=nobody))
    assert croft.http.get("/teams", headers=nobody).content == b"[]"
    done(croft.http.request("DELETE", "/users/tokens", headers=nobody))
    says(croft.http.get("/teams", headers=nobody), 401, "Invalid token")
    done(croft.http.post("/users/nobody@globo.com/password"))
    says(croft.http.post("/users/nobody@globo.com/password?token=1234"), 400, "Invalid token")
    again = croft.http.post("/users/nobody@globo.com/tokens", content=b'{"password":"654321"}').json()["token"]
    done(croft.http.delete("/users", headers={"Authorization": again}))
    says(croft.http.post("/users/nobody@globo.com/tokens", content=body), 404, "User not found")


def test_the_examples_of_teams(croft: Croft, ann: Person, bob: Person) -> None:
    team = f"teamname{next(_numbers)}"
    done(ann.call("POST", "/teams", content=f'{{"name": "{team}"}}'.encode()))
    assert ann.call("GET", "/teams").content == f'[{{"name":"{team}"}}]'.encode()
    told = ann.call("GET", f"/teams/{team}")
    assert told.content == f'{{"name":"{team}","users":["{ann.email}"]}}\n'.encode()
    assert told.headers["content-type"] == "application/json"
    done(ann.call("PUT", f"/teams/{team}/{bob.email}"))
    done(ann.call("DELETE", f"/teams/{team}/{bob.email}"))
    done(ann.call("DELETE", f"/teams/{team}"))


def test_the_examples_of_quota_and_tokens(croft: Croft, ann: Person) -> None:
    assert ann.call("GET", f"/quota/{ann.email}").content == b'{"items":0,"available":100}\n'
    made = croft.http.post("/tokens", json={"client": "appname", "export": True})
    assert made.headers["x-token-exported"] == "false", "there is no such app"
    assert list(made.json()) == ["Token", "Creation", "Expires", "AppName"]
    assert made.json()["Expires"] == 31_536_000
    assert made.json()["AppName"] == "appname"
    assert made.json()["Creation"] in {time.strftime("%Y/%m/%d", time.gmtime(time.time() - s)) for s in (0, 60)}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/teams"), ("GET", "/quota/{}"), ("GET", "/users/{}/keys"), ("DELETE", "/users/tokens")],
)
def test_with_a_slash_and_without(ann: Person, method: str, path: str) -> None:
    for end in ("", "/") if method == "GET" else ("/",):
        assert ann.call(method, path.format(ann.email) + end).status_code == 200


# Users


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b'{"email":"a","password":"123456"}', 400, "Invalid email."),
        (b'{"email":"a@b","password":"123456"}', 400, "Invalid email."),
        (b'{"password":"123456"}', 400, "Invalid email."),
        (b"null", 400, "Invalid email."),
        (b'{"email":"new@globo.com","password":"12345"}', 400, "LENGTH"),
        (b'{"email":"new@globo.com"}', 400, "LENGTH"),
        (b'{"email":"new@globo.com","password":"' + b"x" * 51 + b'"}', 400, "LENGTH"),
        (b"", 400, "Invalid JSON"),
        (b"[]", 400, "Invalid JSON"),
        (b'{"email"', 400, "Invalid JSON"),
        (b"{}{}", 400, "Invalid JSON"),
        (b"\xff", 400, "Invalid JSON"),
        (b'{"email":5,"password":"123456"}', 400, "Invalid JSON: email is no text"),
    ],
)
def test_users_that_are_not_made(croft: Croft, body: bytes, status: int, text: str) -> None:
    length = "Password length should be least 6 characters and at most 50 characters."
    says(croft.http.post("/users", content=body), status, length if text == "LENGTH" else text)


def test_only_admins_make_users(croft: Croft, someone: Person) -> None:
    closed = "User registration is disabled for non-admin users."
    body = {"email": "eve@globo.com", "password": RIGHT}
    says(someone.bare("POST", "/users", json=body), 401, closed)
    says(someone.bare("POST", "/users", json=body, headers={"Authorization": "bearer wrong"}), 401, closed)
    says(someone.call("POST", "/users", json=body), 401, closed)
    app = croft.http.post("/tokens", json={"client": "a"}).json()["Token"]
    says(someone.bare("POST", "/users", json=body, headers={"Authorization": app}), 401, closed)
    says(someone.bare("POST", "/users/eve@globo.com/tokens", json=body), 404, "User not found")


@pytest.mark.parametrize("password", ["123456", "x" * 50, "ä" * 25])
def test_keys_of_bodies_are_read_however_they_are_written(croft: Croft, password: str) -> None:
    email = f"case{next(_numbers)}@globo.com"
    body = json.dumps({"Email": email, "PASSWORD": password, "more": [1]}).encode()
    done(croft.http.post("/users", content=body, headers={"Content-Type": "text/plain"}))
    assert croft.http.post(f"/users/{email}/tokens", json={"password": password}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "Invalid JSON"),
        (b"[]", 400, "Invalid JSON"),
        (b'{"password":5}', 400, "Invalid JSON"),
        (b'{"password":"123456","x":1}', 400, "Invalid JSON"),
        (b"{}", 400, "You must provide a password to login"),
        (b'{"Password":"123456"}', 400, "You must provide a password to login"),
        (b'{"password":""}', 400, "Password length should be least 6 characters and at most 50 characters."),
        (b'{"password":"12345"}', 400, "Password length should be least 6 characters and at most 50 characters."),
        (b'{"password":"1234567"}', 401, "Authentication failed, wrong password."),
    ],
)
def test_logins_that_are_refused(someone: Person, body: bytes, status: int, text: str) -> None:
    says(someone.bare("POST", f"/users/{someone.email}/tokens", content=body), status, text)


def test_a_login_names_a_user_and_a_stale_token_does_not_matter(ann: Person) -> None:
    body = {"password": RIGHT}
    says(ann.bare("POST", "/users/nobody/tokens", json=body), 400, "Invalid email.")
    says(ann.bare("POST", "/users/not@there.example/tokens", json=body), 404, "User not found")
    for stale in ("bearer stale", "x y z", ""):
        headers = {"Authorization": stale}
        assert ann.bare("POST", f"/users/{ann.email}/tokens", json=body, headers=headers).status_code == 200
    done(ann.bare("POST", f"/users/{ann.email}/password", headers={"Authorization": "bearer stale"}))


def test_an_admin_is_told_to_be_one(croft: Croft, ann: Person) -> None:
    done(croft.http.put(f"/teams/admin/{ann.email}"))
    assert ann.log_in().json()["is_admin"] is True
    assert ann.call("GET", "/users").status_code == 200
    done(croft.http.delete(f"/teams/admin/{ann.email}"))
    says(ann.call("GET", "/users"), 403, "You must be an admin")


def test_too_many_logins(ann: Person) -> None:
    for _ in range(10):
        says(ann.log_in("wrong one"), 401, "Authentication failed, wrong password.")
    answer = ann.log_in()
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 30
    assert answer.text.startswith("Too many login attempts; try again in ")


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "Invalid JSON."),
        (b'{"old":1}', 400, "Invalid JSON."),
        (b"{}", 400, "Both the old and the new passwords are required."),
        (b'{"old":"123456"}', 400, "Both the old and the new passwords are required."),
        (b'{"old":"","new":"654321"}', 400, "Both the old and the new passwords are required."),
        (b'{"old":"x","new":"654321"}', 403, "The given password didn't match the user's current password."),
        (b'{"old":"x","new":"1"}', 403, "The given password didn't match the user's current password."),
        (b'{"old":"123456","new":"1"}', 400, "LENGTH"),
    ],
)
def test_changes_of_a_password_that_are_refused(someone: Person, body: bytes, status: int, text: str) -> None:
    length = "Password length should be least 6 characters and at most 50 characters."
    says(someone.call("PUT", "/users/password", content=body), status, length if text == "LENGTH" else text)
    assert someone.log_in().status_code == 200


def test_a_changed_password_ends_other_sessions(ann: Person) -> None:
    other = ann.log_in().json()["token"]
    done(ann.call("PUT", "/users/password", json={"old": RIGHT, "new": "654321"}))
    assert ann.call("GET", "/teams").status_code == 200
    says(ann.bare("GET", "/teams", headers={"Authorization": other}), 401, "Invalid token")
    says(ann.log_in(), 401, "Authentication failed, wrong password.")
    assert ann.log_in("654321").status_code == 200


def test_resets_that_are_refused(ann: Person) -> None:
    path = f"/users/{ann.email}/password"
    says(ann.bare("POST", "/users/nobody/password"), 400, "Invalid email.")
    says(ann.bare("POST", "/users/not@there.example/password"), 404, "User not found")
    says(ann.bare("POST", "/users/not@there.example/password?token=x"), 404, "User not found")
    says(ann.bare("POST", path + "?token="), 400, "Invalid token")
    says(ann.bare("POST", path + "?token=x", content=b"no json"), 400, "Invalid JSON")
    says(ann.bare("POST", path + "?token=x", json={"password": "1"}), 400,
         "Password length should be least 6 characters and at most 50 characters.")  # fmt: skip
    assert ann.log_in().status_code == 200


def test_admins_set_passwords_and_remove_users(croft: Croft, ann: Person, bob: Person) -> None:
    path = f"/users/{ann.email}/password"
    says(bob.call("PUT", path, json={"new": "654321"}), 403, "You must be an admin")
    done(croft.http.put(path, json={"new": "654321"}))
    says(ann.call("GET", "/teams"), 401, "Invalid token")
    assert ann.log_in("654321").status_code == 200
    says(bob.call("DELETE", f"/users/{ann.email}"), 403, "You must be an admin")
    done(croft.http.delete(f"/users/{ann.email}"))
    says(ann.log_in("654321"), 404, "User not found")
    says(croft.http.put(path, json={"new": "654321"}), 404, "User not found")
    says(croft.http.delete("/users"), 403, "admin@localhost is the server's own admin and cannot be removed.")


def test_the_last_member_of_a_team_stays(ann: Person) -> None:
    team = f"lonely{next(_numbers)}"
    done(ann.call("POST", "/teams", json={"name": team}))
    text = (
        f'This user is the last member of the team "{team}", so it cannot be removed.\n\n'
        "Please remove the team, then remove the user."
    )
    says(ann.call("DELETE", "/users"), 403, text)
    assert ann.call("GET", f"/teams/{team}").status_code == 200
    done(ann.call("DELETE", f"/teams/{team}"))
    done(ann.call("DELETE", "/users"))
    says(ann.call("GET", "/teams"), 401, "Invalid token")


# Keys


def test_keys(ann: Person, bob: Person) -> None:
    for body, text in ((b"", "Invalid JSON"), (b'{"key":1}', "Invalid JSON"), (b"{}", "Missing key"),
                       (b'{"key":""}', "Missing key")):  # fmt: skip
        for method in ("POST", "DELETE"):
            says(ann.call(method, "/users/keys", content=body), 400, text)
    says(ann.call("DELETE", "/users/keys", json={"key": "my-key"}), 404, "User does not have this key")
    done(ann.call("POST", "/users/keys", json={"key": "my-key"}))
    says(ann.call("POST", "/users/keys", json={"key": "my-key"}), 409, "User already has this key")
    done(bob.call("POST", "/users/keys", json={"key": "my-key"}))
    assert ann.call("GET", f"/users/{ann.email}/keys").json() == {f"{ann.email}-1": "my-key"}
    assert ann.call("GET", f"/users/{bob.email}/keys").status_code == 403
    assert ann.call("POST", "/users/keys", json={"key": "ssh-rsa AAAA broken"}).status_code == 400


# Teams


@pytest.mark.parametrize("name", ["", "a", "1team", "-team", "te/am", "te\nam", "@team", "x" * 101, "tëam"])
def test_names_that_no_team_has(someone: Person, name: str) -> None:
    says(someone.call("POST", "/teams", json={"name": name}), 400, "Invalid team name")


def test_teams_that_are_refused(ann: Person, bob: Person) -> None:
    team = f"team {next(_numbers)}"
    path = f"/teams/{team.replace(' ', '%20')}"
    says(ann.call("POST", "/teams", content=b""), 400, "Invalid JSON")
    says(ann.call("POST", "/teams", json={"name": 1}), 400, "Invalid JSON")
    done(ann.call("POST", "/teams", json={"name": f" {team} "}))
    says(bob.call("POST", "/teams", json={"name": team}), 409, "Team already exists")
    says(bob.call("GET", path), 403, "User is not member of this team")
    says(bob.call("GET", "/teams/nowhere"), 404, "Team not found")
    says(bob.call("DELETE", path), 404, f'Team "{team}" not found.')
    says(bob.call("DELETE", "/teams/nowhere"), 404, 'Team "nowhere" not found.')
    says(bob.call("PUT", f"{path}/{bob.email}"), 401, f"You are not authorized to add new users to the team {team}")
    says(bob.call("DELETE", f"{path}/{ann.email}"), 401,
         f"You are not authorized to remove a member from the team {team}")  # fmt: skip
    says(ann.call("PUT", f"/teams/nowhere/{bob.email}"), 404, "Team not found")
    says(ann.call("DELETE", f"/teams/nowhere/{bob.email}"), 404, "Team not found")
    says(ann.call("PUT", f"{path}/not@there.example"), 404, "User not found")
    says(ann.call("PUT", f"{path}/{ann.email}"), 409, f"User {ann.email} is already in the team {team}.")
    says(ann.call("DELETE", f"{path}/{ann.email}"), 403,
         "You can not remove this user from this team, because it is the last user within the team, "
         "and a team can not be orphaned")  # fmt: skip
    done(ann.call("PUT", f"{path}/{bob.email}"))
    says(ann.call("DELETE", f"{path}/not@there.example"), 404, "User not found")
    done(bob.call("DELETE", f"{path}/{bob.email}"))


def test_who_is_in_no_such_team(croft: Croft, ann: Person, bob: Person) -> None:
    team = f"pair{next(_numbers)}"
    done(ann.call("POST", "/teams", json={"name": team}))
    done(ann.call("PUT", f"/teams/{team}/admin@localhost"))
    says(ann.call("DELETE", f"/teams/{team}/{bob.email}"), 404, f"User {bob.email} is not in the team {team}.")


# Quotas, tokens, and who comes at all


def test_quotas(croft: Croft, ann: Person, bob: Person) -> None:
    path = f"/quota/{ann.email}"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    says(croft.http.put(path, content=b"quota=2", headers=form), 200, "Quota changed sucessfully.")
    assert croft.http.get(path).json() == {"items": 0, "available": 2}
    for body in (b"", b"quota=x", b"quota=-2", b"quota=1.5", b"other=1", b"\xff", b"quota=" + b"9" * 5_000):
        says(croft.http.put(path, content=body), 400, "invalid parameter")
    says(croft.http.get("/quota/not@there.example"), 404, "Quota not found")
    says(croft.http.put("/quota/not@there.example", content=b"quota=2"), 404, "Quota not found")
    says(ann.call("PUT", path, content=b"quota=9"), 403, "You must be an admin")
    says(bob.call("GET", path), 403, "You may see your own quota only")
    assert ann.call("GET", path).json() == {"items": 0, "available": 2}


def test_tokens_of_apps(croft: Croft, ann: Person) -> None:
    says(ann.call("POST", "/tokens", json={"client": "a"}), 403, "You must be an admin")
    for body in (b"{}", b'{"client":""}', b"null"):
        says(croft.http.post("/tokens", content=body), 400, "Missing client name in JSON body")
    assert croft.http.post("/tokens", content=b"x").status_code == 400
    assert croft.http.post("/tokens", json={"client": "a", "export": "yes"}).status_code == 400
    app = {"Authorization": f"bearer {croft.http.post('/tokens', json={'client': 'a'}).json()['Token']}"}
    for method, path in (("GET", "/teams"), ("GET", "/quota/a"), ("DELETE", "/users"), ("POST", "/teams")):
        assert ann.bare(method, path, headers=app).status_code == 403
    done(ann.bare("DELETE", "/users/tokens", headers=app))
    says(ann.bare("DELETE", "/users/tokens", headers=app), 401, "Invalid token")


@pytest.mark.parametrize("form", ["bearer {}", "Token {}", "anything {}", "{}"])
def test_forms_of_the_header(someone: Person, form: str) -> None:
    assert someone.bare("GET", "/teams", headers={"Authorization": form.format(someone.token)}).status_code == 200


def test_who_does_not_come_in(someone: Person) -> None:
    says(someone.bare("GET", "/teams"), 401, "You must provide the Authorization header")
    for wrong in ("bearer wrong", f"a b {someone.token}", "bearer", f"bearer  {someone.token}", "Basic YTpi"):
        says(someone.bare("GET", "/teams", headers={"Authorization": wrong}), 401, "Invalid token")


def test_paths_that_there_are_not(someone: Person) -> None:
    for path in ("/users/a/b", "/teams/a/b/c", "/tokens/x", "/quota"):
        says(someone.call("GET", path), 404, "404 page not found")
    answer = someone.call("PATCH", "/teams")
    says(answer, 404, "404 page not found")
    assert answer.headers["allow"] == "GET, POST"
