"""The one file that knows every part: builds them and joins them."""

from typing import NamedTuple
from zoneinfo import ZoneInfo

from undercroft.app.dashboard import Post, dashboard
from undercroft.app.house import House
from undercroft.app.house import refuse as refuse_in_house
from undercroft.app.mailing import Mailing, mailing
from undercroft.app.messages import files_of, lookup_of, transports_of, ways_of
from undercroft.app.openapi import Describing, describe
from undercroft.app.permissions import HOUSE, access_of
from undercroft.app.router import Served
from undercroft.app.server import Doors, Server
from undercroft.app.settings import Settings
from undercroft.app.sharing import Sharing
from undercroft.base.clock import SECOND, Clock
from undercroft.base.ids import new_secret
from undercroft.database import Database, Migration, migrations_in
from undercroft.families import accounts, locks, mail, messaging, sync, timers
from undercroft.machinery.callers import Callers
from undercroft.machinery.deliveries.courier import Courier
from undercroft.machinery.deliveries.smtp import CaptureTransport, SmtpTransport
from undercroft.machinery.deliveries.upkeep import Upkeep
from undercroft.machinery.deliveries.webhook import WebhookTransport
from undercroft.machinery.family import Family
from undercroft.machinery.guide import Guide
from undercroft.machinery.identity.basic import Basic
from undercroft.machinery.identity.gate import Gate
from undercroft.machinery.identity.logins import Logins
from undercroft.machinery.identity.passwords import Passwords
from undercroft.machinery.identity.upkeep import Forgetting
from undercroft.machinery.leases.actions import Desk
from undercroft.machinery.leases.duties import Duties
from undercroft.machinery.leases.lease_clock import LeaseClock, shared_clock
from undercroft.machinery.leases.waiting import Leases
from undercroft.machinery.loops import Loop
from undercroft.machinery.mail.actions import TRANSPORT
from undercroft.machinery.mail.upkeep import MailUpkeep
from undercroft.machinery.operations import Access, Operation
from undercroft.machinery.processes.supervisor import Supervisor
from undercroft.machinery.wording import STATUS

# The families, each behind its package's door. Adding one begins here.
FAMILIES = (timers, locks, mail, messaging, sync, accounts)
# The packages whose folder `migrations/` is applied at the start, in this order.
ROOMS = (
    "undercroft.machinery.identity",
    "undercroft.machinery.events",
    "undercroft.machinery.deliveries",
    "undercroft.machinery.mail",
    "undercroft.machinery.leases",
    "undercroft.machinery.processes",
    *(family.__name__ for family in FAMILIES),
)
FAMILY_NAMES = tuple(family.FAMILY for family in FAMILIES)
# What a token's scope may name: a family, or the house for its metrics.
SCOPES = (*FAMILY_NAMES, HOUSE)


_ABOUT_THE_HOUSE = Guide("The house itself: its health, tokens for those who come in, and whose a namespace is.")


class Parts(NamedTuple):
    server: Server
    courier: Courier
    transport: WebhookTransport
    relay: SmtpTransport | CaptureTransport
    lookup: messaging.Lookup | None
    upkeep: Upkeep
    leases: Leases
    duties: Duties
    supervisor: Supervisor
    entries: sync.Engine
    loops: list[Loop]


def all_migrations() -> list[Migration]:
    return [migration for room in ROOMS for migration in migrations_in(room)]


