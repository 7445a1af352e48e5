"""Entries and rules: what they may be. Pure."""

import mimetypes
import re
from collections.abc import Collection
from typing import Any

import msgspec

from undercroft.base.refusals import invalid
from undercroft.families.sync.drivers import COMMON, DRIVERS, Option, with_defaults
from undercroft.families.sync.names import LONGEST_PATH, is_text

FAMILY = "sync"
# Rules of all in one list; more is a mistake of whoever generated them.
MOST_RULES = 10_000
# Entries and kinds of files that one rule names, and characters of a kind (RFC 6838 has 127 on each side).
MOST_NAMED, LONGEST_MIME = 1_000, 255
LONGEST_ENTRY_NAME = 100
HIDDEN = "***"

_types = mimetypes.MimeTypes()  # ours alone: what this machine has installed must not change who holds what
_BOUNDS: dict[str, tuple[float, float]] = {
    "bandwidth": (0, 2**40),
    "changes_timer": (0.5, 86_400),
    "chunk_size": (2**10, 2**28),
    "delete_share": (0, 1),
    "keep_bytes": (0, 2**50),
    "keep_versions": (0, 36_500),
    "port": (1, 65_535),
}
# Who asks may read what comes before a host (`user:password@`) and behind `?` otherwise than we do: neither is taken.
_ADDRESS = re.compile(r"(https?://)?[^/?#@\\\s]*[^/?#@\\\s:](/[^?#\\]*)?", re.IGNORECASE)
_REGION = re.compile(r"[A-Za-z0-9._-]*")  # it becomes a part of a host's name
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_KINDS: dict[type, str] = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list of texts",
}  # fmt: skip
MOST_PATTERNS = 1_000
# Bytes of an entry's options together: every worker is told how to read from all entries.
LONGEST_OPTIONS = 2**17
LONGEST_TEXT = 4_096
_MIME = re.compile(r"[\w.+-]+/([\w.+-]+|\*)")


class Match(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    path: str | None = None
    """A beginning of paths, on the border of a folder; with a slash in front. `/a` is the file too, `/a/` only what is
    below. Absent: everything."""
    mime: tuple[str, ...] | None = None
    """`application/pdf` or `image/*`, guessed by the name. Absent or empty: any."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    match: Match
    sync: tuple[str, ...]
    """Names of entries."""


def mimetype(filename: str) -> str | None:
    return _types.guess_type(filename, strict=False)[0]


def check_rules(rules: Collection[Rule], entries: Collection[str]) -> None:
    """Raises Refusal(INVALID, "rules") for what can't be applied."""
    if len(rules) > MOST_RULES:
        raise invalid("rules", f"there are more than {MOST_RULES} rules")
    for number, rule in enumerate(rules, 1):
        strange = next((name for name in rule.sync if name not in entries), None)
        if strange is not None:
            raise invalid("rules", f"rule {number}: there is no entry {strange[:100]!r}")
        path = rule.match.path
        if path is not None and (not path.startswith("/") or "\x00" in path or not is_text(path)):
            raise invalid("rules", f"rule {number}: path begins with / and holds no NUL")
        if path is not None and len(path.encode()) > LONGEST_PATH + len("//"):
            raise invalid("rules", f"rule {number}: path has up to {LONGEST_PATH} bytes between its slashes")
        if max(len(rule.sync), len(rule.match.mime or ())) > MOST_NAMED:
            raise invalid("rules", f"rule {number}: it has up to {MOST_NAMED} entries and as many kinds")
        for mime in rule.match.mime or ():
            if len(mime) > LONGEST_MIME or not _MIME.fullmatch(mime):
                raise invalid("rules", f"rule {number}: mime is such as application/pdf or image/*")


def check_entry(name: str, driver: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options as they are kept.

    Raises Refusal(INVALID, "entry") for a name, a driver or options that can't be.
    """
    bad = not name or name in (".", "..") or any(c in name for c in ":/\x00") or not name.isprintable()
    if bad or len(name) > LONGEST_ENTRY_NAME or not is_text(name):
        raise invalid("entry", f"an entry's name has 1 to {LONGEST_ENTRY_NAME} printable characters, no : and no /")
    if driver not in DRIVERS:
        raise invalid("entry", f"there is no driver {driver[:50]!r}; there are {', '.join(sorted(DRIVERS))}")
    known = {**DRIVERS[driver], **COMMON}
    for option, value in options.items():
        if option not in known:
            raise invalid("entry", f"{driver} has no option {option[:50]!r}; it has {', '.join(known)}")
        _check_option(option, known[option], value)
    if len(msgspec.json.encode(options)) > LONGEST_OPTIONS:
        raise invalid("entry", f"an entry's options take up to {LONGEST_OPTIONS // 1024} KiB together")
    missing = [option for option, about in known.items() if about.required and not options.get(option)]
    if missing:
        raise invalid("entry", f"{driver} needs the option {missing[0]!r}")
    return options


def visible(driver: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options without secrets."""
    secrets = _secrets(driver)
    return {name: HIDDEN if name in secrets and value else value for name, value in options.items()}


def with_secrets(driver: str, options: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """What was shown hidden and comes back so is left as it was.

    Raises Refusal(INVALID, "entry") where another server would be sent it: who can't see a secret gives it to nobody.
    """
    back = {name for name in _secrets(driver) & before.keys() if options.get(name) == HIDDEN}
    now, then = with_defaults(driver, options), with_defaults(driver, before)
    moved = [name for name, about in DRIVERS[driver].items() if about.to_whom and now[name] != then[name]]
    if back and moved:
        raise invalid("entry", f"{moved[0]} says who is sent {min(back)}: give that anew, not as {HIDDEN}")
    return {name: before[name] if name in back else value for name, value in options.items()}


def _secrets(driver: str) -> set[str]:
    return {name for name, about in DRIVERS[driver].items() if about.secret}


def _check_option(name: str, about: Option, value: Any) -> None:
    good = isinstance(value, about.kind) and not (about.kind is not bool and isinstance(value, bool))
    if about.kind is float and isinstance(value, int) and not isinstance(value, bool):
        good = True
    if about.kind is list:
        good = isinstance(value, list) and len(value) <= MOST_PATTERNS and all(map(_is_fit, value))
    if about.kind is str:
        good = _is_fit(value)
        if good:
            _check_text(name, about, value)
    if good and name in _BOUNDS:
        least, most = _BOUNDS[name]
        if not least <= value <= most:
            raise invalid("entry", f"the option {name!r} is {least} to {most}")
    if not good:
        raise invalid("entry", f"the option {name!r} is {_KINDS[about.kind]}; this value can't be used")


def _check_text(name: str, about: Option, value: str) -> None:
    if not about.lines and _CONTROL.search(value):
        raise invalid("entry", f"the option {name!r} holds no line break and no other control character")
    if name == "region" and not _REGION.fullmatch(value):
        raise invalid("entry", "the option 'region' is such as us-east-1")
    if about.address and value and not _ADDRESS.fullmatch(value):
        raise invalid(
            "entry", f"the option {name!r} is such as https://host:port/path: no name, password or query in it"
        )


def _is_fit(value: Any) -> bool:
    return isinstance(value, str) and "\x00" not in value and is_text(value) and len(value) <= LONGEST_TEXT
