"""What people write behind the flags of `croft mail`, and what the server is to read."""

import base64
import mimetypes
import sys
from pathlib import Path
from typing import Annotated

import typer

from undercroft.app.cli.failures import WrongUsage

Namespace = Annotated[str, typer.Option("--namespace", metavar="NAME", help="Whose it is, where that is not clear.")]
EmailId = Annotated[str, typer.Argument(metavar="ID")]
Address = Annotated[str, typer.Argument(metavar="ADDRESS")]


def text(flag: str, written: str) -> str:
    """As it was written, of @FILE, or of - for stdin."""
    try:
        if written == "-":
            return sys.stdin.buffer.read().decode()
        return Path(written[1:]).read_text("utf-8") if written.startswith("@") else written
    except UnicodeDecodeError:
        raise WrongUsage(f"{flag}: {written} is not UTF-8", "attach it with --attach instead") from None
    except OSError as error:
        raise WrongUsage(f"{flag}: {written[1:]} can't be read: {error.strerror}") from None


def attachment(path: str) -> dict[str, str]:
    kind, coding = mimetypes.guess_type(path)
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise WrongUsage(f"--attach: {path} can't be read: {error.strerror}") from None
    return {
        "name": Path(path).name,
        "type": kind if kind and not coding else "application/octet-stream",
        "content": base64.b64encode(content).decode(),
    }


def pairs(flag: str, written: list[str], sign: str) -> dict[str, str]:
    """Of `name=value` or `Name: value`."""
    found = {}
    for one in written:
        name, between, value = one.partition(sign)
        if not between or not name.strip():
            raise WrongUsage(f"{flag}: {one!r} has no {sign!r}", f"write {flag} 'name{sign}value'")
        found[name.strip()] = value.strip() if sign == ":" else value
    return found


def where(namespace: str) -> dict[str, object]:
    return {"namespace": namespace or None}
