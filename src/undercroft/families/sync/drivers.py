"""Which kinds of storages there are, and which options each has. Pure."""

from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit


class Option(NamedTuple):
    kind: type
    required: bool = False
    default: Any = None
    secret: bool = False
    """Never shown."""
    where: bool = False
    """It says which place this is: two entries are apart by these, and an entry that holds files keeps them."""
    to_whom: bool = False
    """It says who is sent the secrets, or what he is known by: they are given anew when it changes."""
    lines: bool = False
    """It may hold line breaks and other control characters: a key, or the name of a folder of this machine."""
    address: bool = False
    """Of a server: everybody who reads entries sees it, so that it holds no credentials."""
    own: bool = False
    """Of its entry's process alone: others need it not to read from there."""


COMMON = {
    "ignore": Option(list, default=(), own=True),
    "bandwidth": Option(int, default=0, own=True),
    "chunk_size": Option(int, default=2**20),
    "delete_share": Option(float, default=0.5, own=True),
    "keep_versions": Option(float, default=30.0, own=True),
    "keep_bytes": Option(int, default=0, own=True),
}
"""Of every driver: patterns of what is left alone; bytes per second (0: no limit); bytes at a time; the share of the
files whose vanishing waits for a confirmation; days that replaced content is kept, and how many bytes of it (0: as the
settings say)."""

LOCAL = "local_storage"

DRIVERS: dict[str, dict[str, Option]] = {
    LOCAL: {"root": Option(str, required=True, where=True, lines=True)},
    "amazon_s3": {
        "bucket": Option(str, required=True, where=True),
        "aws_access_key": Option(str, required=True),
        "aws_secret_key": Option(str, required=True, secret=True),
        "root": Option(str, default="", where=True),
        "region": Option(str, default=""),
        "endpoint": Option(str, default="", where=True, to_whom=True, address=True),
        "path_style": Option(bool, default=True),
        "changes_timer": Option(float, default=10.0, own=True),
    },
    "dropbox": {
        "access_key": Option(str, default=""),
        "access_secret": Option(str, default="", secret=True),
        "refresh_token": Option(str, default="", secret=True),
        "access_token": Option(str, default="", secret=True),
        "account": Option(str, default="", where=True),
        "root": Option(str, default="/", where=True),
        "api_url": Option(str, default="", where=True, to_whom=True, address=True),
        "content_url": Option(str, default="", where=True, to_whom=True, address=True),
        "changes_timer": Option(float, default=60.0, own=True),
    },
    "sftp": {
        "hostname": Option(str, required=True, where=True, to_whom=True, address=True),
        "username": Option(str, required=True, where=True),
        "root": Option(str, default="", where=True),
        "port": Option(int, default=22, where=True, to_whom=True),
        "password": Option(str, default="", secret=True),
        "private_key_path": Option(str, default=""),
        "private_key": Option(str, default="", secret=True, lines=True),
        "private_key_passphrase": Option(str, default="", secret=True),
        "host_key": Option(str, default="", to_whom=True),
        "known_hosts": Option(str, default="", to_whom=True),
        "changes_timer": Option(float, default=300.0, own=True),
    },
    "webdav": {
        "hostname": Option(str, required=True, where=True, to_whom=True, address=True),
        "root": Option(str, default="", where=True),
        "username": Option(str, default="", where=True),
        "password": Option(str, default="", secret=True),
        "token": Option(str, default="", secret=True),
        "ca_file": Option(str, default="", to_whom=True),
        "changes_timer": Option(float, default=60.0, own=True),
    },
}
"""All but the local one have `changes_timer`: after so many seconds they are looked at again."""


def place(driver: str, options: dict[str, Any]) -> str:
    """Which one this is, however it is spelled: two that begin with the same folders are one, or one is within the
    other. It is for comparing alone: what is asked for is what was given."""
    given = with_defaults(driver, options)
    root = str(given["root"])
    if driver == LOCAL:
        return f"{driver}|{'/' * root.startswith('/')}{_folders(root)}"
    server = []
    for name, about in DRIVERS[driver].items():
        if about.address:
            host, path = _server(given[name] or _WHERE_ELSE.get(name, ""))
            root = f"{path}/{root}" if driver == "webdav" else root
            server.append(host if driver == "webdav" else host + path)
        elif about.where and name != "root":
            server.append(str(given[name]).lower() if name == "account" else str(given[name]))
    # Dropbox takes what differs in case only for one.
    return "|".join([driver, *server, f"/{_folders(root.lower() if driver == 'dropbox' else root)}"])


_WHERE_ELSE = {
    "endpoint": "amazonaws.com",
    "api_url": "api.dropboxapi.com",
    "content_url": "content.dropboxapi.com",
}
"""Addresses that go without saying. Amazon's name buckets apart whatever the region."""
_HERE = ("localhost", "127.0.0.1", "::1")
_PORTS = {"http": 80, "https": 443, "": 443}


def _server(address: str) -> tuple[str, str]:
    """Host, with a port that does not go without saying, and path. Raises nothing: what is no address is one alone."""
    try:
        parts = urlsplit(
            address if "://" in address else f"//[{address}]" if address.count(":") > 1 else f"//{address}"
        )
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return address.lower(), ""
    if host in _HERE:
        host = _HERE[0]
    elif host.endswith(".amazonaws.com"):
        host = _WHERE_ELSE["endpoint"]
    path = _folders(unquote(parts.path))
    return host if port in (None, _PORTS.get(parts.scheme)) else f"{host}:{port}", path and f"/{path}"


def _folders(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def with_defaults(driver: str, options: dict[str, Any]) -> dict[str, Any]:
    return {name: options.get(name, about.default) for name, about in {**DRIVERS[driver], **COMMON}.items()}


def for_others(driver: str, options: dict[str, Any]) -> dict[str, Any]:
    """What it takes to read from there."""
    known = {**DRIVERS[driver], **COMMON}
    return {name: value for name, value in options.items() if not known[name].own}


def option(driver: str, options: dict[str, Any], name: str) -> Any:
    """What is given, or the default."""
    if name in options:
        return options[name]
    return {**DRIVERS[driver], **COMMON}[name].default
