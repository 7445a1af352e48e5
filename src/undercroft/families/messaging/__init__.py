"""Staged messaging: message sets on schedules, step by step to each subscriber. The family's only door."""

from functools import partial

from undercroft.base.clock import Clock
from undercroft.database import Database
from undercroft.families.messaging.behind import Search
from undercroft.families.messaging.binaries import Removal
from undercroft.families.messaging.channels import Sender, Ways, capture, mail, sender, webhook
from undercroft.families.messaging.channels.mail import MailTransport
from undercroft.families.messaging.channels.targets import FAMILY
from undercroft.families.messaging.failed import replay
from undercroft.families.messaging.figures import Figures
from undercroft.families.messaging.files import Bucket, Files, files_in
from undercroft.families.messaging.forgetting import Forgetting
from undercroft.families.messaging.guide import GUIDE
from undercroft.families.messaging.http import operations
from undercroft.families.messaging.looking import (
    Failure,
    Send,
    place_of_failure,
    recent_failures,
    recent_sends,
    try_again,
)
from undercroft.families.messaging.lookup import Lookup
from undercroft.families.messaging.refusing import refuse
from undercroft.families.messaging.runs import Runs, tick
from undercroft.families.messaging.settling import settled
from undercroft.machinery.deliveries.hooks import Hooks
from undercroft.machinery.deliveries.transports import Transport
from undercroft.machinery.deliveries.webhook import WebhookTransport
from undercroft.machinery.family import Family
from undercroft.machinery.identity.entering import Enter
from undercroft.machinery.loops import Loop

_NOUNS = (
    "schedule", "messageset", "messageset_languages", "message", "binarycontent", "subscriptions", "failed-tasks",
    "behind-subscriptions", "runsendestimate", "sync_audio_files", "identities", "routes", "rules", "runs", "optout",
)  # fmt: skip


def family(database: Database, enter: Enter, ways: Ways, files: Files) -> Family:
    """`enter`: the gate's; `files`: where the bytes of files are."""
    runs, search, removal = Runs(database, ways), Search(database), Removal(database, files)
    return Family(
        name=FAMILY,
        operations=operations(database, enter, ways, files),
        refuse=refuse,
        prefixes=(*(f"api/v1/{noun}" for noun in _NOUNS), "api/metrics", "api/health", "media"),
        hooks=Hooks(due=tick, settled=settled, replay=partial(replay, ways=ways)),
        loops=(
            Loop("message runs", runs.step, 0.25),
            Loop("who is behind", search.step, 1),
            Loop("remove files", removal.step, 10),
            Loop("forget old runs", Forgetting(database).step, 600),
            Loop("message figures", Figures(database).step, 15),
        ),
        guide=GUIDE,
        basic=True,
        resourceful=True,
        headers=((b"vary", b"Accept"), (b"x-frame-options", b"SAMEORIGIN")),
    )


def transports(
    clock: Clock, posting: WebhookTransport, to_sender: WebhookTransport, mailed: MailTransport, lookup: Lookup | None
) -> dict[str, Transport]:
    """By the names that targets of this family have. `posting`: to users' routes; `to_sender`: to the operator's
    message sender."""
    return {
        webhook.TRANSPORT: webhook.PostTransport(posting, lookup),
        sender.TRANSPORT: sender.SenderTransport(to_sender, lookup),
        capture.TRANSPORT: capture.CaptureTransport(clock),
        mail.TRANSPORT: mailed,
    }


__all__ = [
    "FAMILY",
    "Bucket",
    "Failure",
    "Files",
    "Lookup",
    "MailTransport",
    "Send",
    "Sender",
    "Ways",
    "family",
    "files_in",
    "place_of_failure",
    "recent_failures",
    "recent_sends",
    "transports",
    "try_again",
]
