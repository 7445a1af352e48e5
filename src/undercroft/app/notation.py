"""How people write durations, sizes, moments, addresses and secrets, and how we show them.

Every reader here raises ValueError with a sentence that says what to write instead.
"""

import re
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_BYTES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
_NUMBER = r"\d{1,12}(?:\.\d{1,6})?"
_DURATION = re.compile(rf"(?:{_NUMBER} *(?:ms|[smhdw]) *)+", re.IGNORECASE)
_PART = re.compile(rf"({_NUMBER}) *(ms|[smhdw])", re.IGNORECASE)
_SIZE = re.compile(rf"({_NUMBER}) *([a-z]*)", re.IGNORECASE)

# Epoch numbers below this are seconds (until the year 5138), from here on milliseconds (since 1973).
# Fewer digits than nine could as well be a year or a date.
_EPOCH = re.compile(r"[0-9]{9,15}")
_FIRST_EPOCH_MS = 100_000_000_000


class Secret:
    """A text that no repr, log line or traceback shows. `reveal()` gives it to who really needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def shown(self) -> str:
        return "(set, not shown)" if self._text else ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shown()!r})"

    __str__ = shown

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class DatabaseUrl(Secret):
    """A database's URL: shown without the password that it may hold."""

    __slots__ = ()

    def shown(self) -> str:
        begin, at, end = self._text.rpartition("@")
        if at:
            scheme, slashes, login = begin.partition("://")
            user, colon, _ = login.partition(":")
            begin = f"{scheme}{slashes}{user}{':***' if colon else ''}"
        # libpq also takes it as a parameter.
        return re.sub(r"(?i)([?&][^=&]*password=)[^&]*", r"\1***", f"{begin}{at}{end}")

    __str__ = shown


class SmtpUrl(DatabaseUrl):
    """A relay's URL: shown without its password, as a database's is."""

    __slots__ = ()


class Address(NamedTuple):
    """Where to listen: `host` and `port`, or the `path` of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""


def duration(text: str) -> float:
    """Seconds of "500ms", "5s", "1h30m", "7d" or of a plain number of seconds."""
    text = text.strip()
    if re.fullmatch(_NUMBER, text):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration: write 500ms, 5s, 10m, 1h30m, 7d or a number of seconds")
    return float(round(sum(float(n) * _SECONDS[unit.lower()] for n, unit in _PART.findall(text)), 6))


def duration_text(seconds: float) -> str:
    """The shortest way to write it that loses no millisecond: 90061.5 is "1d1h1m1s500ms"."""
    left = round(seconds * 1_000)
    if left < 0:
        return "-" + duration_text(-seconds)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def size(text: str) -> int:
    """Bytes of "512", "32MB" (10⁶) or "32MiB" (2²⁰)."""
    match = _SIZE.fullmatch(text.strip())
    if not match or match[2].lower() not in _BYTES:
        raise ValueError(f"{text!r} is no size: write 32MB, 512KiB or a number of bytes")
    return int(float(match[1]) * _BYTES[match[2].lower()])


def size_text(count: int) -> str:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count and count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


def switch(text: str) -> bool:
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{text!r} is neither yes nor no: write true or false")


def moment(text: str, now: int) -> int:
    """Milliseconds since 1970 of ISO 8601 (without a zone: this machine's), of an epoch number in seconds or
    milliseconds, of "now", or of "+5m" and "-1h" from `now` (ms)."""
    text = text.strip()
    if text == "now":
        return now
    if text[:1] in ("+", "-"):
        shift = round(duration(text[1:]) * 1_000)
        return now - shift if text[0] == "-" else now + shift
    if _EPOCH.fullmatch(text):
        number = int(text)
        return number if number >= _FIRST_EPOCH_MS else number * 1_000
    try:
        if text.isdigit():  # Python would see a date in 20300501, and in much else
            raise ValueError
        return round(datetime.fromisoformat(text).astimezone().timestamp() * 1_000)
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} is no moment: write 2030-05-01T09:00, 2030-05-01T09:00+02:00, "
            "an epoch number in seconds or milliseconds, now, +5m or -1h"
        ) from None


def address(text: str) -> Address:
    """Of "127.0.0.1:3862", "[::1]:3862", "localhost:3862" or "unix:/run/croft.sock"."""
    text = text.strip()
    if text.startswith("unix:"):
        return _unix_address(text.removeprefix("unix:"))
    if "://" in text:
        raise ValueError(f"{text!r} is a URL: write only host and port, such as 127.0.0.1:3862")
    host, colon, port = text.rpartition(":")
    if not colon and text.isdigit():
        raise ValueError(f"{text!r} names no host: write 127.0.0.1:{text}, or 0.0.0.0:{text} for every network")
    if not colon or not host or "/" in text:
        raise ValueError(f"{text!r} is no address: write HOST:PORT, [::1]:PORT or unix:/path")
    if not (port.isascii() and port.isdigit() and int(port[:9]) < 2**16):
        raise ValueError(f"{port!r} is no port: write a number from 0 to 65535 behind the colon")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if bare == host and ":" in host:
        raise ValueError(f"{text!r}: write an IPv6 address in brackets, such as [::1]:3862")
    if not bare or any(c.isspace() or c in "[]@" for c in bare):
        raise ValueError(f"{text!r} is no address: write HOST:PORT, [::1]:PORT or unix:/path")
    return Address(host=bare, port=int(port))


def _unix_address(path: str) -> Address:
    if not path.startswith("/"):
        raise ValueError(f"unix:{path}: write the socket's whole path, such as unix:/run/croft.sock")
    if len(path.encode()) > 107:  # sockaddr_un on Linux
        raise ValueError(f"unix:{path}: a socket's path may have 107 bytes, this one has {len(path.encode())}")
    return Address(path=path)


def database_url(text: str) -> DatabaseUrl:
    """Of "" (embedded), "sqlite:///path/to/file.db" or "postgresql://user:password@host/name"."""
    url = DatabaseUrl(text.strip())
    if not url:
        return url
    scheme, separator, rest = url.reveal().partition("://")
    if separator and scheme == "sqlite":
        if not rest.startswith("/") or len(rest) < 2 or rest.endswith("/"):
            raise ValueError(
                "sqlite:/// is followed by a file's path, an absolute one looks like sqlite:////var/croft.db"
            )
        return url
    if separator and scheme in ("postgresql", "postgres"):
        _check_postgres(url)
        return url
    # What stands before a missing scheme may be a password: it is not repeated.
    raise ValueError("a database is written sqlite:///path/to/file.db or postgresql://user:password@host/name")


def _check_postgres(url: DatabaseUrl) -> None:
    try:
        parts = urlsplit(url.reveal())
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        raise ValueError(
            f"{url.shown()} is no URL: percent-encode the password's / @ : # ? and write the port as a number"
        ) from None
    if parts.fragment:
        raise ValueError(f"{url.shown()}: a # cuts the URL short, write it %23")
