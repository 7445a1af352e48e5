"""SSH keys: what is one, and that it is one user's only."""

import base64
import struct

import pytest

from tests.machinery.deliveries.making import NOW
from tests.machinery.identity.people import ANN, BOB, Meeting, People
from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery.identity import keys, users
from undercroft.machinery.identity.keys import Key, read_key

pytestmark = pytest.mark.anyio


def blob(kind: str, rest: bytes) -> str:
    return base64.b64encode(struct.pack(">I", len(kind)) + kind.encode() + rest).decode()


ED25519 = "ssh-ed25519 " + blob("ssh-ed25519", struct.pack(">I", 32) + b"k" * 32)
RSA = "ssh-rsa " + blob("ssh-rsa", b"\0\0\0\3\1\0\1" + struct.pack(">I", 257) + b"\0" + b"m" * 256)


# As ssh-keygen made them, with the fingerprints that it shows.
REAL = [
    (
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAIGAzGFKCQoOJSauea5uBP2dP5BwFp98PgEik9D/teZVI"
        " ann@laptop",
        "SHA256:J8PNuxZahDl4dc2AZHolSNbFODDHNJfNI6lnmHlVyTs",
    ),
    (
        "ecdsa-sha2-nistp256 "
        "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBKvawSK9aR1WlItroHpAY3S1tgm6bUjCiFLloY53sikkD6yr"
        "pHIJr2xBvAkKRrPsAB7u8eKubPdg3N/pQY+4XB8="
        " ann@laptop",
        "SHA256:U2rn0IPNDXvfX9PKDFuFQstWkDpNHVhrM1BSR13zWpU",
    ),
    (
        "ecdsa-sha2-nistp384 "
        "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBKiGbyNFVu6C0DxaDl6g+Zs2+Z2u/m5Z0vWDy4sFnjILqYSU"
        "TWmdDYvNd2eaEGSnNDD6Zdqo2vQWLl1H69m2fiYqh/cv6RbMGjQaLSw8PPHB/G5C5TOf05KNJ2VnTZikhA=="
        " ann@laptop",
        "SHA256:1Xzg4YQrRhsnvCBXkeYIBmZGvMu0YpOZF0Y5Dob90zw",
    ),
    (
        "ecdsa-sha2-nistp521 "
        "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBACzW+feHC1Is2IU0uUJxD1qwFm9HQLRw/g6VtaBj2QZTAJW"
        "5pvBQ64J+0Trn1C3O81tsYRyM7nJm+o9VVZd29iSJgHm2KIFFkHgJ3UKQmp3f457u4G0VFlBs/ktRnO+N0svc9h7GYDKoEcKTUX/"
        "1JhjMDTd/k5Q3wfBe6GbNk9C/EhWMA=="
        " ann@laptop",
        "SHA256:QbsniqJlZFY1+DgcZeNyQ0GYQ1YrxLh2MNnR2VRNtjM",
    ),
    (
        "ssh-rsa "
        "AAAAB3NzaC1yc2EAAAADAQABAAABAQC2r7zTtiUdJYycCrs2oWWEv5cULn8A0ZsLmN9QBktR7OX8fS3oHIk/RqX1DJuKTVmrfTzY"
        "oAjYKA4i9YF0GWuhHjB2d+QwrkIAz213PWldq2DK0Nanw7uiH5gM3EiHRfIcQQg0f+47GyIr7AkRabc9jKaDAKX35Ybf2NS3Vtvt"
        "yZ7wNk5mINanPAg99qp/Ykkq1iqHAi8koORqYOlJ6A6M29uWHG6UQKUHSE11HUyiNKj1sVIRtgVATJiKA1xDNJ8heplohKuW6/XD"
        "O1zREANRNXOlloCUEA7J2XhQ0oTYoCPT/RcYTPLnpKnQyQqh5eSVwF1JV44KAilTq9c7i4sj"
        " ann@laptop",
        "SHA256:SuQILVzDwSMKbexmE7XuiYsFLyvdyf81D1NtQALQ2GE",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("line", "fingerprint"), REAL)
def test_keys_as_openssh_makes_them(line: str, fingerprint: str) -> None:
    assert read_key(line + "\n", ANN) == Key(line, fingerprint)


@pytest.mark.parametrize("key", [ED25519, ED25519 + " ann@laptop", f"\n{RSA} a comment of words \r\n", "my-key"])
def test_keys_that_are_taken(key: str) -> None:
    assert read_key(key, ANN).content == key.strip()


def test_a_comment_makes_no_other_key() -> None:
    assert read_key(ED25519, ANN).fingerprint == read_key(ED25519 + " home", BOB).fingerprint
    assert read_key("my-key", ANN).fingerprint != read_key("my-key", BOB).fingerprint


@pytest.mark.parametrize(
    "key",
    [
        "", " ", "ssh-ed25519", "ssh-rsa", "-key", "key\x00", "my\nkey", "a/b", "x" * 65,
        ED25519.split()[1], ED25519[:-8], ED25519[:-1] + "!", "ssh-ed25519 my-key",
        "ssh-ed25519  " + ED25519.split()[1],
        "ssh-rsa " + ED25519.split()[1], ED25519.replace("ssh-ed25519", "ssh-dss"), "command=\"sh\" " + ED25519,
        "ssh-rsa " + blob("ssh-rsa", b"\0\0\0\3\1\0\1" + struct.pack(">I", 129) + b"\0" + b"m" * 128),
        "ssh-ed25519 " + blob("ssh-ed25519", struct.pack(">I", 32) + b"k" * 40),
        ED25519 + "\n" + RSA, ED25519 + " \x1b[31m", ED25519 + " " + "x" * 20_000,
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "ssh-ed25519 \ud800", "ssh-ed25519 äöü",
    ],
)  # fmt: skip
def test_keys_that_are_not(key: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_key(key, ANN)
    assert (refused.value.kind, refused.value.code) == (Kind.INVALID, "key")


async def test_a_key_is_added_and_removed_once(people: People) -> None:
    await people.make(ANN, BOB)
    key = read_key(ED25519 + " ann@laptop", ANN)

    await people.database.write(keys.add_key, ANN, key, NOW)
    again = await people.refusal(keys.add_key, ANN, read_key(ED25519 + " other words", ANN), NOW)
    others = await people.refusal(keys.add_key, BOB, key, NOW)
    not_his = await people.refusal(keys.remove_key, BOB, key, NOW)

    assert (again.kind, again.message) == (Kind.CONFLICT, "User already has this key")
    assert (others.kind, others.message) == (Kind.CONFLICT, "Another user has this key")
    assert (not_his.kind, not_his.message) == (Kind.NOT_FOUND, "User does not have this key")
    assert [kept.content for kept in await people.database.read(keys.keys_of, ANN)] == [ED25519 + " ann@laptop"]
    await people.database.write(keys.remove_key, ANN, read_key(ED25519, ANN), NOW)
    assert await people.database.read(keys.keys_of, ANN) == []
    assert [event[1] for event in await people.events()][-2:] == ["add key", "remove key"]


async def test_names_of_keys_are_never_given_twice_at_a_time(people: People) -> None:
    await people.make(ANN)
    for word in ("one", "two", "three"):
        await people.database.write(keys.add_key, ANN, read_key(word, ANN), NOW)
    await people.database.write(keys.remove_key, ANN, read_key("one", ANN), NOW)
    await people.database.write(keys.add_key, ANN, read_key("four", ANN), NOW)

    names = [kept.name for kept in await people.database.read(keys.keys_of, ANN)]
    assert names == [f"{ANN}-2", f"{ANN}-3", f"{ANN}-4"]


async def test_a_user_has_so_many_keys(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST_PER_USER", 2)
    await people.make(ANN)
    for word in ("one", "two"):
        await people.database.write(keys.add_key, ANN, read_key(word, ANN), NOW)

    assert (await people.refusal(keys.add_key, ANN, read_key("three", ANN), NOW)).code == "key"


async def test_a_key_that_two_add_at_once_is_ones(crowd: People) -> None:
    await crowd.make(ANN, BOB)
    key = read_key(ED25519, ANN)

    both = await Meeting(crowd.database).both(
        lambda tx: keys.add_key(tx, ANN, key, NOW), lambda tx: keys.add_key(tx, BOB, key, NOW)
    )

    assert both[0] is None
    assert isinstance(both[1], Refusal) and both[1].kind is Kind.CONFLICT


async def test_who_was_removed_adds_none(people: People) -> None:
    await people.make(ANN)
    await people.database.write(users.remove_user, ANN, NOW, ANN)

    assert (await people.refusal(keys.add_key, ANN, read_key("my-key", ANN), NOW)).kind is Kind.UNAUTHORIZED
