"""Which kinds of storages there are, and which options each has. Pure."""

from typing import Any, NamedTuple


class Option(NamedTuple):
    kind: type
    required: bool = False
    default: Any = None
    secret: bool = False
    """Never shown."""
    where: bool = False
    """It says which place this is: two entries are apart by these, and an entry that holds files keeps them."""


COMMON = {
    "ignore": Option(list, default=()),
    "bandwidth": Option(int, default=0),
    "chunk_size": Option(int, default=2**20),
    "delete_share": Option(float, default=0.5),
    "keep_versions": Option(float, default=30.0),
}
"""Of every driver: patterns of what is left alone; bytes per second (0: no limit); bytes at a time; the share of the
files whose vanishing waits for a confirmation; days that replaced content is kept."""

LOCAL = "local_storage"

DRIVERS: dict[str, dict[str, Option]] = {
    LOCAL: {"root": Option(str, required=True, where=True)},
}
"""Beside `root`, all others have `changes_timer`: after so many seconds they are looked at again."""


def option(driver: str, options: dict[str, Any], name: str) -> Any:
    """What is given, or the default."""
    if name in options:
        return options[name]
    return {**DRIVERS[driver], **COMMON}[name].default
