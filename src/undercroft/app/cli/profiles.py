"""Profiles: which servers `croft` knows and with which token it speaks to them, in one file of mode 0600."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import typer

from undercroft.app.cli.failures import WrongUsage
from undercroft.app.cli.urls import DEFAULT_URL, checked_url, is_loopback


class Profile(NamedTuple):
    url: str
    token: str
    by_password: bool = False
    """The token was got for a password, and ends when the profile is forgotten."""

    def __repr__(self) -> str:
        return f"Profile(url={self.url!r}, token=…)"


class Profiles(NamedTuple):
    """`current` names the profile that counts where no other is asked for; "" when there is none."""

    current: str
    known: dict[str, Profile]


class Login(NamedTuple):
    """What a call uses. `profile` is "" where the URL came from elsewhere and no profile has it."""

    profile: str
    url: str
    token: str


class Wanted(NamedTuple):
    """The global options."""

    profile: str = ""
    url: str = ""


def profiles_file(environ: Mapping[str, str] = os.environ) -> Path:
    base = environ.get("XDG_CONFIG_HOME", "")
    # A relative one is to be ignored, says the XDG specification.
    folder = Path(base) if base.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".config"
    return folder / "undercroft" / "profiles.toml"


def read_profiles(path: Path | None = None) -> Profiles:
    """Raises WrongUsage when the file is there and can't be understood."""
    import tomllib

    path = path or profiles_file()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        known = {
            name: Profile(str(entry["url"]), str(entry["token"]), entry.get("by_password") is True)
            for name, entry in table.get("profiles", {}).items()
        }
        return Profiles(str(table.get("current", "")), known)
    except FileNotFoundError:
        return Profiles("", {})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not what `croft login` writes"
        raise WrongUsage(f"{path} can't be read: {why}", "mend or remove it, then `croft login URL`") from None


def write_profiles(profiles: Profiles, path: Path | None = None) -> None:
    """Replaces the file in one step; nobody but its owner may read it."""
    import tempfile

    path = path or profiles_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".profiles-")  # mkstemp gives mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_toml(profiles))
        Path(name).replace(path)
    except OSError as error:
        raise WrongUsage(f"{path} can't be written: {error.strerror}", "is its folder yours?") from None


def save_profile(name: str, profile: Profile, path: Path | None = None) -> str:
    """Keeps the profile and makes it the current one; the name of the one that was so before, or ""."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise WrongUsage(f"{name!r} is no name for a profile", "1 to 64 of A-Z a-z 0-9 . _ -")
    before = read_profiles(path)
    write_profiles(Profiles(name, {**before.known, name: profile}), path)
    return before.current


def profile_name(url: str) -> str:
    """The name where none is given: "local", else the host, with the port where one is written."""
    if is_loopback(url) and url.endswith(":3862"):
        return "local"
    host = url.partition("://")[2].partition("/")[0]
    return re.sub(r"[^A-Za-z0-9.]+", "-", host).strip("-.")[:64] or "server"


def chosen(context: typer.Context, environ: Mapping[str, str] = os.environ) -> Login:
    """The login that the global options, the environment and the profiles' file give together."""
    wanted = context.find_root().obj
    return choose(wanted if isinstance(wanted, Wanted) else Wanted(), environ, read_profiles())


def choose(wanted: Wanted, environ: Mapping[str, str], profiles: Profiles) -> Login:
    """`--url`, `--profile`, UNDERCROFT_URL, the current profile: the first that is there names the server.

    A profile's token goes to its own server only, never to a URL from elsewhere.
    """
    token = environ.get("UNDERCROFT_TOKEN", "").strip()
    if wanted.profile:
        profile = known_profile(profiles, wanted.profile)
        url = checked_url(wanted.url) if wanted.url else profile.url
        return Login(wanted.profile, url, token or (profile.token if url == profile.url else ""))
    named = wanted.url or environ.get("UNDERCROFT_URL", "")
    if not named:
        current = profiles.known.get(profiles.current, Profile(DEFAULT_URL, ""))
        return Login(profiles.current, current.url, token or current.token)
    url = checked_url(named)
    for name, profile in profiles.known.items():
        if profile.url == url:
            return Login(name, url, token or profile.token)
    return Login("", url, token)


def known_profile(profiles: Profiles, name: str) -> Profile:
    if name not in profiles.known:
        names = ", ".join(profiles.known) or "none yet"
        raise WrongUsage(
            f"there is no profile {name!r}", f"known: {names}; `croft login URL --profile {name}` makes it"
        )
    return profiles.known[name]


def _toml(profiles: Profiles) -> str:
    def text(value: str) -> str:
        return json.dumps(value, ensure_ascii=False)  # TOML's basic strings are written as JSON's

    lines = ["# Written by `croft login`: tokens are as good as passwords.", ""]
    lines.append(f"current = {text(profiles.current)}")
    for name, profile in profiles.known.items():
        lines += ["", f"[profiles.{text(name)}]"]
        lines += [f"url = {text(profile.url)}", f"token = {text(profile.token)}"]
        lines += ["by_password = true"] if profile.by_password else []
    return "\n".join(lines) + "\n"
