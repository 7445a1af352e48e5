"""Moments in words, other people's text without tricks, and colours that can be read."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as some

from undercroft.app.dashboard.assets import text_of
from undercroft.app.dashboard.words import absolute, duration, machine, number, plain, relative, size
from undercroft.base.clock import DAY, END_OF_TIME, HOUR, MINUTE, SECOND

NOW = 1_800_000_000_000  # 2027-01-15 08:00:00 UTC


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (0, "now"),
        (999, "now"),
        (-999, "now"),
        (SECOND, "in 1 s"),
        (-45 * SECOND, "45 s ago"),
        (MINUTE, "in 1 min"),
        (3 * MINUTE + 20 * SECOND, "in 3 min 20 s"),
        (25 * MINUTE + 20 * SECOND, "in 25 min"),
        (2 * HOUR + 59 * SECOND, "in 2 h"),
        (-(2 * DAY + 4 * HOUR), "2 d 4 h ago"),
        (364 * DAY, "in 364 d"),
        (5 * 365 * DAY, "in 5 y"),
    ],
)
def test_relative(distance: int, words: str) -> None:
    assert relative(NOW + distance, NOW) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1_000, "1.0 kB"), (9_949, "9.9 kB"), (9_950, "10 kB"),
     (999_499, "999 kB"), (999_500, "1.0 MB"), (35_200_000, "35 MB"), (2**63, "9.2 EB"),
     (10**22, "10\u202f000 EB")],
)  # fmt: skip
def test_sizes(count: int, words: str) -> None:
    assert size(count) == words


def test_short_durations() -> None:
    assert (duration(0), duration(999), duration(1_000)) == ("0 ms", "999 ms", "1 s")


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (NOW, "08:00:00"),
        (NOW + 15 * HOUR, "23:00:00"),
        (NOW + 16 * HOUR, "16 Jan 00:00"),
        (NOW - 10 * HOUR, "14 Jan 22:00"),
        (NOW + 400 * DAY, "19 Feb 2028 08:00"),
        (END_OF_TIME, "31 Dec 9999 23:59"),
        (END_OF_TIME * 9, "31 Dec 9999 23:59"),
        (-1, "1 Jan 1970 00:00"),
    ],
)
def test_absolute(moment: int, words: str) -> None:
    assert absolute(moment, NOW) == words


def test_for_machines() -> None:
    assert machine(NOW + 7) == "2027-01-15T08:00:00.007Z"


def test_numbers_in_threes() -> None:
    assert number(1234567) == "1\u202f234\u202f567"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cart-17", "cart-17"),
        ("日本語 ünïcode 😀 👩\u200d💻 می\u200cخواهم", "日本語 ünïcode 😀 👩\u200d💻 می\u200cخواهم"),
        ("\u202egnp.exe", "⟨202E⟩gnp.exe"),
        ("a\nb\r\tc", "a⟨000A⟩b⟨000D⟩⟨0009⟩c"),
        ("\u2066x\u2069\u200f\u061c", "⟨2066⟩x⟨2069⟩⟨200F⟩⟨061C⟩"),
        ("\ufeff\u2028\x7f\ud800", "⟨FEFF⟩⟨2028⟩⟨007F⟩⟨D800⟩"),
    ],
)
def test_plain(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_plain_is_cut() -> None:
    assert plain("abcdef", 3) == "abc…"
    assert plain("abc", 3) == "abc"
    assert plain("a\nb\tc", kept="\n\t") == "a\nb\tc"


@given(some.text(some.characters(exclude_categories=()), max_size=200))
def test_plain_leaves_nothing_that_turns_breaks_or_hides(text: str) -> None:
    left = {unicodedata.category(letter) for letter in plain(text) if letter not in "\u200c\u200d"}
    assert not left & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    plain(text).encode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_read(scheme: str) -> None:
    """WCAG AA: 4.5 to 1, for every text on every ground that it stands on."""
    light, dark = text_of("tones.css").split("@media (prefers-color-scheme: dark)")
    tones = dict(re.findall(r"--([\w-]+): (#\w{6})", light if scheme == "light" else dark))
    on = {
        "paper": ("ink", "soft", "accent", "bad", "good"),
        "raised": ("ink", "accent"),
        "code": ("ink", "soft", "accent"),
        "accent": ("paper",),
        "bad-tint": ("bad",),
        "warn-tint": ("warn",),
        "good-tint": ("good",),
    }
    for ground, texts in on.items():
        for text in texts:
            assert contrast(tones[text], tones[ground]) >= 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
