"""POST /user/token/ as the messaging document has it, and its words for who may not."""

import base64
from typing import Any

import httpx
import pytest

from tests.contracts.test_accounts import RIGHT, Person
from tests.services.croft import Croft

PATH = "/api/v1/user/token/"


@pytest.fixture
def ann(croft: Croft) -> Person:
    return Person(croft)


def says(answer: httpx.Response, status: int, body: Any) -> None:
    assert (answer.status_code, answer.json()) == (status, body)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"


def test_the_example(croft: Croft) -> None:
    headers = {"Authorization": f"Token {croft.token}"}
    body = b'{\n"email": "bob@example.org"\n}'
    made = [httpx.post(croft.url + path, content=body, headers=headers, trust_env=False)
            for path in (PATH, PATH.rstrip("/"))]  # fmt: skip
    for answer in made:
        assert (answer.status_code, list(answer.json())) == (201, ["token"])
        assert answer.headers["content-type"] == "application/json"
        token = answer.json()["token"]
        assert len(token) == 40 and int(token, 16)
        assert croft.http.get("/teams", headers={"Authorization": f"Token {token}"}).json() == []
    assert made[0].json() != made[1].json(), "each call makes a new one, and the old ones stay valid"


@pytest.mark.parametrize("kind", ["json", "data", "files"])
def test_json_and_both_forms(croft: Croft, kind: str) -> None:
    fields: Any = {"email": (None, "bob@Example.ORG") if kind == "files" else " bob@Example.ORG "}
    assert croft.http.post(PATH, **{kind: fields}).status_code == 201
    emails = {user["email"] for user in croft.http.get("/users?limit=1000").json()["users"]}
    assert "bob@example.org" in emails and not any("Example" in email for email in emails)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, {"email": ["This field is required."]}),
        ({"email": ""}, {"email": ["This field may not be blank."]}),
        ({"email": "  "}, {"email": ["This field may not be blank."]}),
        ({"email": None}, {"email": ["This field may not be null."]}),
        ({"email": "bob"}, {"email": ["Enter a valid email address."]}),
        ({"email": ["bob@example.org"]}, {"email": ["Enter a valid email address."]}),
        ({"email": {"a": 1}}, {"email": ["Enter a valid email address."]}),
        ({"email": 5}, {"email": ["Enter a valid email address."]}),
        ({"email": True}, {"email": ["Enter a valid email address."]}),
        ({"email": "bob\u0000@example.org"}, {"email": ["Enter a valid email address."]}),
        ({"email": "x" * 10_000 + "@example.org"}, {"email": ["Enter a valid email address."]}),
        ([1], {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
        ("x", {"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]}),
    ],
)
def test_fields_that_are_wrong(croft: Croft, body: Any, words: Any) -> None:
    answer = croft.http.post(PATH, json=body)
    says(answer, 400, words)
    assert answer.headers["allow"] == "POST, OPTIONS"


def test_bodies_that_are_wrong(croft: Croft) -> None:
    says(croft.http.post(PATH, content=b""), 400, {"email": ["This field is required."]})
    for body, why in (
        (b"{x", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b'{"email": NaN}', "Out of range float values are not JSON compliant: 'NaN'"),
    ):
        says(croft.http.post(PATH, content=body), 400, {"detail": f"JSON parse error - {why}"})
    for body in (b"[" * 100_000, b"\xff", b'{"email": ' + b"9" * 5_000 + b"}", b'"\\ud800"'):
        assert croft.http.post(PATH, content=body).status_code == 400
    says(croft.http.post(PATH, content=b"x", headers={"Content-Type": "text/plain"}), 415,
         {"detail": 'Unsupported media type "text/plain" in request.'})  # fmt: skip
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    assert croft.http.post(PATH, content=b"no parts", headers=multipart).status_code == 400


@pytest.mark.parametrize(
    ("authorization", "words"),
    [
        (None, "Authentication credentials were not provided."),
        ("Token", "Invalid token header. No credentials provided."),
        ("Token a b", "Invalid token header. Token string should not contain spaces."),
        ("Token wrong", "Invalid token."),
        ("bearer wrong", "Invalid token."),
        ("Basic !!!", "Invalid username/password."),
        ("Basic " + base64.b64encode(b"not@there.example:123456").decode(), "Invalid username/password."),
    ],
)
def test_who_is_not_known(croft: Croft, authorization: str | None, words: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = httpx.post(croft.url + PATH, content=b"{x", headers=headers, trust_env=False)
    says(answer, 401, {"detail": words})
    assert answer.headers["www-authenticate"] == 'Basic realm="api"'


def test_who_is_known_and_no_admin(croft: Croft, ann: Person) -> None:
    scoped = croft.http.post("/undercroft/tokens", json={"name": "x", "scopes": ["accounts"]}).json()["token"]
    app = croft.http.post("/tokens", json={"client": "a"}).json()["Token"]
    basic = "Basic " + base64.b64encode(f"{ann.email}:{RIGHT}".encode()).decode()
    for authorization in (f"Token {ann.token}", f"Token {scoped}", f"Token {app}", basic):
        answer = ann.bare("POST", PATH, json={"email": "x@y.zz"}, headers={"Authorization": authorization})
        says(answer, 403, {"detail": "You do not have permission to perform this action."})


def test_a_password_with_each_request(croft: Croft, ann: Person) -> None:
    basic = "Basic " + base64.b64encode(f"{ann.email}:{RIGHT}".encode()).decode()
    croft.http.put(f"/teams/admin/{ann.email}").raise_for_status()
    answer = ann.bare("POST", PATH, json={"email": "bob@example.org"}, headers={"Authorization": basic})
    assert answer.status_code == 201
    croft.http.delete(f"/teams/admin/{ann.email}").raise_for_status()
    assert ann.bare("POST", PATH, json={}, headers={"Authorization": basic}).status_code == 403, "at once"


def test_a_token_for_a_password(croft: Croft, ann: Person) -> None:
    login = {"username": ann.email, "password": RIGHT}
    made = ann.bare("POST", "/api/token-auth/", data=login)
    assert made.status_code == 200
    assert ann.bare("GET", "/teams", headers={"Authorization": f"Token {made.json()['token']}"}).status_code == 200
    required = ["This field is required."]
    says(ann.bare("POST", "/api/token-auth/", json={}), 400, {"username": required, "password": required})
    unable = {"non_field_errors": ["Unable to log in with provided credentials."]}
    for wrong in ({"password": "wrong one"}, {"username": "not@there.example"}, {"username": "x"}, {"password": 5}):
        says(ann.bare("POST", "/api/token-auth/", json={**login, **wrong}), 400, unable)
