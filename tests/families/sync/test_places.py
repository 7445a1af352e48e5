"""One place is one place, however its options spell it."""

from typing import Any

import pytest

from undercroft.base.refusals import Refusal
from undercroft.families.sync.drivers import place
from undercroft.families.sync.roots import require_apart
from undercroft.families.sync.store_entries import Entry

S3 = {"bucket": "files", "aws_access_key": "k", "aws_secret_key": "s"}
SAME: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    (
        "amazon_s3",
        {**S3, "endpoint": "http://storage.example:9000", "root": "a/b"},
        [
            {"endpoint": "http://storage.example:9000/"},
            {"endpoint": "HTTP://Storage.Example:9000//"},
            {"endpoint": "http://storage.example.:9000"},
            {"root": "/a//b/"},
            {"root": "./a/b"},
            {"region": "eu-west-1", "aws_access_key": "another"},
        ],
    ),
    (
        "amazon_s3",
        S3,
        [
            {"endpoint": "https://s3.amazonaws.com"},
            {"endpoint": "s3.eu-west-1.amazonaws.com:443", "region": "eu-west-1"},
            {"endpoint": "https://s3.dualstack.us-east-1.AmazonAWS.com/"},
        ],
    ),
    ("amazon_s3", {**S3, "endpoint": "http://h"}, [{"endpoint": "http://h:80/"}, {"endpoint": "https://h:443"}]),
    (
        "sftp",
        {"hostname": "Files.Example.org", "username": "u", "root": "/srv/a"},
        [{"hostname": "files.example.org."}, {"root": "/srv//a/"}, {"root": "/srv/./a"}, {"port": 22}],
    ),
    (
        "sftp",
        {"hostname": "127.0.0.1", "username": "u", "root": "x"},
        [{"hostname": "localhost"}, {"hostname": "LOCALHOST"}, {"hostname": "::1"}],
    ),
    (
        "webdav",
        {"hostname": "https://cloud.example/dav", "root": "team"},
        [
            {"hostname": "cloud.example/dav"},
            {"hostname": "https://Cloud.Example:443/dav/"},
            {"hostname": "https://cloud.example//dav/team", "root": ""},
            {"hostname": "https://cloud.example/d%61v"},
            {"hostname": "https://cloud.example", "root": "dav/team/"},
        ],
    ),
    (
        "dropbox",
        {"root": "/Work", "account": "ann@example.com"},
        [
            {"root": "work"},
            {"account": "Ann@Example.com"},
            {"api_url": "https://api.dropboxapi.com/", "content_url": "https://content.dropboxapi.com:443"},
        ],
    ),
    ("local_storage", {"root": "/srv/a"}, [{"root": "/srv/a/"}, {"root": "//srv//./a"}]),
]


@pytest.mark.parametrize(("driver", "options", "others"), SAME)
def test_other_spellings_are_the_same_place(driver: str, options: dict[str, Any], others: list[dict[str, Any]]) -> None:
    for other in others:
        assert place(driver, {**options, **other}) == place(driver, options)


@pytest.mark.parametrize(
    ("driver", "options", "other"),
    [
        ("amazon_s3", {**S3, "endpoint": "http://h:9000"}, {"endpoint": "http://h:9001"}),
        ("amazon_s3", {**S3, "endpoint": "http://h/one"}, {"endpoint": "http://h/two"}),
        ("amazon_s3", S3, {"root": "A"}),
        ("amazon_s3", S3, {"endpoint": "https://s3.cn-north-1.amazonaws.com.cn"}),
        ("sftp", {"hostname": "h", "username": "u", "root": "a"}, {"root": "A"}),
        ("sftp", {"hostname": "h", "username": "u", "root": "a"}, {"port": 2222}),
        ("sftp", {"hostname": "h", "username": "u", "root": "a"}, {"username": "U"}),
        ("webdav", {"hostname": "h", "root": "a"}, {"hostname": "h/a"}),
        ("webdav", {"hostname": "h", "root": "a"}, {"hostname": "h:8443"}),
        ("local_storage", {"root": "/srv/a"}, {"root": "srv/a"}),
    ],
)
def test_other_places_are_others(driver: str, options: dict[str, Any], other: dict[str, Any]) -> None:
    assert place(driver, {**options, **other}) != place(driver, options)


@pytest.mark.parametrize("address", ["", "://", "http://[", "http://h:port", "[::1", ":::", "h:99999", "\x00", "%ff"])
def test_what_is_no_address_is_one_alone(address: str) -> None:
    assert place("amazon_s3", {**S3, "endpoint": address}).startswith("amazon_s3|files|")
    assert place("sftp", {"hostname": address, "username": "u"}).startswith("sftp|")
    assert place("webdav", {"hostname": address}).startswith("webdav|")


@pytest.mark.parametrize(("driver", "options", "others"), [same for same in SAME if same[0] != "local_storage"])
def test_a_root_within_one_that_is_spelled_otherwise_is_refused(
    driver: str, options: dict[str, Any], others: list[dict[str, Any]]
) -> None:
    for other in others:
        spelled = {**options, **other}
        below = {**spelled, "root": f"{spelled.get('root', '')}/sub"}
        for one, two in ((options, below), (below, options), (options, spelled)):
            with pytest.raises(Refusal, match="the root of first are one"):
                require_apart(driver, two, [Entry("first", driver, one, True, None)], "/nowhere")
    beside = {**options, "root": f"{options.get('root', '')}beside"}
    if options.get("root"):
        require_apart(driver, beside, [Entry("first", driver, options, True, None)], "/nowhere")
