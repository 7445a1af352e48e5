"""One webhook that has arrived: what it says, how late it is, whether its signature is right."""

import contextlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from undercroft.app.cli.show import harmless, moment_text
from undercroft.base.clock import MINUTE, SECOND

if TYPE_CHECKING:
    from rich.text import Text

# Standard Webhooks asks receivers to refuse what was signed longer ago than this: it may be a replay.
TOLERANCE = 5 * MINUTE
LONGEST_SHOWN = 4_000
_OWN = "x-undercroft-"


@dataclass(frozen=True)
class Arrival:
    """`at` in milliseconds UTC; `path` with its query; header names in lower case."""

    at: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    signature: str | None
    """"right", or what is wrong with it; None where nobody asked."""

    @property
    def late_ms(self) -> int | None:
        """Behind the moment at which it was due, where it says so."""
        due = self.headers.get("x-undercroft-due", "")
        return self.at - int(due) if due.isascii() and due.isdigit() and len(due) < 16 else None


Check = Callable[[dict[str, str], bytes, int], str]


def signature_check(secret: str) -> Check:
    """Raises undercroft's Refusal when `secret` is no whsec_…"""
    from undercroft.machinery.deliveries.signatures import sign, signing_key

    keys = [signing_key(secret)]

    def verdict(headers: dict[str, str], body: bytes, now: int) -> str:
        id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        signatures = headers.get("webhook-signature", "").split()
        if not signatures:
            return "missing"
        if not (id and stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
            return "without webhook-id or webhook-timestamp"
        right = sign(keys, id, int(stamp), body).encode()
        if not any(hmac.compare_digest(right, given.encode()) for given in signatures):
            return "wrong: another secret, or the body was changed"
        if abs(now - int(stamp) * SECOND) > TOLERANCE:
            return "right, but its timestamp is more than 5 minutes off"
        return "right"

    return verdict


def as_json(arrival: Arrival) -> dict[str, Any]:
    return {
        "at": arrival.at,
        "method": arrival.method,
        "path": arrival.path,
        "headers": arrival.headers,
        "body": arrival.body.decode(errors="replace"),
        "late_ms": arrival.late_ms,
        "signature": arrival.signature,
    }


def as_text(arrival: Arrival, status: int) -> "Text":
    """Several lines, coloured where the terminal can."""
    from rich.text import Text

    text = Text()
    text.append(moment_text(arrival.at)[11:23], "dim")
    text.append(f" {harmless(arrival.method)} ", "bold")
    text.append(harmless(arrival.path), "bold cyan")
    text.append(f" → {status}", "green" if 200 <= status < 300 else "red")
    text.append(f"  {_timing(arrival)}\n")
    if arrival.signature is not None:
        style = "green" if arrival.signature == "right" else "red"
        text.append("  signature ", "dim").append(arrival.signature, style).append("\n")
    for name, value in _shown_headers(arrival.headers):
        text.append(f"  {harmless(name)} ", "dim").append(harmless(value)).append("\n")
    text.append(_indented(harmless(_readable(arrival.body))))
    return text


def _timing(arrival: Arrival) -> str:
    words = []
    if (late := arrival.late_ms) is not None:
        words.append(f"{late} ms late" if late >= 0 else f"{-late} ms early")
    if attempt := arrival.headers.get("x-undercroft-attempt"):
        words.append(f"attempt {harmless(attempt)}")
    return ", ".join(words)


def _shown_headers(headers: dict[str, str]) -> Iterable[tuple[str, str]]:
    for name, value in headers.items():
        if name == "webhook-id" or name.startswith(_OWN):
            yield name, value


def _readable(body: bytes) -> str:
    """JSON indented, other text as it is, binary by its length."""
    import msgspec

    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"({len(body)} bytes that are no text)"
    with contextlib.suppress(msgspec.DecodeError):
        text = msgspec.json.format(body, indent=2).decode() if body else "(no body)"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text)} characters in all)"


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())
