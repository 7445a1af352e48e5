"""How messaging's refusals are written: the core knows what is wrong, only `refusing` how that looks."""

import json
from typing import Any

import pytest

from undercroft.base.refusals import Refusal
from undercroft.families.messaging.errors import WHOLE, NotAccepted, Wrong, WrongMessage, in_use, missing
from undercroft.families.messaging.refusing import refuse


@pytest.mark.parametrize(
    ("refusal", "status", "answer"),
    [
        (Wrong({"lang": ["is wrong"], WHOLE: ["must be another"]}), 400,
         {"lang": ["is wrong"], "non_field_errors": ["must be another"]}),
        (WrongMessage("says nothing"), 400, ["says nothing"]),
        (NotAccepted("it is completed"), 400, {"accepted": False, "reason": "it is completed"}),
        (missing(), 404, {"detail": "Not found."}),
        (in_use("It is in use."), 409, {"detail": "It is in use."}),
    ],
)  # fmt: skip
def test_each_in_the_contracts_words(refusal: Refusal, status: int, answer: Any) -> None:
    reply = refuse(refusal)
    assert (reply.status, json.loads(reply.body)) == (status, answer)


def test_a_refusal_says_itself_what_is_wrong() -> None:
    wrong = Wrong({"lang": ["This field is required."], WHOLE: ["Remove one first."]})
    assert wrong.message == "lang: This field is required.; Remove one first."
