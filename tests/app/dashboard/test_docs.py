"""The docs page: all that there is, from the OpenAPI document, with examples that run. And the assets of pages."""

import html
import json
import re
import shlex
from pathlib import Path

import pytest

from tests.app.dashboard.asking import ADMIN, House, header, in_house, page
from undercroft.app.dashboard.documents import Piece, curl, type_words
from undercroft.families.timers import guide
from undercroft.families.timers.refusing import CODES
from undercroft.machinery.guide import Example

# Each example needs what the one before it made.
ORDER = list(guide.examples(0))


def test_every_operation_is_there_once(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        document = json.loads((await house.ask("/openapi.json", token=ADMIN)).body)
        text = page(await house.ask("/docs", token=ADMIN))
        for path, methods in document["paths"].items():
            for described in methods.values():
                assert text.count(f'<article id="{described["operationId"]}">') == 1
            assert f"<code>{path}</code>" in text
        assert "/dashboard" not in "".join(document["paths"]), "pages are no API"

    in_house(tmp_path, test)


def test_no_link_leads_nowhere(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        text = page(await house.ask("/docs", token=ADMIN))
        anchors = re.findall(r' id="([^"]+)"', text)
        assert len(anchors) == len(set(anchors))
        assert set(re.findall(r'href="#([^"]+)"', text)) <= set(anchors)
        assert "#JobIn" in text

    in_house(tmp_path, test)


def test_the_error_codes_of_timers_are_listed(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        text = html.unescape(page(await house.ask("/docs", token=ADMIN)))
        for code, meaning in CODES.values():
            assert f"<code>{code}</code></th><td>{meaning}</td>" in text

    in_house(tmp_path, test)


def test_every_example_runs(tmp_path: Path) -> None:
    """Read from the page itself, as a shell would read them."""

    async def test(house: House) -> None:
        text = page(await house.ask("/docs", token=ADMIN))
        commands = [html.unescape(found) for found in re.findall(r"<pre[^>]*>(curl .*?)</pre>", text, re.DOTALL)]
        by_operation = {}
        for found in re.finditer(r'<article id="([^"]+)">.*?<pre[^>]*>(curl .*?)</pre>', text, re.DOTALL):
            by_operation[found[1]] = html.unescape(found[2])
        document = json.loads((await house.ask("/openapi.json", token=ADMIN)).body)
        names = {
            f"{method.upper()} {path}": described["operationId"]
            for path, methods in document["paths"].items()
            for method, described in methods.items()
            if described["tags"] == ["timers"]
        }
        assert set(names) == set(ORDER), "each operation of timers has an example"
        assert len(commands) == len(by_operation)
        for operation in ORDER:
            method, url, headers, body = read_command(by_operation[names[operation]])
            assert headers["Authorization"] == "Bearer $TOKEN"
            assert url.startswith("http://croft.test:3862/")
            url = url.removeprefix("http://croft.test:3862")
            reply = await house.ask(url, method=method, body=body, token=ADMIN)
            assert reply.status == 200, (operation, reply.body)

    in_house(tmp_path, test)


def read_command(command: str) -> tuple[str, str, dict[str, str], object]:
    """(method, url, headers, body) of a curl command."""
    words = shlex.split(command.replace("\\\n", " "))
    assert words.pop(0) == "curl"
    method, url, headers, body = "GET", "", {}, None
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = json.loads(words.pop(0))
        else:
            url = word
    return method, url, headers, body


def test_a_command_is_safe_to_paste() -> None:
    command = curl("http://h", "POST", Example("/a'b;rm -rf", {"it's": "$HOME `id`"}), with_token=True)
    assert read_command(command) == (
        "POST",
        "http://h/a'b;rm -rf",
        {"Authorization": "Bearer $TOKEN", "Content-Type": "application/json"},
        {"it's": "$HOME `id`"},
    )


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("croft.example:8443", "http://croft.example:8443"),
        ("[::1]:3862", "http://[::1]:3862"),
        ('"><script>', "http://127.0.0.1:3862"),
        ("a b", "http://127.0.0.1:3862"),
        ("$(id)", "http://127.0.0.1:3862"),
    ],
)
def test_examples_name_the_host_that_was_asked_for(tmp_path: Path, host: str, shown: str) -> None:
    async def test(house: House) -> None:
        text = html.unescape(page(await house.ask("/docs", token=ADMIN, headers={"host": host})))
        assert f"curl {shlex.quote(shown + '/health')}" in text

    in_house(tmp_path, test)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "text"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text or null"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/x.y.JobIn"}}, "list of JobIn"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "names to text"),
        ({"type": "object"}, "object"),
        ({"enum": ["a", 1, None]}, '"a" or 1 or null'),
        ({"const": "ok"}, '"ok"'),
        ({}, "any JSON"),
        ({"type": "boolean"}, "true or false"),
    ],
)
def test_types_in_words(schema: dict[str, object], words: str) -> None:
    assert "".join(piece.text for piece in type_words(schema)) == words


def test_a_shape_is_linked_by_its_whole_name() -> None:
    assert type_words({"$ref": "#/components/schemas/x.y.JobIn"}) == [Piece("JobIn", "x.y.JobIn")]


def test_assets_are_kept_under_the_name_of_their_content(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        cookie = await house.sign_in()
        text = page(await house.ask("/", cookie=cookie)) + page(await house.ask("/docs", cookie=cookie))
        urls = set(re.findall(r'"(/assets/[^"]+)"', text))
        assert len(urls) == 4
        for url in urls:
            reply = await house.ask(url, cookie=cookie)
            assert reply.status == 200
            assert header(reply, "cache-control") == "private, max-age=31536000, immutable"
            assert b"http:" not in reply.body.replace(b"http://www.w3.org/2000/svg", b"")
            assert b"https:" not in reply.body
            assert (await house.ask(url.replace(".", ".0", 1), cookie=cookie)).status == 404
        for url in ("/assets/live.js", "/assets/..%2fpages.py", "/assets/x"):
            assert (await house.ask(url, cookie=cookie)).status == 404

    in_house(tmp_path, test)
