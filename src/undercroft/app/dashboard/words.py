"""Moments and other people's text in words that are safe to read. Pure."""

import unicodedata
from datetime import UTC, datetime

from undercroft.base.clock import DAY, END_OF_TIME, HOUR, MINUTE, SECOND

# Categories whose characters are invisible, break lines or turn the text around them: shown by their numbers.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
# Joiners, which several scripts and emoji need.
_NEEDED = {"\u200c", "\u200d"}
_SIZES = ("kB", "MB", "GB", "TB", "PB", "EB")
_UNITS = ((365 * DAY, "y"), (DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))


def plain(text: str, most: int = 10_000, kept: str = "") -> str:
    """Text that can't pretend to be other than it is: what can't be seen is shown as ⟨202E⟩; cut after `most`."""
    shown = text[:most]
    if not shown.isprintable():  # nearly all text is, and Python knows that quickly
        shown = "".join(letter if letter in kept else _shown(letter) for letter in shown)
    return shown + "…" if len(text) > most else shown


def relative(moment: int, now: int) -> str:
    """in 3 min 20 s · 2 h ago · now"""
    distance = abs(moment - now)
    if distance < SECOND:
        return "now"
    words = duration(distance)
    return f"in {words}" if moment > now else f"{words} ago"


def duration(milliseconds: int) -> str:
    """The two largest units: 2 d 4 h · 3 min 20 s · 45 s · 120 ms. From ten on the largest alone."""
    if milliseconds < SECOND:
        return f"{milliseconds} ms"
    for position, (size, unit) in enumerate(_UNITS):
        if milliseconds >= size:
            count, rest = divmod(milliseconds, size)
            following = _UNITS[position + 1 : position + 2]
            smaller = [f"{rest // size} {unit}" for size, unit in following if rest >= size and count < 10]
            return " ".join([f"{number(count)} {unit}", *smaller])
    raise AssertionError("a second is the smallest unit")


def absolute(moment: int, now: int) -> str:
    """14:03:20 on the same day, 24 Nov 14:03 within half a year, else 24 Nov 2031 14:03. All in UTC."""
    then, today = _utc(moment), _utc(now)
    if then.date() == today.date():
        return then.strftime("%H:%M:%S")
    near = abs(moment - now) < 180 * DAY
    return then.strftime(f"{then.day} %b %H:%M" if near else f"{then.day} %b %Y %H:%M")


def machine(moment: int) -> str:
    """For <time datetime>: 2031-11-24T14:03:20.123Z"""
    return _utc(moment).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment % 1_000:03}Z"


def _utc(moment: int) -> datetime:
    return datetime.fromtimestamp(min(max(moment, 0), END_OF_TIME) // 1_000, UTC)


def _shown(letter: str) -> str:
    if letter in _NEEDED or unicodedata.category(letter) not in _UNSEEN:
        return letter
    return f"⟨{ord(letter):04X}⟩"


def number(count: int) -> str:
    """12 345"""
    return f"{count:,}".replace(",", "\u202f")


def size(count: int) -> str:
    """Of so many bytes: 1 byte · 999 bytes · 1.2 kB · 35 MB. Below ten with a tenth."""
    if count < 1_000:
        return f"{count} byte{'' if count == 1 else 's'}"
    power = min((len(str(count)) - 1) // 3, len(_SIZES))
    amount = count / 1_000**power
    if round(amount) == 1_000 and power < len(_SIZES):
        amount, power = 1, power + 1
    return f"{amount:.1f} {_SIZES[power - 1]}" if amount < 9.95 else f"{number(round(amount))} {_SIZES[power - 1]}"
