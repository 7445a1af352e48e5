"""The one file that knows every part: builds them and joins them."""

from typing import NamedTuple

from undercroft.app.dashboard import Example, Guide, dashboard
from undercroft.app.house import STATUS, House
from undercroft.app.house import refuse as refuse_in_house
from undercroft.app.openapi import Describing, describe
from undercroft.app.router import Served
from undercroft.app.server import Server
from undercroft.app.settings import Settings
from undercroft.base.clock import SECOND, Clock
from undercroft.database import Database, Migration, migrations_in
from undercroft.families import timers
from undercroft.families.timers import guide as timers_guide
from undercroft.families.timers.refusing import CODES as TIMERS_CODES
from undercroft.machinery.deliveries.courier import Courier
from undercroft.machinery.deliveries.upkeep import Upkeep
from undercroft.machinery.deliveries.webhook import WebhookTransport
from undercroft.machinery.family import Family
from undercroft.machinery.identity.gate import Gate
from undercroft.machinery.loops import Loop

ROOMS_WITH_TABLES = ("undercroft.machinery.identity", "undercroft.machinery.deliveries")
FAMILIES = (timers.FAMILY,)


class Parts(NamedTuple):
    server: Server
    courier: Courier
    transport: WebhookTransport
    upkeep: Upkeep
    loops: list[Loop]


def all_migrations() -> list[Migration]:
    return [migration for room in ROOMS_WITH_TABLES for migration in migrations_in(room)]


def assemble(settings: Settings, database: Database, clock: Clock, node: str, mark: str) -> Parts:
    """`node`: this node's unique name; `mark`: what marks this installation's messages."""
    families: list[Family] = [timers.family(database, settings.webhook_default_scheme)]
    gate = Gate(database, clock)
    transport = WebhookTransport(clock, allow_private=settings.allow_private_targets)
    hooks = {family.name: family.hooks for family in families}
    courier = Courier(database, {"webhook": transport}, hooks, clock, node, mark)
    upkeep = Upkeep(
        courier,
        database,
        keep_delivered=int(settings.keep_delivered * SECOND),
        keep_dead=int(settings.keep_dead * SECOND),
    )
    server = _server(settings, database, gate, clock, families, node)
    loops = [
        *_upkeep_loops(upkeep, database),
        Loop("tokens", gate.write_down_use, 30),
        Loop("connections", transport.tidy, 5),
    ]
    return Parts(server, courier, transport, upkeep, loops + [loop for family in families for loop in family.loops])


def _server(
    settings: Settings, database: Database, gate: Gate, clock: Clock, families: list[Family], node: str
) -> Server:
    house = House(database, FAMILIES)
    served = [Served(operation, "") for operation in house.operations()]
    served += [Served(operation, family.name) for family in families for operation in family.operations]
    served += [Served(operation, "") for operation in Describing(served).operations()]
    pages = dashboard(database, gate, families, _guides(), lambda: describe(served), STATUS, node)
    worded = [*families, pages]
    return Server(
        served + [Served(operation, pages.name) for operation in pages.operations],
        {"": refuse_in_house, **{family.name: family.refuse for family in worded}},
        {prefix: family.name for family in worded for prefix in family.prefixes},
        gate,
        clock,
        settings.max_body,
        settings.anonymous,
    )


def _guides() -> dict[str, Guide]:
    """What the docs say about each family beside its operations."""
    return {
        timers.FAMILY: Guide(
            timers_guide.ABOUT,
            lambda now: {name: Example(*example) for name, example in timers_guide.examples(now).items()},
            timers_guide.FIELDS,
            list(TIMERS_CODES.values()),
        ),
        "undercroft": Guide("The house itself: its health, and tokens for those who come in."),
    }


def _upkeep_loops(upkeep: Upkeep, database: Database) -> list[Loop]:
    loops = [
        Loop("look ahead", upkeep.look_ahead, 1),
        Loop("sweep overdue", upkeep.sweep_overdue, 5),
        Loop("file precisely", upkeep.file_precisely, 30),
        Loop("reclaim expired", upkeep.reclaim_expired, 5),
        Loop("release held", upkeep.release_held, 1),
        Loop("purge", upkeep.purge, 60),
    ]
    if database.engine == "postgres":  # SQLite has one node, whose share is everything
        loops.append(Loop("heartbeat", upkeep.heartbeat, 2))
    return loops
