"""From what a file, a variable or a flag says to the value of a setting: one reader each, listed at the end.

Each takes a text, or what TOML made of it, and raises ValueError with what to write instead.
"""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from undercroft.app import notation
from undercroft.app.notation import DatabaseUrl, Secret, SmtpUrl


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text: put it in quotes")
    if "\0" in value:
        raise ValueError("a text may not hold a zero byte")
    return value


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    text = _text(value)
    if not text:
        raise ValueError("names no folder: write a path, such as ./var")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{text!r}: there is no such user, write the whole path") from None


def _database(value: object) -> DatabaseUrl:
    return notation.database_url(_secret(value).reveal())


def _secret(value: object) -> Secret:
    """As `_text`, and what was written is not repeated where it is wrong."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("is no text: put it in quotes")
    return Secret(value.strip())


def _smtp(value: object) -> SmtpUrl:
    from undercroft.machinery.deliveries.smtp.relay import read_relay

    url = SmtpUrl(_secret(value).reveal())
    if url:
        read_relay(url.reveal())
    return url


def _mailbox(value: object) -> str:
    from undercroft.base.refusals import Refusal
    from undercroft.machinery.mail.addresses import read_mailbox

    text = _text(value).strip()
    try:
        return text and read_mailbox("it", text).written()
    except Refusal:
        raise ValueError(f"{text!r} is no sender: write no-reply@example.com or Shop <no-reply@example.com>") from None


def _senders(value: object) -> tuple[str, ...]:
    """Addresses, and whole domains as @example.com."""
    names = _names(value)
    for name in names:
        _mailbox(f"anybody{name}" if name.startswith("@") else name)
    return tuple(name.lower() for name in names)


def _durations(least: int, most: int) -> Callable[[object], tuple[float, ...]]:
    read = _duration(least, most)

    def read_all(value: object) -> tuple[float, ...]:
        """A list, or a text with commas; "none" is an empty one."""
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise ValueError(f"{value!r} is no list of durations: write 1m,5m,1h")
        return () if value == "none" else tuple(read(part) for part in parts)

    return read_all


def _switch(value: object) -> bool:
    return value if isinstance(value, bool) else notation.switch(str(value))


def _zone(value: object) -> str:
    name = _text(value).strip()
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone: write one such as UTC or Europe/Berlin") from None
    return name


def _names(value: object) -> tuple[str, ...]:
    """A list, or a text with commas."""
    parts = _text(value).split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise ValueError(f'{value!r} is no list: write ["one", "two"] or one,two')
    return tuple(name for part in parts if (name := _text(part).strip()))


def _base_url(value: object) -> str:
    """Of another service, or how this one is reached from elsewhere; nothing behind its path."""
    text = _text(value).strip().rstrip("/")
    parts = urlsplit(text)
    good = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
    if text and not (good and text.isascii() and text.isprintable() and " " not in text):
        raise ValueError(f"{text!r} is no URL: write one such as https://messages.example.com")
    return text


def _sync_entries(value: object) -> Secret:
    """Options may hold keys: what was written is not repeated."""
    from undercroft.families.sync.declaring import read_entries

    return Secret(read_entries(value) if value else "")


def _sync_rules(value: object) -> str:
    from undercroft.families.sync.declaring import read_rules

    return read_rules(value) if value or value == [] else ""


def _origins(value: object) -> tuple[str, ...]:
    """Where pages come from, as browsers write it."""
    names = _names(value)
    for name in names:
        if name != "*" and not re.fullmatch(r"https?://[a-z0-9.\[\]:-]{1,255}", name):
            raise ValueError(f"{name!r} is no origin: write https://files.example.com, without a path, or *")
    return names


def _channel(value: object) -> str:
    text = _text(value).strip()
    if text not in ("", "sender", "mail", "capture") and not re.fullmatch(r"webhook:.{1,56}", text):
        raise ValueError(f"{text!r} is no channel: write webhook:ROUTE, sender, mail or capture")
    return text


def _bucket(value: object) -> str:
    text = _text(value).strip().rstrip("/")
    if text and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*", text):
        raise ValueError(f"{text!r} is no place for files: write s3://BUCKET or s3://BUCKET/FOLDER")
    return text


def _word(value: object) -> str:
    text = _text(value).strip()
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError(f"{text!r} holds spaces or other than ASCII characters")
    return text


def _listen(value: object) -> tuple[str, ...]:
    addresses = _names(value)
    for text in addresses:
        notation.address(text)
    return addresses


def _proxies(value: object) -> tuple[str, ...]:
    names = _names(value)
    for text in names:
        if text == "unix":
            continue
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"{text!r} is no address: write 10.0.0.7, 10.0.0.0/8, ::1 or unix") from None
    return names


def _one_of(*choices: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        word = _text(value).strip().lower()
        if word not in choices:
            raise ValueError(f"{value!r} is none of {', '.join(choices)}")
        return word

    return read


def _number(least: int, most: int, read_text: Callable[[str], float], show: Callable[[int], str]) -> Any:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{value!r} is no number")
        number = read_text(value) if isinstance(value, str) else value
        if not least <= number <= most:  # also for the TOML's nan
            raise ValueError(f"{value} is out of range: {show(least)} to {show(most)}")
        return number

    return read


def _duration(least: int, most: int) -> Callable[[object], float]:
    read = _number(least, most, notation.duration, notation.duration_text)
    return lambda value: float(read(value))


def _count(text: str) -> int:
    if not re.fullmatch(r"\d{1,12}", text.strip(), re.ASCII):
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def _whole(least: int, most: int, read_text: Callable[[str], int], show: Callable[[int], str]) -> Any:
    read = _number(least, most, read_text, show)

    def whole(value: object) -> int:
        if isinstance(value, float):
            raise ValueError(f"{value} is no whole number")
        return int(read(value))

    return whole


_DAY = 86_400
READERS: dict[str, Callable[[object], Any]] = {
    "data_dir": _path,
    "listen": _listen,
    "database": _database,
    "admin_token": _secret,
    "allow_private_targets": _switch,
    "anonymous": _names,
    "log_format": _one_of("auto", "text", "json"),
    "log_level": _one_of("debug", "info", "warning", "error"),
    "max_body": _whole(2**10, 2**30, notation.size, notation.size_text),
    "request_timeout": _duration(1, 3_600),
    "shutdown_grace": _duration(0, 3_600),
    "webhook_default_scheme": _one_of("http", "https"),
    "keep_delivered": _duration(0, 3_650 * _DAY),
    "keep_dead": _duration(3_600, 3_650 * _DAY),
    "lock_default_ttl": _duration(0, 3_650 * _DAY),
    "lock_maximum_ttl": _duration(0, 3_650 * _DAY),
    "lock_timezone": _zone,
    "lock_require_token": _switch,
    "smtp_url": _smtp,
    "mail_from": _mailbox,
    "mail_from_allowed": _senders,
    "mail_wait": _duration(0, 60),
    "mail_retries": _durations(1, 30 * _DAY),
    "mail_rate": _whole(0, 10**9, _count, str),
    "mail_max_attachments": _whole(0, 50 * 2**20, notation.size, notation.size_text),
    "messaging_channel": _channel,
    "messaging_url": _base_url,
    "messaging_sender_url": _base_url,
    "messaging_sender_token": _secret,
    "messaging_sender_private": _switch,
    "messaging_identity_url": _base_url,
    "messaging_identity_token": _secret,
    "messaging_files": _bucket,
    "messaging_files_endpoint": _base_url,
    "messaging_files_region": _word,
    "messaging_files_key": _word,
    "messaging_files_secret": _secret,
    "mail_keep": _duration(3_600, 3_650 * _DAY),
    "dkim_selector": _text,
    "dkim_domain": _text,
    "dkim_key": _secret,
    "sync_entries": _sync_entries,
    "sync_rules": _sync_rules,
    "sync_origins": _origins,
    "sync_keep_bytes": _whole(0, 2**50, notation.size, notation.size_text),
    "public_signup": _switch,
    "login_expires": _duration(60, 3_650 * _DAY),
    "max_sessions": _whole(1, 10_000, _count, str),
    "apps_per_user": _whole(0, 1_000_000, _count, str),
    "trusted_proxies": _proxies,
    "host_concurrency": _whole(1, 100_000, _count, str),
    "database_pool": _whole(1, 500, _count, str),
    "node_name": _text,
}
