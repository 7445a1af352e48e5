"""Whether what was printed is what a page shows: moments, made ids and secrets may differ, nothing else."""

import json
import re
from typing import Any

_VARYING = [
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d\d:\d\d", "MOMENT"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "MOMENT"),
    (r"\b\d\d:\d\d:\d\d\.\d{3}\b", "TIME"),
    (r"\b\d{13}\b", "MILLISECONDS"),
    (r"\b\d{10}\b", "SECONDS"),
    (r"\bmsg_[\w-]{8}_[0-9a-z]+_", "msg_MARK_ROW_"),
    (r"\bg[0-9a-z]{25}\b", "ID"),
    (r"whsec_[A-Za-z0-9+/]{43}=", "SECRET"),
    (r"\bv1,[A-Za-z0-9+/]{43}=", "SIGNATURE"),
    (r"\b[A-Za-z0-9_-]{27}\b", "TOKEN"),
    (r"\b\d+ ms late\b", "N ms late"),
    (r"\((in )?(\d+h)?(\d+m)?\d+s( ago)?\)|\(now\)", "(DISTANCE)"),
    (r"\b\d+ms\b", "Nms"),
]
_MOMENTS_FROM = 10**12
_ANY_NUMBER = {"took_ms"}


def plain(text: str) -> str:
    """The text with everything that varies from run to run replaced by what it is, and its blanks made even."""
    for pattern, name in _VARYING:
        text = re.sub(pattern, name, text)
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


def shows(shown: str, expected: str) -> bool:
    """Whether the expected lines are there, one after the other; `…` in them stands for anything within a line."""
    parts = [re.escape(part) for part in plain(expected).split("…")]
    return re.search("^" + r"[^\n]*".join(parts) + "$", plain(shown), re.M) is not None


def values(text: str) -> list[Any]:
    """JSON values that stand in a row. Raises ValueError where something else stands between them."""
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


def alike(expected: Any, actual: Any, key: str = "") -> bool:
    """The same JSON, but for moments, made texts and durations."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(alike(expected[k], actual[k], k) for k in expected)
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(alike(*pair) for pair in zip(expected, actual, strict=True))
    if isinstance(expected, str) and isinstance(actual, str):
        return shows(actual, expected)
    if type(expected) is not type(actual):
        return False
    if isinstance(expected, int):
        both_moments = expected >= _MOMENTS_FROM and actual >= _MOMENTS_FROM
        return expected == actual or both_moments or key in _ANY_NUMBER
    return bool(expected == actual)
