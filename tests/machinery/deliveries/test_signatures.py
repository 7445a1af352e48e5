"""Signatures, checked by the library that receivers use."""

import base64
import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from undercroft.base.refusals import Refusal
from undercroft.machinery.deliveries.signatures import new_signing_secret, sign, signing_key

SECRET = new_signing_secret()


def headers(secrets: list[str], body: bytes, id: str = "msg_a_1_1", timestamp: int | None = None) -> dict[str, str]:
    seconds = timestamp or int(datetime.datetime.now(datetime.UTC).timestamp())
    keys = [signing_key(secret) for secret in secrets]
    return {
        "webhook-id": id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": sign(keys, id, seconds, body),
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_values, st.binary(min_size=24, max_size=64), st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1))
def test_receivers_can_verify_any_body(value: object, key: bytes, id: str) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    body = json.dumps(value, ensure_ascii=False).encode()

    assert Webhook(secret).verify(body, headers([secret], body, id)) == value


def test_while_a_secret_is_changed_both_verify() -> None:
    new = new_signing_secret()
    given = headers([new, SECRET], b"{}")

    assert len(given["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, new):
        assert Webhook(secret).verify(b"{}", given) == {}


@pytest.mark.parametrize("changed", ["body", "id", "timestamp", "secret"])
def test_what_was_tampered_with_does_not_verify(changed: str) -> None:
    given = headers([SECRET], b"[1]")
    if changed == "id":
        given["webhook-id"] += "x"
    if changed == "timestamp":
        given["webhook-timestamp"] = str(int(given["webhook-timestamp"]) + 1)
    verifier = Webhook(new_signing_secret() if changed == "secret" else SECRET)

    with pytest.raises(WebhookVerificationError):
        verifier.verify(b"[2]" if changed == "body" else b"[1]", given)


def test_secrets_that_are_made_are_new_and_long() -> None:
    made = {new_signing_secret() for _ in range(100)}

    assert len(made) == 100
    assert all(len(signing_key(secret)) == 32 and secret.startswith("whsec_") for secret in made)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_short",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_" + base64.b64encode(b"x" * 32).decode() + "\n",
        "whsec_" + "ä" * 40,
        "whsec_" + "-_" * 20,
        "not base 64 but long enough to be a key!",
    ],
)
def test_what_is_no_key_is_refused(secret: str) -> None:
    with pytest.raises(Refusal, match="base 64") as refused:
        signing_key(secret)
    assert len(secret) < 8 or secret not in refused.value.message


def test_a_key_is_taken_with_and_without_its_prefix() -> None:
    assert signing_key(SECRET) == signing_key(SECRET.removeprefix("whsec_"))
