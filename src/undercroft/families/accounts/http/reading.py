"""Bodies as clients of the document send them: JSON whatever Content-Type says, on DELETE too."""

from typing import Any

import msgspec

from undercroft.base.refusals import invalid

_decoder = msgspec.json.Decoder()


def object_in(body: bytes, message: str = "Invalid JSON") -> dict[str, Any]:
    """A JSON object; null is an empty one. Raises Refusal(INVALID, "body") with this message."""
    try:
        found = _decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise invalid("body", message) from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise invalid("body", message)
    return found


def texts_in(body: bytes, message: str = "Invalid JSON") -> dict[str, str]:
    """A JSON object of texts only; null counts as "". Raises Refusal(INVALID, "body")."""
    found = object_in(body, message)
    if not all(value is None or isinstance(value, str) for value in found.values()):
        raise invalid("body", message)
    return {name: value or "" for name, value in found.items()}


def field(found: dict[str, Any], name: str) -> Any:
    """What stands under a name, however its letters are written where it is not there as it should be; None if absent.

    Clients of the document send `Email` as well as `email`. (contracts: apps §1)
    """
    if name in found:
        return found[name]
    return next((value for key, value in found.items() if key.lower() == name), None)


def text_of(found: dict[str, Any], name: str) -> str:
    """Raises Refusal(INVALID, "body") for what is no text; "" where it is absent."""
    value = field(found, name)
    if value is not None and not isinstance(value, str):
        raise invalid("body", f"Invalid JSON: {name} is no text")
    return value or ""
