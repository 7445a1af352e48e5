"""Who stands in line and is no longer welcome gets nothing; a key is its user's."""

import asyncio
import json
from pathlib import Path

from tests.app.dashboard.asking import ADMIN, House, in_house
from tests.app.test_sharing import join
from undercroft.machinery.operations import Reply

SHARED = {"name": "nightly", "ttl": 60, "namespace": "@web"}


async def obtain(house: House, token: str, **more: object) -> Reply:
    headers = {"idempotency-key": str(more.pop("key"))} if "key" in more else {}
    return await house.ask("/systems/locks", body={**SHARED, **more}, token=token, headers=headers)


async def in_line(house: House) -> int:
    reply = await house.ask("/systems/locks/nightly?namespace=@web", token=ADMIN)
    waiters: int = json.loads(reply.body)["waiters"]
    return waiters


def test_a_waiter_whose_token_was_revoked_meanwhile_gets_nothing(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        ann = await join(house, "web", "ann@web.example")
        made = await house.ask("/undercroft/tokens", body={"name": "of-ann"}, token=ann)
        its = json.loads(made.body)
        assert (await obtain(house, ADMIN)).body == b'{"lock_obtained":true}'
        waiting = asyncio.create_task(obtain(house, its["token"], wait=20))
        while not await in_line(house):
            pass

        await house.ask(f"/undercroft/tokens/{its['id']}", method="DELETE", token=ann)
        await house.ask("/systems/locks/nightly?namespace=@web", method="DELETE", token=ADMIN)

        assert (await waiting).status == 401
        assert (await obtain(house, ADMIN)).body == b'{"lock_obtained":true}'

    in_house(tmp_path, test)


def test_a_waiter_who_has_left_the_team_meanwhile_gets_nothing(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        ann, _ = await join(house, "web", "ann@web.example"), await join(house, "web", "bob@web.example")
        assert (await obtain(house, ADMIN)).body == b'{"lock_obtained":true}'
        waiting = asyncio.create_task(obtain(house, ann, wait=20))
        while not await in_line(house):
            pass

        gone = await house.ask("/teams/web/ann@web.example", method="DELETE", token=ADMIN)
        assert gone.status < 300, gone.body
        await house.ask("/systems/locks/nightly?namespace=@web", method="DELETE", token=ADMIN)

        assert (await waiting).status == 403
        assert (await obtain(house, ADMIN)).body == b'{"lock_obtained":true}'

    in_house(tmp_path, test)


def test_the_key_of_another_user_of_the_namespace_is_no_retry(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        ann, bob = await join(house, "web", "ann@web.example"), await join(house, "web", "bob@web.example")
        first = await obtain(house, ann, key="run-17")
        again = await obtain(house, ann, key="run-17")
        others = await obtain(house, bob, key="run-17")

        assert first.body == again.body == b'{"lock_obtained":true}'
        assert (others.status, json.loads(others.body)["code"]) == (409, "L011")

    in_house(tmp_path, test)
