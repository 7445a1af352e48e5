"""`croft run`: a server to try things with, on this machine, with `croft` logged in to it."""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.profiles import Profile, profile_name, save_profile
from undercroft.app.cli.serve import (
    Config,
    Data,
    Database,
    Listen,
    LogFormat,
    LogLevel,
    flags_of,
    settings_or_exit,
)
from undercroft.app.cli.show import harmless

if TYPE_CHECKING:
    from undercroft.app.settings import Settings

DEFAULTS = {"data_dir": Path("var"), "allow_private_targets": True}


def run(
    data: Data = None,
    listen: Listen = None,
    database: Database = None,
    config: Config = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
) -> None:
    """Serve ./var on this machine, ready to play with.

    As `croft serve`; an admin token is made, `croft` is logged in, and deliveries may go to loopback and
    private addresses.

    \b
    croft run
    croft run --listen 127.0.0.1:4000 --data /tmp/try
    """
    flags = flags_of(data, listen, database, log_format, log_level)
    settings = settings_or_exit(flags, config, DEFAULTS)
    token = keep_token(settings.data_dir / "admin-token", settings.admin_token.reveal())
    settings = _with_token(settings, token)
    from undercroft.app.node import serve as serve_node

    def ready(addresses: list[str]) -> None:
        url = url_of(addresses)
        login = _log_in(url, token) if url else ""
        print(harmless("\n".join(banner(settings, addresses, url, login))), flush=True)

    raise typer.Exit(serve_node(settings, on_ready=ready))


def keep_token(path: Path, preset: str) -> str:
    """The admin's token: the preset one, else what the file holds, else a new one. The file then holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = path.read_text().strip() if path.exists() else ""
        token = preset or kept or secrets.token_urlsafe(20)
        # Made with its mode: there is no moment in which others could read it.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.truncate()
            file.write(token + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{path} can't be kept: {error}", "name another folder with --data") from None
    return token


def url_of(addresses: list[str]) -> str:
    """Where a program on this machine reaches the server; "" when it listens on sockets only."""
    for address in addresses:
        text = address.removeprefix("http://")
        if text.startswith("unix:"):
            continue
        host, _, port = text.rstrip("/").rpartition(":")
        here = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "::": "[::1]"}.get(host, host)
        return f"http://{here}:{port}"
    return ""


def banner(settings: "Settings", addresses: list[str], url: str, login: str) -> list[str]:
    where = url or ", ".join(addresses)
    lines = [
        "",
        f"  Undercroft serves {where}",
        f"    timers      {url}/job/DB/COLLECTION and {url}/route/DB",
        f"    locks       {url}/systems/locks",
        f"    messaging   {url}/api/v1/",
        f"    sync        {url}/api/v1.0/files",
        f"    dashboard   {url}/",
        f"    docs        {url}/docs and {url}/openapi.json",
        f"    metrics     {url}/metrics",
        f"    admin token {settings.data_dir / 'admin-token'}",
    ]
    if login:
        lines.append(f"    croft       {login}")
    if not settings.smtp_url:
        lines.append(f"    mail        is captured and goes nowhere, see {url}/dashboard/mails: no smtp_url is set")
    if settings.allow_private_targets:
        lines.append("    deliveries  may go to loopback and private addresses: this server is for trying out")
    return [*lines, "  Ctrl-C stops it.", ""]


def _with_token(settings: "Settings", token: str) -> "Settings":
    import msgspec

    from undercroft.app.notation import Secret

    return msgspec.structs.replace(settings, admin_token=Secret(token))


def _log_in(url: str, token: str) -> str:
    """What became of it: the server runs on when the profile can't be written."""
    try:
        name = profile_name(url)
        before = save_profile(name, Profile(url, token))
    except WrongUsage as failure:
        return f"is not logged in: {failure.message}"
    if before in ("", name):
        return f"is logged in here (profile {name})"
    return f"is logged in here (profile {name}); back to the one before: croft profile use {before}"
