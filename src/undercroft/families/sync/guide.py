"""What the docs say about sync, beside the operations themselves: plain data."""

from collections.abc import Mapping

from undercroft.families.sync.drivers import DRIVERS
from undercroft.machinery.guide import Example, Guide

_BASE = "/api/v1.0"


def examples(_now: int) -> Mapping[str, Example]:
    rules = {"rules": [{"match": {"path": "/backedup/", "mime": ["application/pdf"]}, "sync": []}]}
    return {
        "GET /api/v1.0/files": Example(f"{_BASE}/files?limit=10"),
        "GET /api/v1.0/files/id/{name}": Example(f"{_BASE}/files/id/photos%2Ffoo.jpg"),
        "GET /api/v1.0/entries": Example(f"{_BASE}/entries"),
        "PUT /api/v1.0/rules": Example(f"{_BASE}/rules", rules),
        "GET /api/v1.0/rules": Example(f"{_BASE}/rules"),
        "POST /api/v1.0/rules/preview": Example(f"{_BASE}/rules/preview", rules),
        "PUT /api/v1.0/rules/reload": Example(f"{_BASE}/rules/reload"),
        "GET /api/v1.0/transfers": Example(f"{_BASE}/transfers"),
        "GET /api/v1.0/conflicts": Example(f"{_BASE}/conflicts"),
    }


GUIDE = Guide(
    "Files kept the same in several places, by rules that say which entry holds what.",
    examples,
    {
        "EntryIn": {
            "name": "of the entry; no colon and no slash",
            "driver": f"the kind of storage: {', '.join(DRIVERS)}",
            "options": "of the driver; and of all: ignore, bandwidth, chunk_size, delete_share, keep_versions,"
            " keep_bytes",
        },
        "Rule": {"match": "path and mime that a file has to have", "sync": "the entries that hold it then"},
    },
)
