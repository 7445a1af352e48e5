"""Resets: a token that is mailed, good once, for a day, for one user; and everybody else is signed out."""

import pytest

from tests.machinery.deliveries.making import NOW
from tests.machinery.identity.people import ANN, BOB, EVE, Meeting, People
from undercroft.base.clock import DAY, HOUR, SECOND
from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Transaction
from undercroft.machinery.identity import resets, users
from undercroft.machinery.identity.limits import Limit, Try, take_tries
from undercroft.machinery.identity.memberships import lock_user
from undercroft.machinery.identity.model import ADMIN_EMAIL
from undercroft.machinery.identity.resets import NewPassword

pytestmark = pytest.mark.anyio


class Post:
    """What was put into the queue: (to, subject, text)."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str, str]] = []

    def __call__(self, _tx: Transaction, to: str, subject: str, text: str) -> None:
        self.mails.append((to, subject, text))

    def token(self, to: str) -> str:
        """In the last mail to this address, on a line of its own."""
        text = next(text for address, _, text in reversed(self.mails) if address == to)
        return next(line.strip() for line in text.splitlines() if line.startswith("    "))


@pytest.fixture
def post() -> Post:
    return Post()


async def begin(people: People, post: Post, email: str = ANN, address: str = "192.0.2.1", now: int = NOW) -> int:
    return (await people.database.write(resets.begin_reset, email, address, now, post)).wait


async def test_the_mailed_token_sets_a_password_once(people: People, post: Post) -> None:
    await people.make(ANN, BOB, password="old")
    await people.signed_in(ANN)
    await people.signed_in(BOB)
    assert await begin(people, post) == 0
    token = post.token(ANN)

    await people.database.read(resets.check_reset, ANN, token, NOW)
    await people.database.write(resets.finish_reset, ANN, token, NewPassword("new"), NOW, post)

    assert await people.database.read(users.stored_password, ANN, NOW + DAY) == users.Stored("new")
    assert [email for (email,) in await people.rows("SELECT email FROM tokens WHERE kind = 'made'")] == [BOB]
    assert [subject for _, subject, _ in post.mails] == ["A new password", "Your password was changed"]
    again = await people.refusal(resets.finish_reset, ANN, token, NewPassword("third"), NOW, post)
    assert (again.kind, again.message) == (Kind.INVALID, "Invalid token")


async def test_nothing_is_mailed_to_the_servers_own_admin(people: People, post: Post) -> None:
    refusal = await people.refusal(resets.begin_reset, ADMIN_EMAIL, "192.0.2.1", NOW, post)

    assert (refusal.kind, refusal.code) == (Kind.INVALID, "no_mailbox")
    assert post.mails == []


async def test_a_password_that_is_mailed_is_good_for_an_hour(people: People, post: Post) -> None:
    await people.make(ANN)
    await begin(people, post)

    new = NewPassword("hash", mailed="letters")
    await people.database.write(resets.finish_reset, ANN, post.token(ANN), new, NOW, post)

    assert post.token(ANN) == "letters"
    assert await people.database.read(users.stored_password, ANN, NOW + HOUR - 1) == users.Stored("hash")
    assert await people.database.read(users.stored_password, ANN, NOW + HOUR) == users.Stored(None)


async def test_of_a_token_only_its_digest_is_kept(people: People, post: Post) -> None:
    await people.make(ANN)
    await begin(people, post)

    assert post.token(ANN) not in repr(await people.everything())
    assert len(post.token(ANN)) >= 26


async def test_a_token_is_good_for_a_day_and_for_its_user(people: People, post: Post) -> None:
    await people.make(ANN, BOB)
    await begin(people, post)
    token = post.token(ANN)

    for email, given, now in ((ANN, token, NOW + DAY), (BOB, token, NOW), (ANN, token + "x", NOW), (ANN, "", NOW)):
        for action, *more in ((resets.check_reset, now), (resets.finish_reset, NewPassword("new"), now, post)):
            refusal = await people.refusal(action, email, given, *more)
            assert (refusal.kind, refusal.message) == (Kind.INVALID, "Invalid token")
    await people.database.write(resets.finish_reset, ANN, token, NewPassword("new"), NOW + DAY - 1, post)


async def test_nobody_gets_a_mail_who_is_nobody(people: People, post: Post) -> None:
    assert await people.database.write(resets.begin_reset, EVE, None, NOW, post) == resets.Asked(0, False)
    assert (await people.refusal(resets.check_reset, EVE, "x", NOW)).message == "User not found"
    assert post.mails == []


async def test_a_new_password_ends_every_mailed_token(people: People, post: Post) -> None:
    await people.make(ANN, password="old")
    await begin(people, post)
    first = post.token(ANN)
    await begin(people, post)

    await people.database.write(resets.finish_reset, ANN, post.token(ANN), NewPassword("new"), NOW, post)
    assert (await people.refusal(resets.check_reset, ANN, first, NOW)).message == "Invalid token"
    await begin(people, post)
    await people.database.write(users.change_password, ANN, "new", "newer", "", NOW)
    assert (await people.refusal(resets.check_reset, ANN, post.token(ANN), NOW)).message == "Invalid token"


async def test_no_mailbox_is_filled(people: People, post: Post) -> None:
    await people.make(ANN, BOB)

    waits = [await begin(people, post, address=f"192.0.2.{number}") for number in range(5)]

    assert [bool(wait) for wait in waits] == [False, False, False, True, True]
    assert len(post.mails) == 3
    assert await begin(people, post, BOB) == 0, "another's is another"
    assert await begin(people, post, now=NOW + waits[-1]) == 0


async def test_no_place_asks_for_all(people: People, post: Post) -> None:
    crew = [f"u{number}@shop.example" for number in range(resets.PER_PLACE.burst + 1)]
    await people.make(*crew)

    waits = [await begin(people, post, email) for email in crew]

    assert [bool(wait) for wait in waits] == [False] * resets.PER_PLACE.burst + [True]


async def test_who_is_a_user_is_not_asked_without_end(people: People, post: Post) -> None:
    waits = [await begin(people, post, f"nobody{number}@shop.example") for number in range(resets.PER_PLACE.burst + 1)]

    assert [bool(wait) for wait in waits] == [False] * resets.PER_PLACE.burst + [True]
    assert await people.rows("SELECT * FROM resets") == []


async def test_a_user_who_goes_while_a_token_is_used_is_gone(crowd: People, post: Post) -> None:
    await crowd.make(ANN)
    await begin(crowd, post)
    token, runs = post.token(ANN), []

    def remove(tx: Transaction) -> None:
        runs.append("remove")
        users.remove_user(tx, ANN, NOW, ANN)

    def finish(tx: Transaction) -> None:
        runs.append("finish")
        resets.finish_reset(tx, ANN, token, NewPassword("new"), NOW, post)

    both = await Meeting(crowd.database).both(lambda tx: lock_user(tx, ANN), finish, then=remove)

    assert both[0] is None
    assert isinstance(both[1], Refusal) and both[1].message == "User not found"
    assert runs == ["finish", "remove"], "neither stood in the other's way and had to begin anew"


async def test_a_new_password_lets_a_guessed_at_user_in_again(people: People, post: Post) -> None:
    await people.make(ANN)
    bucket = [Try(f"account {ANN}", Limit(1, DAY))]
    await people.database.write(take_tries, bucket, NOW)
    assert (await people.database.write(take_tries, bucket, NOW)).wait
    await begin(people, post)

    await people.database.write(resets.finish_reset, ANN, post.token(ANN), NewPassword("new"), NOW, post)

    assert not (await people.database.write(take_tries, bucket, NOW)).wait


async def test_a_token_that_two_use_at_once_is_used_once(crowd: People, post: Post) -> None:
    await crowd.make(ANN)
    await begin(crowd, post)
    token = post.token(ANN)

    both = await Meeting(crowd.database).both(
        lambda tx: resets.finish_reset(tx, ANN, token, NewPassword("one"), NOW, post),
        lambda tx: resets.finish_reset(tx, ANN, token, NewPassword("other"), NOW, post),
    )

    assert both[0] is None
    assert isinstance(both[1], Refusal) and both[1].message == "Invalid token"
    assert await crowd.database.read(users.stored_password, ANN, NOW) == users.Stored("one")


async def test_old_ones_are_forgotten(people: People, post: Post) -> None:
    await people.make(ANN)
    await begin(people, post)
    await begin(people, post, now=NOW + SECOND)

    assert await people.database.write(resets.forget_old_resets, NOW + DAY, 10) == 1
    assert len(await people.rows("SELECT * FROM resets")) == 1
