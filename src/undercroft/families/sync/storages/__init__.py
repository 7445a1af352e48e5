"""Where files are kept: one file per kind of storage, opened here."""

from pathlib import Path
from typing import Any

from undercroft.families.sync.drivers import LOCAL, option
from undercroft.families.sync.storages.local_storage import LocalStorage
from undercroft.families.sync.storages.storage import Storage

Place = tuple[str, dict[str, Any]]
"""A driver and its options."""


def open_storage(place: Place, spool: Path | None = None) -> Storage:
    """For one thread. `spool`: a folder of this machine, where what arrives for a remote storage is gathered; None for
    whoever only reads.

    Raises Vanished where there is no root.
    """
    driver, options = place
    if driver == LOCAL:
        return LocalStorage(
            options["root"], tuple(option(driver, options, "ignore")), block=option(driver, options, "chunk_size")
        )
    raise LookupError(driver)


__all__ = ["Place", "Storage", "open_storage"]
