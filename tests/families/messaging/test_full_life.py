"""Six hundred subscribers (fewer on PostgreSQL), ten days, two languages, two sets, a change of clocks; the webhook
receiver fails a tenth of its calls, and what follows comes as real mail."""

import asyncio
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime

import pytest

from tests.families.messaging.house import House, opened
from tests.services.mailserver import MailServer
from tests.services.receiver import Answer, Call, Receiver
from undercroft.app.notation import SmtpUrl
from undercroft.base.clock import HOUR

pytestmark = pytest.mark.anyio
# More than two steps of a run take at once. PostgreSQL takes several times as long for as many, and what it does
# differently it does with a few.
PEOPLE = {"sqlite": 600, "postgres": 150}
DAYS = 10
LANGUAGES = ("eng", "fra")
# Clocks in Berlin skip the hour after two in the night to the 29th, and the schedule fires at half past two.
BEGIN = round(datetime(2026, 3, 24, 12, tzinfo=UTC).timestamp() * 1_000)


class Moody(Receiver):
    """Refuses every tenth call; `taken` is what it accepted, by address in the order of arrival."""

    def __init__(self) -> None:
        self.taken: defaultdict[str, list[str]] = defaultdict(list)
        self.ids: list[str] = []
        self.refused = 0
        super().__init__()

    def record(self, call: Call) -> Answer:
        super().record(call)
        with self._changed:
            if sum(self._counts.values()) % 10 == 0:
                self.refused += 1
                return Answer(503)
            body = json.loads(call.body)
            self.taken[body["to_addr"]].append(body["content"])
            self.ids.append(call.headers["webhook-id"])
            return Answer(200)


@pytest.fixture
def moody() -> Moody:
    with Moody() as receiver:
        yield receiver  # type: ignore[misc]


async def test_everybody_gets_every_message_of_their_path_once_and_in_order(database_url: str, moody: Moody) -> None:
    people = PEOPLE[database_url.partition(":")[0].replace("postgresql", "postgres")]
    with MailServer() as relay:
        async with opened(
            database_url, now=BEGIN, really=True, smtp_url=SmtpUrl(relay.url), mail_from="news@house.example"
        ) as house:
            await make_everything(house, moody, people)
            for hour in range(DAYS * 24):
                await house.at(BEGIN + hour * HOUR)
            states = await all_subscriptions(house)
        mails = defaultdict(list)
        for one in relay.arrived():
            mails[one.recipient].append(one.message.get_content().strip())

    assert moody.refused > people * 5 // 12
    assert len(moody.ids) == len(set(moody.ids)) == people * 5
    for n in range(people):
        lang = LANGUAGES[n % 2]
        assert moody.taken[phone(n)] == [f"welcome {number} {lang}" for number in range(1, 6)]
        assert mails[f"p{n}@example.org"] == [f"onward {number} {lang}" for number in range(1, 4)]
    first = {"active": False, "completed": True, "process_status": 2, "next_sequence_number": 5, "messageset": 2}
    second = {**first, "next_sequence_number": 3, "messageset": 1}
    assert Counter(states) == {tuple(sorted(end.items())): people for end in (first, second)}


def phone(n: int) -> str:
    return f"+49151{n:07d}"


async def make_everything(house: House, moody: Moody, people: int) -> None:
    await house.made("routes/", name="hook", url=moody.url("/outbound/"))
    await house.made("schedule/", minute="30", hour="2", timezone="Europe/Berlin")
    await house.made("messageset/", short_name="onward", label="What follows", default_schedule=1, channel="mail")
    await house.made("messageset/", short_name="welcome", default_schedule=1, channel="webhook:hook", next_set=1)
    for messageset, name, count in ((2, "welcome", 5), (1, "onward", 3)):
        for lang in LANGUAGES:
            for number in range(1, count + 1):
                words = {"sequence_number": number, "lang": lang, "text_content": f"{name} {number} {lang}"}
                await house.made("message/", messageset=messageset, **words)
    await asyncio.gather(*(join(house, n) for n in range(people)))


async def join(house: House, n: int) -> None:
    await house.made("identities/", id=f"person {n}", addresses=[phone(n), f"p{n}@example.org"])
    data = {"identity": f"person {n}", "messageset": 2, "schedule": 1, "lang": LANGUAGES[n % 2]}
    assert await house.made("subscriptions/request", data={**data, "next_sequence_number": 1}) == {"accepted": True}


async def all_subscriptions(house: House) -> list[tuple[tuple[str, object], ...]]:
    names = ("active", "completed", "process_status", "next_sequence_number", "messageset")
    found, url = [], "subscriptions/"
    while url:
        page = await house.get(url.removeprefix("http://house.example:3862"))
        found += [tuple(sorted((name, one[name]) for name in names)) for one in page["results"]]
        url = page["next"]
    return found
