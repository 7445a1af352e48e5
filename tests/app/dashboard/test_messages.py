"""The page of staged messaging: sends, what failed, the button, and who sees what."""

import json
import re
from pathlib import Path
from typing import Any

from tests.app.dashboard.asking import ADMIN, SAME_ORIGIN, House, in_house, page
from undercroft.database import Transaction

URL = "/dashboard/messages"
HOSTILE = "<script>alert(1)</script>"
JSON = {"content-type": "application/json"}


async def made(house: House, path: str, namespace: str, **fields: object) -> Any:
    reply = await house.ask(f"/api/v1/{path}?namespace={namespace}", body=fields, token=ADMIN, headers=JSON)
    assert reply.status == 201, reply.body
    return json.loads(reply.body)


async def make_failure(house: House, namespace: str = "shop") -> int:
    """One whose message has failed; the id of its delivery."""
    await made(house, "schedule/", namespace, minute="0", hour="8")
    schedules = json.loads((await house.ask(f"/api/v1/schedule/?namespace={namespace}", token=ADMIN)).body)["results"]
    schedule = schedules[-1]["id"]
    its_set = await made(house, "messageset/", namespace, short_name="news", default_schedule=schedule)
    words = {"messageset": its_set["id"], "sequence_number": 1, "lang": "eng", "text_content": "one"}
    await made(house, "message/", namespace, **words)
    subscription = {"identity": "+27820001001", "messageset": its_set["id"], "schedule": schedule, "lang": "eng"}
    id = (await made(house, "subscriptions/", namespace, **subscription))["id"]
    reply = await house.ask(f"/api/v1/schedule/{schedule}/send/?namespace={namespace}", body={}, token=ADMIN)
    assert reply.status == 202
    await house.ask(f"/api/v1/subscriptions/{id}/send?namespace={namespace}", body={}, token=ADMIN)
    return await house.database.write(_fail, f"{id}#1")


def _fail(tx: Transaction, name: str) -> int:
    row = tx.one(
        "UPDATE deliveries SET state = 5, attempts = 8, reason = :reason WHERE name = :name RETURNING id",
        name=name,
        reason=f"answered 500: {HOSTILE}",
    )
    tx.run("UPDATE messaging_subscriptions SET under_way = 0")
    assert row is not None
    return int(row[0])


def test_sends_and_failures_are_shown_and_tried_again(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        cookie = await house.sign_in()
        assert "No schedule has fired yet" in page(await house.ask(URL, cookie=cookie))
        id = await make_failure(house)
        shown = page(await house.ask(URL, cookie=cookie))
        assert "1 send under way" in shown and "1 failed" in shown and "0 8 * * * UTC" in shown
        assert "1 are yet to be looked at" in shown and "8 attempts" in shown
        assert HOSTILE not in shown and "&lt;script&gt;" in shown
        part = page(await house.ask(URL + "?part=live", cookie=cookie))
        assert "1 failed" in part and "<html" not in part
        form = {"id": str(id)}
        assert (await house.ask(URL + "/replay", form=form, cookie=cookie)).status in (401, 403), "another site's form"
        replayed = await house.ask(URL + "/replay", form=form, cookie=cookie, headers=SAME_ORIGIN)
        assert replayed.status == 303
        assert "Nothing failed" in page(await house.ask(URL, cookie=cookie))
        pending = await house.database.read(_names)
        assert [name[-2:] for name in pending] == ["#2"], "its subscription is sent the message anew"
        again = await house.ask(URL + "/replay", form=form, cookie=cookie, headers=SAME_ORIGIN)
        assert again.status == 404
        for wrong in ({}, {"id": "x"}, {"id": "9" * 30}):
            refused = await house.ask(URL + "/replay", form=wrong, cookie=cookie, headers=SAME_ORIGIN)
            assert refused.status in (400, 404)

    in_house(tmp_path, test)


def _names(tx: Transaction) -> list[str]:
    return [name for (name,) in tx.all("SELECT name FROM deliveries WHERE kind = 0 AND state < 5")]


def test_who_may_not_enter_sees_nothing_and_replays_nothing(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        id = await make_failure(house)
        for scopes, sees in ((["messaging"], True), (["messaging:shop"], True), (["messaging:other"], False),
                             (["timers"], False)):  # fmt: skip
            cookie = await house.sign_in(await house.make_token(*scopes))
            shown = page(await house.ask(URL, cookie=cookie))
            assert ("answered 500" in shown) is sees and ("0 8 * * *" in shown) is sees, scopes
            if not sees:
                reply = await house.ask(URL + "/replay", form={"id": str(id)}, cookie=cookie, headers=SAME_ORIGIN)
                assert reply.status == 404
        assert (await house.ask(URL)).status == 401

    in_house(tmp_path, test)


def test_figures_tell_of_messages_rules_and_sends(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        async def figure(name: str) -> float:
            told = (await house.ask("/metrics", token=ADMIN)).body.decode()
            found = re.search(rf"(?m)^{re.escape(name)} ([\d.]+)$", told)
            return float(found[1]) if found else 0.0

        before = await figure('undercroft_messaging_messages_total{outcome="queued"}')
        await make_failure(house)
        look = next(loop for loop in house.parts.loops if loop.name == "message figures")
        await look.step(house.now)
        assert await figure('undercroft_messaging_messages_total{outcome="queued"}') == before + 1
        assert await figure("undercroft_messaging_runs") == 1

    in_house(tmp_path, test)
