"""Message sets as files: what they may hold, and how much."""

from typing import Any

import pytest

from tests.families.messaging.house import House
from undercroft.families.messaging import setfiles
from undercroft.families.messaging.errors import Wrong
from undercroft.families.messaging.http import fields

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 40_000, "nested deeper than 30"),
        (b"[" + b"1," * 600_000 + b"1]", "more than 10000 messages can"),
        (b"a: &a [1, 2]\nb: *a\n", "aliases are not taken"),
        (b"messages: 5", "it must have messages"),
    ],
)
def test_a_file_that_would_cost_too_much_is_refused_before_it_is_read(content: bytes, words: str) -> None:
    with pytest.raises(Wrong) as wrong:
        setfiles.read_file(content, "yaml")
    assert words in wrong.value.message


def test_ampersands_and_asterisks_are_no_aliases() -> None:
    content = b"messages:\n- {sequence_number: 1, lang: eng, text_content: tips & tricks *3*}\n"
    assert setfiles.read_file(content, "yaml")[0]["text_content"] == "tips & tricks *3*"


def test_rows_beyond_the_limit_are_not_read() -> None:
    content = b"sequence_number,lang,text_content\n" + b"1,eng,a\n" * (setfiles.MOST_MESSAGES + 1)
    with pytest.raises(Wrong, match="more than 10000"):
        setfiles.read_file(content + b'"never closed', "csv")


async def test_what_json_can_not_have_is_refused(house: House) -> None:
    content = b"messages:\n- sequence_number: 9\n  lang: eng\n  text_content: a\n  metadata: {null: 1}\n"
    answer = await house.call("POST", "messageset/1/import", content, content_type="application/yaml")
    assert tuple(answer) == (400, {"message 1": ["metadata: Value must be valid JSON."]})


@pytest.mark.parametrize(
    ("field", "value", "most"),
    [("text_content", "a" * 65_537, fields.LONGEST_TEXT), ("metadata", {"a": "b" * 20_000}, fields.LONGEST_JSON)],
)
async def test_texts_and_metadata_have_an_end(house: House, field: str, value: Any, most: int) -> None:
    given = {"messageset": 1, "sequence_number": 3, "lang": "eng", "text_content": "a", field: value}
    answer = await house.call("POST", "message/", given)
    assert tuple(answer) == (400, {field: [f"Ensure this field has no more than {most} characters."]})
