"""Paths, queries and headers that want to be something else."""

import pytest

from tests.hostile.target import PATH, Target

NAMES = {
    "NUL": "a%00b",
    "bytes that are no UTF-8": "%ff%fe",
    "a surrogate": "%ED%A0%80",
    "an overlong slash": "%C0%AF",
    "10,000 bytes": "x" * 10_000,
    "half an escape": "%",
    "an escape that is none": "%zz",
    "the folder above": "..%2f..%2fetc%2fpasswd",
    "the folder above, once more escaped": "%252e%252e%252f",
    "a line": "a%0d%0aX-Injected: b",
    "quotes": "'%22;DROP%20TABLE%20deliveries;--",
    "braces": "{rows}",
    "colons": ":id%20%25(id)s",
    "right to left": "%E2%80%AE",
}
QUERIES = {
    "NUL": "cursor=%00",
    "bytes that are no UTF-8": "cursor=%ff",
    "no ASCII": "cursor=\u00e4",
    "unknown": "nothing=1",
    "thousands": "&".join(f"a{number}=1" for number in range(5_000)),
    "the same, thousands of times": "&".join(["limit=1"] * 5_000),
    "no number": "limit=many",
    "nothing": "limit=",
    "zero": "limit=0",
    "below zero": "limit=-1",
    "beyond 64 bits": "limit=99999999999999999999999999",
    "5,000 digits": f"limit={'9' * 5_000}",
    "a cursor of others": "cursor=1.2.3.4.5.6",
    "a cursor of SQL": "cursor=1;--",
}
WITH_NAME = [
    ("GET", PATH + "/{}"), ("PUT", PATH + "/{}"), ("DELETE", PATH + "/{}"), ("GET", PATH + "/{}/attempts"),
    ("GET", "/route/shop/{}"), ("PUT", "/route/shop/{}"), ("DELETE", "/route/shop/{}"),
    ("POST", "/route/shop/{}/pause"), ("POST", "/route/shop/{}/resume"), ("DELETE", "/undercroft/tokens/{}"),
]  # fmt: skip
WITH_QUERY = [f"{PATH}?", f"{PATH}/kept/attempts?", "/route/shop?", "/dead/shop?"]


@pytest.mark.parametrize("case", NAMES)
def test_a_strange_name_names_nothing(both: Target, case: str) -> None:
    for method, path in WITH_NAME:
        line = f"{method} {path.format(NAMES[case])}"
        body = b"{}" if method == "PUT" else b""

        [reply] = both.say(both.request(line, "Connection: close", f"Content-Length: {len(body)}", body=body))

        assert reply.status in (400, 404), line[:100]
        assert reply.problem["code"] != "E099"
        assert "x-injected" not in reply.headers


@pytest.mark.parametrize("case", ["NUL", "bytes that are no UTF-8", "10,000 bytes"])
def test_a_strange_db_or_collection_is_none(both: Target, case: str) -> None:
    for path in (f"/job/{NAMES[case]}/carts", f"/job/shop/{NAMES[case]}", f"/collection/shop/{NAMES[case]}/pause"):
        method = "POST" if path.startswith("/collection") else "GET"

        [reply] = both.say(both.request(f"{method} {path}", "Connection: close"))

        assert reply.status == 400
        assert reply.problem["code"] in ("E020", "E035")


@pytest.mark.parametrize("case", QUERIES)
def test_a_strange_query_is_refused(both: Target, case: str) -> None:
    for path in WITH_QUERY:
        if case.startswith("a cursor") and path == "/route/shop?":
            continue  # any text is a place in the list of routes
        [reply] = both.say(both.request("GET " + path + QUERIES[case].encode().decode("latin-1"), "Connection: close"))

        assert reply.status == 400, path
        assert reply.problem["code"] in ("E023", "request")


@pytest.mark.parametrize("filter", ["after", "before"])
def test_moments_that_there_are_not_select_nothing(both: Target, filter: str) -> None:
    for moment in ("-1", "99999999999999999999999999", "now", "NaN", "null", "1&{filter}=2", ""):
        for method in ("GET", "DELETE", "PATCH"):
            query = f"state=pending&{filter}={moment.format(filter=filter)}"
            answer = both.http.request(method, f"{PATH}?{query}", content=b'{"shift_ms": 1}')
            assert (answer.status_code, answer.json()["code"]) == (400, "E023")


def test_a_filter_with_a_typing_error_does_not_select_everything(both: Target) -> None:
    for query in ("state=pending&befor=1", "all=1&State=dead"):
        answer = both.http.request("DELETE", f"{PATH}?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "E023"), query


@pytest.mark.parametrize("given", ["a b", "a%0d%0aX: y", "\u00e4", "x" * 129, "<script>", "", "'; --"])
def test_only_harmless_request_ids_are_repeated(target: Target, given: str) -> None:
    [reply] = target.say(target.request("GET /health", f"X-Request-Id: {given}", "Connection: close"))

    assert reply.status == 200
    assert reply.headers["x-request-id"] != given
    assert reply.headers["x-request-id"].replace("-", "").isalnum()


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Basic YTpi",
        "\u00e4" * 100,
        "Bearer " + "x" * 50_000,
        "null",
        "Bearer %00",
    ],
)
def test_what_is_no_token_opens_nothing(both: Target, given: str) -> None:
    request = f"GET {PATH}/kept HTTP/1.1\r\nAuthorization: {given}\r\nConnection: close\r\n\r\n"

    [reply] = both.say(request.encode("latin-1"))

    assert reply.status == 401
    assert reply.problem["code"] == "E030"
    assert reply.headers["www-authenticate"] == "Bearer"
