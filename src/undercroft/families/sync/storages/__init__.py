"""Where files are kept: one file per kind of storage, opened here."""

from pathlib import Path
from typing import Any

from undercroft.families.sync.drivers import LOCAL, place, with_defaults
from undercroft.families.sync.storages.drive import Drive
from undercroft.families.sync.storages.local_storage import LocalStorage
from undercroft.families.sync.storages.marks import Other, Owner
from undercroft.families.sync.storages.others_roots import others_roots
from undercroft.families.sync.storages.remote import RemoteStorage
from undercroft.families.sync.storages.shared_lines import SharedLines
from undercroft.families.sync.storages.storage import Storage

Place = tuple[str, dict[str, Any]]
"""A driver and its options."""


def open_storage(
    at: Place, spool: Path | None = None, owner: Owner | None = None, lines: SharedLines | None = None
) -> Storage:
    """For one thread. `spool`: a folder of this machine, where what arrives for a remote storage is gathered; None for
    whoever only reads. `owner`: whose root it has to be to pass its check. `lines`: connections that many who only read
    have in common, where a storage has such.

    Raises Vanished where there is no root.
    """
    driver, given = at
    options = with_defaults(driver, given)
    if driver == LOCAL:
        return LocalStorage(options["root"], tuple(options["ignore"]), block=options["chunk_size"], owner=owner)
    others = others_roots(place(driver, options))
    return RemoteStorage(drive(driver, options, lines), f"the {driver} storage", options, spool, owner, others)


def drive(driver: str, options: dict[str, Any], lines: SharedLines | None = None) -> Drive:
    """`options`: with defaults. What a kind stands on is imported when there is one: most workers need none of it."""
    match driver:
        case "amazon_s3":
            from undercroft.families.sync.storages.amazon_s3 import AmazonS3

            return AmazonS3(options)
        case "dropbox":
            from undercroft.families.sync.storages.dropbox import Dropbox

            return Dropbox(options)
        case "sftp":
            from undercroft.families.sync.storages.sftp import Sftp

            return Sftp(options, lines)
        case "webdav":
            from undercroft.families.sync.storages.webdav import Webdav

            return Webdav(options)
    raise LookupError(driver)


__all__ = ["Other", "Owner", "Place", "SharedLines", "Storage", "drive", "open_storage"]
