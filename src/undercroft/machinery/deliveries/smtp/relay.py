"""Where mail is handed over: read from its URL. Pure."""

import ssl
from pathlib import Path
from typing import Literal, NamedTuple, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

StartTls = Literal["required", "auto", "never"]
_OPTIONS = ("starttls", "verify", "ca", "helo", "connections")
_FORM = "smtp://user:password@host:587 or smtps://user:password@host:465"
CONNECTIONS, MOST_CONNECTIONS = 16, 50


class Relay(NamedTuple):
    host: str
    port: int
    tls: bool = False
    """From the first byte on, as port 465 has it."""
    starttls: StartTls = "auto"
    user: str | None = None
    password: str | None = None
    verify: bool = True
    ca: str = ""
    """A file of certificates to trust instead of the system's."""
    helo: str = ""
    connections: int = CONNECTIONS

    def __repr__(self) -> str:
        return f"Relay({self.shown()})"

    def shown(self) -> str:
        """For logs and pages."""
        return f"{'smtps' if self.tls else 'smtp'}://{self.host}:{self.port}"


def read_relay(url: str) -> Relay:
    """Raises ValueError that says what to write instead, and repeats nothing that may be a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(f"is no URL: write {_FORM}, the password's / @ : # ? % percent-encoded") from None
    if parts.scheme not in ("smtp", "smtps"):
        raise ValueError(f"a relay is written {_FORM}")
    if not parts.hostname or any(c.isspace() or ord(c) < 32 for c in url):
        raise ValueError(f"names no host: write {_FORM}")
    if parts.path not in ("", "/") or parts.fragment:
        raise ValueError("ends behind the port: percent-encode the password's / as %2F and # as %23")
    if parts.password is not None and not parts.username:
        raise ValueError(f"has a password and no user: write {_FORM}")
    options = _options(query, parts.password is not None)
    tls = parts.scheme == "smtps"
    usual = 465 if tls else 587 if parts.username else 25
    if tls and "starttls" in dict(query):
        raise ValueError("starttls goes with smtp://: with smtps:// all is encrypted from the first byte on")
    return Relay(
        parts.hostname,
        usual if port is None else port,
        tls,
        options.starttls,
        unquote(parts.username) if parts.username else None,
        unquote(parts.password or "") if parts.username else None,
        options.verify,
        options.ca,
        options.helo,
        options.connections,
    )


def trust(relay: Relay) -> ssl.SSLContext:
    """Raises OSError for a file of certificates that can't be read."""
    context = ssl.create_default_context(cafile=relay.ca or None)
    if not relay.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _Options(NamedTuple):
    starttls: StartTls
    verify: bool
    ca: str
    helo: str
    connections: int


def _options(query: list[tuple[str, str]], with_password: bool) -> _Options:
    given = dict(query)
    strange = next((name for name in given if name not in _OPTIONS), None)
    if strange is not None or len(given) < len(query):
        raise ValueError(f"has an option that is unknown or there twice; options are {', '.join(_OPTIONS)}")
    # A password is not handed to whoever answers unless it is known who that is.
    starttls = given.get("starttls", "required" if with_password else "auto")
    if starttls not in get_args(StartTls):
        raise ValueError("starttls is required, auto or never")
    if given.get("verify", "yes") not in ("yes", "no"):
        raise ValueError("verify is yes or no")
    if given.get("ca") is not None and not Path(given["ca"]).is_file():
        raise ValueError(f"ca: {given['ca']!r} is no file")
    helo = given.get("helo", "")
    if not helo.isascii() or not all(c.isalnum() or c in ".-[]:" for c in helo):
        raise ValueError("helo is this server's name, such as mail.example.com")
    connections = given.get("connections", str(CONNECTIONS))
    if not (connections.isascii() and connections.isdecimal() and 1 <= int(connections[:9]) <= MOST_CONNECTIONS):
        raise ValueError(f"connections is a number from 1 to {MOST_CONNECTIONS}")
    return _Options(
        starttls,  # type: ignore[arg-type]
        given.get("verify", "yes") == "yes",
        given.get("ca", ""),
        helo,
        int(connections),
    )
