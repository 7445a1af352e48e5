"""What the API tells of itself: the names of metrics, health, where everything is. (contract §5 helpers)"""

import platform
import re
from typing import Any

from undercroft import __version__
from undercroft.database import Database, Transaction
from undercroft.families.messaging import estimates
from undercroft.families.messaging.http.entering import Doorway
from undercroft.families.messaging.http.paging import base_url
from undercroft.families.messaging.http.rendering import ROOT, task_id
from undercroft.machinery.operations import Reply, Request, json_reply

_SEND = "sbm.send_next_message."
_METRICS = (
    "subscriptions.send_next_message_errored.sum",
    *(f"{_SEND}{what}.sum" for what in ("connection_error", *(f"http_error.{n}" for n in (400, 401, 403, 404, 500)),
                                        "timeout")),
    *(f"subscriptions.send.estimate.{day}.last" for day in range(7)),
)  # fmt: skip


class About:
    def __init__(self, database: Database, doorway: Doorway) -> None:
        self._database = database
        self._doorway = doorway

    async def metrics(self, request: Request) -> Reply:
        place, _ = await self._doorway.into(request)
        names = await self._database.read(estimates.set_names, place)
        every = [*_METRICS]
        for kind, name in names:
            every += [f"message.{kind}.{normalised(name)}.sum", f"message.{kind}.sum"]
        return json_reply({"metrics_available": every})

    async def fire_metrics(self, request: Request) -> Reply:
        """Writes the week's estimates anew."""
        place, _ = await self._doorway.into(request)
        found = await self._database.read(estimates.estimate, place, request.now)
        await self._database.write(estimates.put, place, found, request.now)
        return json_reply({"scheduled_metrics_initiated": True}, 201)

    async def health(self, request: Request) -> Reply:
        await self._doorway.into(request)
        await self._database.read(_touch)
        libraries = {"python": platform.python_version(), "database": self._database.engine}
        result = {"database": "Accessible", "version": __version__, "libraries": libraries}
        return json_reply({"up": True, "result": result})

    async def sync_audio(self, request: Request) -> Reply:
        """Nothing to do: files are served from here. The answer is what callers know."""
        await self._doorway.into(request)
        return json_reply({"sync_audio_files_initiated": True, "task_id": task_id(request.now)}, 202)

    async def root(self, request: Request) -> Reply:
        await self._doorway.into(request)
        base = f"{base_url(request)}{ROOT}"
        names = ("subscriptions", "failed-tasks", "behind-subscriptions", "schedule", "messageset", "message",
                 "binarycontent", "identities", "routes", "rules", "runs")  # fmt: skip
        listed: dict[str, Any] = {name: f"{base}/{name}/" for name in names}
        return json_reply(listed)


def normalised(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")


def _touch(tx: Transaction) -> None:
    tx.one("SELECT 1")
