"""What people write behind the flags of `croft timers`, and what the server is to read."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from undercroft.app import notation
from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.show import now_ms

if TYPE_CHECKING:
    import msgspec

In = Annotated[str, typer.Option("--in", metavar="DURATION", help="From now on: 500ms, 5s, 1h30m, 7d.")]
At = Annotated[
    str, typer.Option("--at", metavar="MOMENT", help="2030-05-01T09:00 (here), …+02:00, or an epoch number.")
]
After = Annotated[str, typer.Option("--after", metavar="MOMENT", help="Due from then on; also now, +5m, -1h.")]
Before = Annotated[str, typer.Option("--before", metavar="MOMENT", help="Due before then.")]
State = Annotated[
    str,
    typer.Option("--state", metavar="STATE", help="pending, scheduled, retrying, sending, held, delivered or dead."),
]
OfRoute = Annotated[str, typer.Option("--route", "-r", metavar="NAME", help="Only jobs of this route.")]
Cron = Annotated[str, typer.Option("--cron", metavar="EXPR", help="Again and again: '0 9 * * 1-5'.")]
Timezone = Annotated[
    str, typer.Option("--timezone", metavar="ZONE", help="Of --cron, such as Europe/Berlin; else UTC.")
]
Meta = Annotated[str, typer.Option("--meta", metavar="JSON", help="What the webhook gets; @FILE, - for stdin.")]
Retries = Annotated[
    str, typer.Option("--retries", metavar="5,30,2m", help="Pauses between attempts; none for no retry.")
]
Late = Annotated[str, typer.Option("--late", metavar="fire", help="fire: call at once if the moment has passed.")]
JobId = Annotated[str, typer.Argument(metavar="ID")]


def moment(flag: str, text: str) -> int | None:
    """Milliseconds since 1970; None where nothing was written."""
    if not text:
        return None
    try:
        return notation.moment(text, now_ms())
    except ValueError as error:
        raise WrongUsage(f"{flag}: {error}") from None


def seconds(flag: str, text: str) -> float:
    try:
        return notation.duration(text)
    except ValueError as error:
        raise WrongUsage(f"{flag}: {error}") from None


def due(delay: str, at: str) -> int | None:
    """The moment that --in or --at names; None where neither was written."""
    if delay and at:
        raise WrongUsage("--in and --at both say when", "write one of them")
    if delay:
        return now_ms() + round(seconds("--in", delay) * 1_000)
    return moment("--at", at)


def due_or_fail(delay: str, at: str) -> int:
    when = due(delay, at)
    if when is None:
        raise WrongUsage("no moment given", "write --in 5s or --at 2030-05-01T09:00")
    return when


def job_fields(
    when: int | None, route: str, cron: str, timezone: str, meta_text: str, retries: str
) -> dict[str, object]:
    """The fields of a job, those that were written."""
    fields: dict[str, object] = {
        "trigger_time": when,
        "route": route or None,
        "cron": cron or None,
        "timezone": timezone or None,
        "meta": meta(meta_text) if meta_text else None,
        "retries": pauses(retries) if retries else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def filters(state: str, after: str, before: str, route: str) -> dict[str, object]:
    """The query of a list, a bulk delete or a bulk move."""
    return {
        "state": state or None,
        "after": moment("--after", after),
        "before": moment("--before", before),
        "route": route or None,
    }


def pauses(text: str) -> list[float]:
    """Seconds between attempts: "5,30,2m"; "none" is an empty list."""
    if text.strip() == "none":
        return []
    return [whole(seconds("--retries", part)) for part in text.split(",")]


def whole(number: float) -> float:
    """As an int where it is one: 5, not 5.0, in what is sent and shown."""
    return int(number) if number == int(number) else number


def headers(lines: list[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise WrongUsage(f"--header: {line!r} is no header", "write 'Name: value'")
        found[name.strip()] = value.strip()
    return found


def meta(text: str) -> "msgspec.Raw":
    """JSON as it was written, to the last digit: of the flag itself, of @FILE, or of - for stdin."""
    import msgspec

    content = _content(text)
    try:
        content.decode()
        msgspec.json.decode(content, type=msgspec.Raw)  # checked, not read: any number stays as it is
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "write JSON such as '{\"order\": 7}', or @FILE, or - for stdin"
        raise WrongUsage(f"--meta is no JSON: {error}", hint) from None
    return msgspec.Raw(content)


def _content(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        return text.encode(errors="surrogateescape")
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise WrongUsage(f"--meta: {text[1:]} can't be read: {error.strerror}") from None
