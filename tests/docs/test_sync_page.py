"""docs/sync.md: its commands are run, its tables are those of the code."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.fences import PROJECT, fences, table_under
from tests.services.apache import PASSWORD, USER, Apache
from tests.services.croft import Croft
from tests.services.sshd import Sshd
from undercroft.base.clock import MINUTE, SECOND
from undercroft.families.sync import waves, wire
from undercroft.families.sync.drivers import COMMON, DRIVERS
from undercroft.families.sync.worker import bursts, noticing

PAGE = PROJECT / "docs" / "sync.md"


def test_every_command_does_what_it_shows(
    run_page: Callable[..., int], tmp_path: Path, sshd: Sshd, apache: Apache
) -> None:
    far, near = tmp_path / "far", tmp_path / "page"
    far.mkdir()
    near.mkdir()
    cloud = apache.make_folder(os.urandom(8).hex())
    (cloud / "team").mkdir(mode=0o777)
    (cloud / "team").chmod(0o777)
    shutil.copy(sshd.key, near / "backup-key")
    (near / "cloud-password").write_text(PASSWORD)
    replaced = {
        "sftp.example.org": "127.0.0.1",
        "2222": str(sshd.port),
        "keeper": sshd.user,
        "https://cloud.example.org/dav": f"{apache.url}/{cloud.name}",
        "ann": USER,
    }
    assert run_page(PAGE, replaced={**replaced, "srv/backup": str(far)[1:]}) >= 8, "blocks have lost their marks"


def test_no_command_is_left_out() -> None:
    assert [fence.line for fence in fences(PAGE) if fence.language == "sh" and not fence.words] == []


def test_the_options_are_those_of_the_code() -> None:
    shown = [row[0].strip("`") for row in table_under(PAGE, "Options")]
    assert shown == [*DRIVERS["local_storage"], *COMMON]


@pytest.mark.parametrize(
    ("heading", "driver"),
    [
        ("An SFTP server", "sftp"),
        ("A WebDAV server", "webdav"),
        ("An S3 bucket", "amazon_s3"),
        ("Dropbox", "dropbox"),
    ],
)
def test_the_options_of_a_storage_are_those_of_the_code(heading: str, driver: str) -> None:
    assert [row[0].strip("`") for row in table_under(PAGE, heading)] == [*DRIVERS[driver]]


def test_every_path_is_told(start_croft: Callable[..., Croft]) -> None:
    paths = start_croft().http.get("/openapi.json").json()["paths"]
    told = set()
    for row in table_under(PAGE, "Over HTTP"):
        whole = re.findall(r"`([^`]+)`", row[0])
        told |= {part if part.startswith("/") else whole[0].rpartition("/")[0] + "/" + part for part in whole}
    assert told == {path.removeprefix("/api/v1.0") for path in paths if path.startswith("/api/v1.0/")}


def test_the_figures_are_those_of_the_code() -> None:
    assert wire.FEW == 10
    assert (noticing.AT_FIRST, noticing.QUIET) == (0.1, 0.2)
    assert bursts.LONGEST == MINUTE / SECOND
    assert waves.WAVE_LASTS == MINUTE
    assert COMMON["delete_share"].default == 0.5
    assert COMMON["keep_versions"].default == 30
