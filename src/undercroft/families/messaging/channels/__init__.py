"""The ways on which messages leave. A channel is one small file: which addresses it takes, and which target it is."""

from typing import NamedTuple

from undercroft.database import Transaction
from undercroft.families.messaging.channels import capture, mail, sender, webhook
from undercroft.families.messaging.channels.targets import NO_SUCH_TARGET

WORDS = ("webhook:ROUTE", "sender", "mail", "capture")


class Sender(NamedTuple):
    """An external message sender: its URL, without /outbound/, and our token there."""

    url: str
    token: str


class Ways(NamedTuple):
    """What the settings say about sending."""

    default: str
    sender: Sender | None = None
    looks_up: bool = False
    """Whether addresses are asked of an external identity service."""
    mails_at_once: int = 8
    """Of one namespace."""
    base_url: str = "http://127.0.0.1:3862"
    """Where others reach this server: files and opt-out links stand there."""


class Way(NamedTuple):
    """Where a set's messages go: a target's id, and the kind of addresses that lead there (None: any)."""

    target: int
    address_kind: str | None


def way_of(tx: Transaction, ways: Ways, namespace: str, channel: str | None, now: int, *, dry_run: bool) -> Way:
    """Of a set's channel. A word that is none of ours is only told to the receiver: it goes by the default channel."""
    if dry_run:
        return Way(capture.target(tx, now), None)
    word = channel if channel is not None and is_ours(channel) else ways.default
    name, _, route = word.partition(":")
    if name == "webhook":
        return Way(webhook.target(tx, namespace, route), webhook.ADDRESS_KIND)
    if name == "mail":
        return Way(mail.target(tx, namespace, ways.mails_at_once, now), mail.ADDRESS_KIND)
    if name == "sender" and ways.sender is not None:
        return Way(sender.target(tx, ways.sender.url, ways.sender.token, now), sender.ADDRESS_KIND)
    if name == "capture":
        return Way(capture.target(tx, now), None)
    return Way(NO_SUCH_TARGET, None)


def is_ours(channel: str) -> bool:
    return channel in ("sender", "mail", "capture") or channel.startswith("webhook:")