def assemble(settings: Settings, database: Database, clock: Clock, node: str, mark: str) -> Parts:
    """`node`: this node's unique name; `mark`: what marks this installation's messages."""
    gate = Gate(database, clock)
    passwords = Passwords()
    logins = Logins(database, passwords)
    callers = Callers(settings.trusted_proxies)
    doors = Doors(gate, Basic(database, logins), callers)
    desk = Desk(LeaseClock(shared_clock(database.engine, clock)), f"{node}/{new_secret()[:8]}")
    leases = Leases(database, desk)
    duties = Duties(leases, node)
    post = mailing(settings, database, clock)
    supervisor = Supervisor(database, node, settings.data_dir / "logs", clock)
    entries = sync.Engine(database, supervisor, settings.data_dir, clock, settings.sync_keep_bytes)
    contents = sync.Contents(database, entries)
    declared = sync.Declared(settings.sync_entries.reveal(), settings.sync_rules)
    # On one node alone; where there can be no other, it does not wait for a lease of its own that it left when killed.
    keep = sync.keeping(entries, database, declared)
    keep_entries = (
        duties.alone("entries", keep, ttl=sync.LEASE, otherwise=entries.leave)
        if database.engine == "postgres"
        else keep
    )
    in_accounts = accounts.Parts(database, gate, passwords, logins, callers, post.send)
    families: list[Family] = [
        timers.family(database, settings.webhook_default_scheme),
        locks.family(database, leases, desk, gate.enter, _lock_rules(settings)),
        mail.family(database, gate.enter, post.outgoing, post.sending),
        messaging.family(database, gate.enter, ways_of(settings), files_of(settings)),
        sync.family(database, entries, contents, gate.enter, keep_entries, settings.sync_origins),
        accounts.family(in_accounts, _account_rules(settings)),
        accounts.user_tokens(in_accounts, _account_rules(settings)),
    ]
    transport = WebhookTransport(clock, allow_private=settings.allow_private_targets)
    lookup = lookup_of(settings, clock)
    hooks = {family.name: family.hooks for family in families}
    transports = {
        "webhook": transport,
        TRANSPORT: post.transport,
        **transports_of(settings, database, clock, transport, post, lookup),
    }
    courier = Courier(
        database,
        transports,
        hooks,
        clock,
        node,
        mark,
        host_concurrency=settings.host_concurrency,
    )
    upkeep = Upkeep(
        courier,
        database,
        keep_delivered=int(settings.keep_delivered * SECOND),
        keep_dead=int(settings.keep_dead * SECOND),
    )
    window = sync.Window(database, entries, contents, gate.enter)
    server = _server(settings, database, doors, clock, families, node, post, window)
    loops = [
        *_upkeep_loops(upkeep, database),
        *_shared_duties(upkeep, leases, Forgetting(database), post.upkeep, duties),
        Loop("lines", leases.keep_lines, 2),
        Loop("tokens", gate.write_down_use, 30),
        Loop("requests", server.give_up_endless, 5),
        Loop("connections", transport.tidy, 5),
        Loop("relay", post.transport.tidy, 5),
    ]
    return Parts(
        server,
        courier,
        transport,
        post.transport,
        lookup,
        upkeep,
        leases,
        duties,
        supervisor,
        entries,
        loops + [loop for family in families for loop in family.loops],
    )


def _lock_rules(settings: Settings) -> locks.Rules:
    return locks.Rules(
        zone=ZoneInfo(settings.lock_timezone),
        default_ttl=int(settings.lock_default_ttl * SECOND),
        maximum_ttl=int(settings.lock_maximum_ttl * SECOND),
        require_token=settings.lock_require_token,
    )


def _account_rules(settings: Settings) -> accounts.Rules:
    return accounts.Rules(
        public_signup=settings.public_signup,
        login_lasts=int(settings.login_expires * SECOND),
        most_logins=settings.max_sessions,
        apps_per_user=settings.apps_per_user,
    )


def _server(
    settings: Settings,
    database: Database,
    doors: Doors,
    clock: Clock,
    families: list[Family],
    node: str,
    post: Mailing,
    window: sync.Window,
) -> Server:
    served = [one for family in families for one in _served(family.name, family.operations)]
    kept_apart = frozenset(
        one.family for one in served if one.operation.namespace or one.access is Access.SCOPED_WITHIN
    )
    house = House(database, SCOPES, mail="relay" if settings.smtp_url else "capture")
    served = _served("", [*house.operations(), *Sharing(database, kept_apart).operations()]) + served
    served += _served("", Describing(served).operations())
    pages = dashboard(
        database, doors.gate, families, _ABOUT_THE_HOUSE, lambda: describe(served), STATUS, node,
        Post(post.outgoing, post.sending.capturing), ways_of(settings),
        window,
    )  # fmt: skip
    return Server(
        served + _served(pages.name, pages.operations),
        refuse_in_house,
        [*families, pages],
        doors,
        clock,
        settings.max_body,
        settings.anonymous,
    )


def _served(family: str, operations: list[Operation]) -> list[Served]:
    return [Served(operation, family, access_of(family, operation.verb)) for operation in operations]


def _upkeep_loops(upkeep: Upkeep, database: Database) -> list[Loop]:
    loops = [
        Loop("look ahead", upkeep.look_ahead, 1),
        Loop("sweep overdue", upkeep.sweep_overdue, 5),
        Loop("file precisely", upkeep.file_precisely, 30),
        Loop("reclaim expired", upkeep.reclaim_expired, 5),
        Loop("release held", upkeep.release_held, 1),
    ]
    if database.engine == "postgres":  # SQLite has one node, whose share is everything
        loops.append(Loop("heartbeat", upkeep.heartbeat, 2))
    return loops


def _shared_duties(
    upkeep: Upkeep, leases: Leases, forgetting: Forgetting, mails: MailUpkeep, duties: Duties
) -> list[Loop]:
    """What one node does for all that share the database."""
    purge = duties.alone("purge", upkeep.purge)
    forget_leases = duties.alone("forget leases", leases.forget_old)
    forget_tries = duties.alone("forget tries", forgetting.forget_old)
    forget_mails = duties.alone("forget mails", mails.purge)
    forget_secrets = duties.alone("forget secrets", mails.forget_secrets)
    return [
        Loop("purge", purge, 60),
        Loop("forget leases", forget_leases, 60),
        Loop("forget tries", forget_tries, 60),
        Loop("forget mails", forget_mails, 60),
        Loop("forget secrets", forget_secrets, 60),
    ]
