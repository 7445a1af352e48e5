"""Kinds of storages, each with a real server behind it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.families.sync.storages import kinds
from tests.families.sync.storages.kinds import KINDS, REMOTE, Kind
from tests.services.dropboxserver import DropboxServer
from undercroft.families.sync.storages import Storage


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Kind]]:
    made: list[Kind] = []

    def kind(name: str) -> Kind:
        match name:
            case "sftp":
                one = kinds.sftp(request.getfixturevalue("sshd"), tmp_path)
            case "webdav":
                one = kinds.webdav(request.getfixturevalue("apache"))
            case "amazon_s3":
                one = kinds.amazon_s3(request.getfixturevalue("s3"))
            case "dropbox":
                one = kinds.dropbox(stack.enter_context(DropboxServer()))
            case _:
                one = kinds.local(tmp_path)
        made.append(one)
        return one

    with contextlib.ExitStack() as stack:
        yield kind
        for one in made:
            one.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, make: Callable[[str], Kind]) -> Kind:
    return make(request.param)


@pytest.fixture(params=REMOTE)
def remote(request: pytest.FixtureRequest, make: Callable[[str], Kind]) -> Kind:
    return make(request.param)


@pytest.fixture
def storage(kind: Kind) -> Storage:
    opened = kind.open()
    opened.check(0)
    return opened
