"""What a server says in its headers, for which HTTP knows no encoding."""

from collections.abc import Mapping


def told_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Names in lower case. A value that is no ASCII, such as the name that somebody gave a file, is left out."""
    told: dict[str, str] = {}
    for name in headers:
        try:
            told[name.lower()] = headers[name]
        except ValueError:
            continue
    return told
