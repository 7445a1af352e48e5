"""How the command line shows things. No control character from elsewhere gets through."""

import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from undercroft.app.notation import duration_text

if TYPE_CHECKING:
    from rich.console import Console

# Where nobody looks at the width (a pipe, a file) nothing is folded.
_UNFOLDED = 10_000
# Columns as narrow as a moment are not folded where it gets narrow: the wide ones give way.
_A_MOMENT = len("2030-05-01 09:00:00.250 +02:00")
_LAST_MOMENT = 253_402_300_799_999


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def print_json(value: object) -> None:
    """One line of JSON on stdout, and nothing else there."""
    sys.stdout.write(_encoded(value).decode() + "\n")


def pretty_json(value: object) -> str:
    import msgspec

    return msgspec.json.format(_encoded(value), indent=2).decode()


def _encoded(value: object) -> bytes:
    import msgspec

    return msgspec.json.Encoder(decimal_format="number").encode(value)


def say(text: str) -> None:
    """One line for people on stdout."""
    print(harmless(text))


def note(text: str) -> None:
    """One line for people beside the result: on stderr."""
    print(harmless(text), file=sys.stderr)


def harmless(text: str) -> str:
    """Control characters, text direction and lone surrogates, which could steer a terminal, as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def in_one_line(text: str) -> str:
    return harmless(text).replace("\n", " ")


def console(*, stderr: bool = False) -> "Console":
    from rich.console import Console

    wide = None if (sys.stderr if stderr else sys.stdout).isatty() else _UNFOLDED
    return Console(stderr=stderr, width=wide, highlight=False, markup=False, emoji=False)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, show_header: bool = True) -> None:
    """Columns; on a terminal folded to its width, elsewhere one line per row whatever its length."""
    cells = [[in_one_line(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich_table(headers, cells, show_header)
    else:
        _print_plain_table([list(headers), *cells] if show_header else cells)


def _print_rich_table(headers: Sequence[str], rows: list[list[str]], show_header: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    # The last column gets what the others leave, and is cut there: a list has one line per row where it can.
    room = max(out.width - sum(widths[:-1]) - 2 * len(widths), 4)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0), show_header=show_header)
    for header, width in zip(headers, widths, strict=True):
        table.add_column(header, overflow="fold", no_wrap=width <= _A_MOMENT)
    for row in rows:
        table.add_row(*(Text(cell) for cell in (*row[:-1], shortened(row[-1], room))))
    out.print(table)


def _print_plain_table(rows: list[list[str]]) -> None:
    """Rich would take a millisecond for each row."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Name and value, line by line; empty ones are left out."""
    told = [(name, harmless(value)) for name, value in facts if value]
    width = max(len(name) for name, _ in told)
    for name, value in told:
        title = typer.style(name, bold=True) + " " * (width - len(name))
        typer.echo(title + "  " + value.replace("\n", "\n" + " " * (width + 2)))


def moment_text(ms: object) -> str:
    """2030-05-01 09:00:00.250 +02:00 in this machine's zone; "" for None."""
    if not isinstance(ms, int):
        return ""
    if not 0 <= ms <= _LAST_MOMENT:
        return str(ms)
    local = datetime.fromtimestamp(ms // 1_000, UTC).astimezone().replace(microsecond=ms % 1_000 * 1_000)
    text = local.isoformat(" ", "milliseconds")
    return f"{text[:23]} {text[23:]}"


def distance_text(ms: int, now: int) -> str:
    """ "in 5s", "2h ago", coarse where it is far."""
    seconds = round(abs(ms - now) / 1_000)
    step = 1 if seconds < 3_600 else 60 if seconds < 86_400 else 3_600
    if seconds < 1:
        return "now"
    text = duration_text(seconds // step * step)
    return f"in {text}" if ms > now else f"{text} ago"


def moment_and_distance(ms: int) -> str:
    return f"{moment_text(ms)} ({distance_text(ms, now_ms())})"


def one_line(value: Any, most: int = 60) -> str:
    """A value as JSON, cut where it gets long."""
    return shortened(_encoded(value).decode(), most)


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
