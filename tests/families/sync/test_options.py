"""Options of entries: what they may be, and that one entry's fault is nobody else's."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.families.sync.parts import house
from undercroft.base.clock import DAY, MINUTE, wall_clock
from undercroft.base.refusals import Kind, Refusal
from undercroft.families.sync import store_versions
from undercroft.families.sync.model import check_entry
from undercroft.families.sync.store_versions import KeptVersion

NEEDED: dict[str, dict[str, Any]] = {
    "local_storage": {"root": "/r"},
    "sftp": {"hostname": "h", "username": "u"},
    "webdav": {"hostname": "h"},
    "dropbox": {},
    "amazon_s3": {"bucket": "b", "aws_access_key": "k", "aws_secret_key": "s"},
}


def check(driver: str, **options: Any) -> None:
    check_entry("x", driver, {**NEEDED[driver], **options})


def refused(driver: str, **options: Any) -> str:
    with pytest.raises(Refusal) as told:
        check(driver, **options)
    assert told.value.kind is Kind.INVALID
    return told.value.message


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("keep_versions", 0, 36_500), ("delete_share", 0, 1), ("bandwidth", 0, 2**40), ("chunk_size", 2**10, 2**28)],
)
def test_numbers_have_bounds(name: str, least: int, most: int) -> None:
    for good in (least, most):
        check("local_storage", **{name: good})
    for bad in (least - 1, most + 1, 2**53 - 1, 10**400, float("nan"), float("inf")):
        assert name in refused("local_storage", **{name: bad})


def test_patterns_have_bounds() -> None:
    check("local_storage", ignore=["*.tmp"] * 1_000)
    for bad in (["*"] * 1_001, ["x" * 4_097], ["a\x00"], ["\ud800"], [1]):
        assert "ignore" in refused("local_storage", ignore=bad)


def test_options_have_a_bound_together() -> None:
    """Every worker is told all that it takes to read from every entry."""
    check("local_storage", ignore=["x" * 100] * 1_000)
    assert "128 KiB together" in refused("local_storage", ignore=["x" * 200] * 1_000)
    assert "128 KiB together" in refused("local_storage", ignore=["ö" * 100] * 1_000)


ADDRESSES = [("sftp", "hostname"), ("webdav", "hostname"), ("amazon_s3", "endpoint"), ("dropbox", "api_url"),
             ("dropbox", "content_url")]  # fmt: skip


@pytest.mark.parametrize(("driver", "option"), ADDRESSES)
def test_addresses_hold_no_credentials(driver: str, option: str) -> None:
    for good in (
        "h", "127.0.0.1", "::1", "h.example:8080", "https://h.example/", "HTTP://h:80/remote.php/dav/files/ann@example.org",
        "http://[::1]:90/x", "h/dav y",
    ):  # fmt: skip
        check(driver, **{option: good})
    for bad in (
        "http://user:hunter2@h", "user:hunter2@h", "hunter2@h/path", "https:/u:hunter2@h", "https:u:hunter2@h",
        "https:////u:hunter2@h", "https:\\\\u:hunter2@h", "h/?q=hunter2", "h#hunter2", "file:///hunter2", "https://",
        "ftp://hunter2", "https://h\\@hunter2", "https:///hunter2", "h /hunter2",
    ):  # fmt: skip
        reason = refused(driver, **{option: bad})
        assert option in reason
        assert "hunter2" not in reason


@pytest.mark.parametrize(
    ("driver", "option"),
    [("sftp", "hostname"), ("sftp", "username"), ("sftp", "password"), ("sftp", "root"), ("sftp", "host_key"),
     ("sftp", "known_hosts"), ("webdav", "token"), ("webdav", "ca_file"), ("dropbox", "access_token"),
     ("dropbox", "api_url"), ("amazon_s3", "bucket"), ("amazon_s3", "aws_secret_key"), ("amazon_s3", "region")],
)  # fmt: skip
@pytest.mark.parametrize("control", ["\r\n", "\n", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\x00"])
def test_no_control_character_is_in_what_is_sent(driver: str, option: str, control: str) -> None:
    reason = refused(driver, **{option: f"x{control}X-Evil: 1"})
    assert option in reason
    assert "Evil" not in reason


def test_a_key_has_lines_and_so_may_a_folder_of_this_machine() -> None:
    check("sftp", private_key="-----BEGIN OPENSSH PRIVATE KEY-----\r\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    check("local_storage", root="/two\nlines")


def test_a_region_is_a_part_of_a_hosts_name() -> None:
    check("amazon_s3", region="eu-central-1")
    for bad in ("evil.example/#", "x@evil", "a b", "x?y", "x:80"):
        assert "region" in refused("amazon_s3", region=bad)


def test_one_entrys_fault_keeps_no_versions_of_another(sqlite_url: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            await h.add("A", "B")
            old = KeptVersion("v", "f", "B", "p", "", 1, 0, 0, "fid")
            await h.database.write(store_versions.add, "B", [old])
            link = h.engine.link("A")
            assert link is not None
            link._dropping._entry = link.entry._replace(options={"keep_versions": None})
            await h.engine.keep(wall_clock() + 2 * MINUTE)
            async with asyncio.timeout(20):
                while await h.database.read(store_versions.of_file, "fid"):  # noqa: ASYNC110 - another process does it
                    await asyncio.sleep(0.02)

    asyncio.run(story())


def test_a_clock_that_is_set_back_puts_off_nothing(sqlite_url: str, tmp_path: Path) -> None:
    """It was a year ahead as the server was started: versions and conflicts are dropped all the same."""

    async def story() -> None:
        async with house(sqlite_url, tmp_path) as h:
            asked: list[int] = []
            await h.add("A")
            link = h.engine.link("A")
            assert link is not None

            async def drop_old(now: int) -> None:
                asked.append(now)

            link.drop_old = drop_old  # type: ignore[method-assign]
            now = wall_clock()
            ahead = now + 365 * DAY
            for moment in (ahead, now, now + 1, now + MINUTE):
                await h.engine.keep(moment)
            assert asked == [ahead, now, now + MINUTE]

    asyncio.run(story())


@pytest.mark.parametrize(("driver", "option"), [(d, o) for d, given in NEEDED.items() for o in given])
def test_what_is_needed_is_not_empty(driver: str, option: str) -> None:
    assert f"needs the option {option!r}" in refused(driver, **{option: ""})
