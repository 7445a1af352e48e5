"""Where files are: a folder or a real object store; who finds them, and for how long."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.families.messaging.house import NOW, House, opened
from tests.families.messaging.test_beyond import form, upload
from tests.services.s3server import REGION, S3Server
from undercroft.app.notation import Secret
from undercroft.base.clock import HOUR
from undercroft.families.messaging import binaries
from undercroft.families.messaging.http import binaries as wire

pytestmark = pytest.mark.anyio
NAME = re.compile(r"/media/\d{20}-[0-9a-f]{32}\.mp3")


def store_settings(s3: S3Server, bucket: str) -> dict[str, Any]:
    return {
        "messaging_files": f"s3://{bucket}/some/folder",
        "messaging_files_endpoint": s3.url,
        "messaging_files_region": REGION,
        "messaging_files_key": s3.key,
        "messaging_files_secret": Secret(s3.secret),
    }


@pytest.fixture(params=["folder", "store"])
async def place(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> AsyncIterator[tuple[House, Any]]:
    """A house, and what says which names there are where its files are kept."""
    if request.param == "folder":
        async with opened(sqlite_url, data_dir=tmp_path) as house:
            yield house, lambda: [path.name for path in (tmp_path / "media").iterdir()]
        return
    s3: S3Server = request.getfixturevalue("s3")
    bucket = s3.create_bucket()
    client = s3.client()
    async with opened(sqlite_url, data_dir=tmp_path, **store_settings(s3, bucket)) as house:
        yield (
            house,
            lambda: [
                one["Key"].removeprefix("some/folder/")
                for one in client.list_objects_v2(Bucket=bucket).get("Contents", ())
            ],
        )
        assert not (tmp_path / "media").exists()


def path_of(made: dict[str, Any]) -> str:
    return str(made["content"].partition("3862")[2])


async def test_files_come_and_go_where_they_are_kept(place: tuple[House, Any]) -> None:
    house, names = place
    content = bytes(range(256)) * (wire.PIECE // 100)
    status, made = await upload(house, form(content))
    path = path_of(made)
    assert status == 201 and NAME.fullmatch(path) and names() == [path.removeprefix("/media/")]

    whole = await house.call("GET", path, authorization=None)
    assert whole.body == content and whole.kind == b"audio/mpeg"
    for asked, part in (
        ("5-9", content[5:10]), ("-5", content[-5:]), (f"7-{2 * wire.PIECE}", content[7 : 2 * wire.PIECE + 1])
    ):  # fmt: skip
        answer = await house.call("GET", path, authorization=None, range=f"bytes={asked}")
        assert (answer.status, answer.body) == (206, part)

    status, changed = await upload(house, form(b"other"), "PUT", "binarycontent/1/")
    assert status == 200 and path_of(changed) != path
    assert (await house.call("GET", path_of(changed))).body == b"other"
    assert (await house.call("GET", path)).body == content

    assert (await house.call("DELETE", "binarycontent/1/")).status == 204
    for gone in (path, path_of(changed)):
        assert tuple(await house.call("GET", gone)) == (404, {"detail": "Not found."})
    await house.go_on()
    assert names() == []


async def test_what_an_upload_left_is_removed(place: tuple[House, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    house, names = place

    def broken(*_: object) -> None:
        raise ValueError("as if the process had ended here")

    monkeypatch.setattr(binaries, "create", broken)
    assert (await upload(house, form(b"x")))[0] == 500
    assert len(names()) == 1 and (await house.call("GET", f"/media/{names()[0]}")).status == 404
    await house.at(NOW + binaries.LONGEST_UPLOAD - 1)
    assert len(names()) == 1
    await house.at(NOW + binaries.LONGEST_UPLOAD)
    assert names() == []


async def test_two_nodes_serve_the_same_files_from_a_store(postgres_url: str, s3: S3Server) -> None:
    settings = store_settings(s3, s3.create_bucket())
    async with opened(postgres_url, **settings) as one, opened(postgres_url, **settings) as other:
        path = path_of((await upload(one, form(b"sound")))[1])
        assert (await other.call("GET", path, authorization=None)).body == b"sound"
        assert (await other.call("DELETE", "binarycontent/1/")).status == 204
        for node in (one, other):
            assert (await node.call("GET", path, authorization=None)).status == 404


async def test_a_store_that_does_not_take_files_is_told_and_nothing_is_kept(sqlite_url: str, s3: S3Server) -> None:
    settings = {**store_settings(s3, "no-such-bucket"), "messaging_files_secret": Secret("wrong")}
    async with opened(sqlite_url, **settings) as house:
        status, said = await upload(house, form(b"x"))
        assert status == 503 and said["detail"].startswith("the file can't be kept: the object store")
        assert "wrong" not in said["detail"] and (await house.get("binarycontent/"))["results"] == []
        removal = next(loop for loop in house.parts.loops if loop.name == "remove files")
        assert not await removal.step(NOW + HOUR)


def test_names_can_not_be_guessed() -> None:
    names = {binaries.file_name("a.mp3", NOW) for _ in range(100)}
    assert len({name[20:] for name in names}) == 100
    assert binaries.file_name("a.x/../y", NOW)[-1].isalnum()
