"""What people write, read and shown again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from undercroft.app import notation
from undercroft.app.notation import Address, DatabaseUrl, Secret

NOW = 1_900_000_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5), ("90", 90), ("0.5", 0.5), ("500ms", 0.5), ("1h30m", 5_400), ("1.5h", 5_400), ("7d", 604_800)],
)
def test_reads_durations(text: str, seconds: float) -> None:
    assert notation.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5 parsecs", "-5s", "1h-5m", "nan", "inf", "1e3", "5s!", "9" * 40])
def test_refuses_what_is_no_duration_and_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write 500ms"):
        notation.duration(text)


@given(some.integers(0, 10**13))
def test_a_shown_duration_reads_back_to_the_millisecond(milliseconds: int) -> None:
    assert round(notation.duration(notation.duration_text(milliseconds / 1_000)) * 1_000) == milliseconds


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("512", 512),
        ("32MB", 32_000_000),
        ("32 MiB", 33_554_432),
        ("1kb", 1_000),
        ("1.5KiB", 1_536),
        ("2GB", 2 * 10**9),
    ],
)
def test_reads_sizes(text: str, count: int) -> None:
    assert notation.size(text) == count


@pytest.mark.parametrize("text", ["", "MB", "12 lots", "-1", "1TB"])
def test_refuses_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="write 32MB"):
        notation.size(text)


@given(some.integers(0, 10**12 - 1))
def test_a_shown_size_reads_back(count: int) -> None:
    assert notation.size(notation.size_text(count)) == count


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2030-05-01T09:00+02:00", 1_903_849_200_000),
        ("2030-05-01T07:00:00.250Z", 1_903_849_200_250),
        ("1903849200", 1_903_849_200_000),
        ("1903849200250", 1_903_849_200_250),
        ("now", NOW),
        ("+5m", NOW + 300_000),
        ("-1h30m", NOW - 5_400_000),
    ],
)
def test_reads_moments(text: str, ms: int) -> None:
    assert notation.moment(text, NOW) == ms


def test_a_moment_without_zone_is_local() -> None:
    local = datetime(2030, 5, 1, 9, tzinfo=UTC).astimezone().replace(tzinfo=None)
    assert notation.moment(local.isoformat(), NOW) == 1_903_856_400_000


@pytest.mark.parametrize("text", ["", "tomorrow", "2030-13-01", "+", "+soon", "2030", "20300501", "1" * 30, "９"])
def test_refuses_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        notation.moment(text, NOW)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:3862", Address("127.0.0.1", 3862)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:3862", Address("::1", 3862)),
        ("unix:/run/croft.sock", Address(path="/run/croft.sock")),
    ],
)
def test_reads_addresses(text: str, address: Address) -> None:
    assert notation.address(text) == address


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("3862", "127.0.0.1:3862"),
        (":3862", "HOST:PORT"),
        ("localhost", "HOST:PORT"),
        ("http://localhost:3862", "only host and port"),
        ("::1:3862", "brackets"),
        ("localhost:http", "number"),
        ("localhost:65536", "65535"),
        ("[]:80", "HOST:PORT"),
        ("unix:croft.sock", "whole path"),
        ("unix:/" + "a" * 200, "107"),
    ],
)
def test_refuses_other_addresses_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        notation.address(text)


@given(some.text())
def test_readers_answer_or_raise_valueerror_and_nothing_else(text: str) -> None:
    for read in (notation.duration, notation.size, notation.switch, notation.address, notation.database_url):
        _read_or_refuse(read, text)
    _read_or_refuse(lambda text: notation.moment(text, NOW), text)


def _read_or_refuse(read: object, text: str) -> None:
    try:
        read(text)  # type: ignore[operator]
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://croft:hunter2@db:5432/x", "postgresql://croft:***@db:5432/x"),
        ("postgresql://croft:hunter2%40@db/x", "postgresql://croft:***@db/x"),
        ("postgresql://croft@db/x", "postgresql://croft@db/x"),
        (
            "postgresql://db/x?user=c&password=hunter2&sslmode=require",
            "postgresql://db/x?user=c&password=***&sslmode=require",
        ),
        ("sqlite:////var/lib/undercroft.db", "sqlite:////var/lib/undercroft.db"),
    ],
)
def test_a_database_url_shows_no_password(url: str, shown: str) -> None:
    read = notation.database_url(url)
    assert read.reveal() == url
    assert read.shown() == str(read) == shown
    assert "hunter2" not in f"{read} {read!r}"


@given(some.text("abcABC019@:/?#%&= ", min_size=8))
def test_no_password_gets_out_however_it_is_written(password: str) -> None:
    url = DatabaseUrl(f"postgresql://croft:{password}@db/x")
    assert password not in f"{url} {url!r}"


@pytest.mark.parametrize(
    "url",
    ["mysql://x:hunter2@db/x", "hunter2", "sqlite://x", "sqlite:///", "postgresql://c:hunter2@db:port/x"],
)
def test_refuses_other_database_urls_without_repeating_them(url: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite|percent-encode") as refused:
        notation.database_url(url)
    assert "hunter2" not in str(refused.value)


def test_a_secret_is_shown_nowhere() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]} {secret.shown()}"
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2") != Secret("other")
    assert not Secret()
