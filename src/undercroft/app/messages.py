"""From the settings to the ways on which messages leave."""

from undercroft.app.mailing import NOBODY, Mailing, at_once
from undercroft.app.settings import Settings
from undercroft.base.clock import Clock
from undercroft.database import Database
from undercroft.families import messaging
from undercroft.machinery.deliveries.transports import Transport
from undercroft.machinery.deliveries.webhook import WebhookTransport


def ways_of(settings: Settings) -> messaging.Ways:
    sender = None
    if settings.messaging_sender_url:
        sender = messaging.Sender(settings.messaging_sender_url, settings.messaging_sender_token.reveal())
    return messaging.Ways(
        default=settings.messaging_channel or ("sender" if sender else "capture"),
        sender=sender,
        looks_up=bool(settings.messaging_identity_url),
        mails_at_once=at_once(settings),
        base_url=settings.messaging_url or _own_url(settings),
    )


def files_of(settings: Settings) -> messaging.Files:
    """In the data folder, or where `messaging_files` says."""
    bucket = None
    if settings.messaging_files:
        name, _, folder = settings.messaging_files.removeprefix("s3://").partition("/")
        key, secret = settings.messaging_files_key, settings.messaging_files_secret.reveal()
        bucket = messaging.Bucket(
            name, folder, settings.messaging_files_endpoint, settings.messaging_files_region, key, secret
        )
    return messaging.files_in(settings.data_dir / "media", bucket)


def lookup_of(settings: Settings, clock: Clock) -> messaging.Lookup | None:
    """Who is asked for addresses, where it is another service."""
    if not settings.messaging_identity_url:
        return None
    return messaging.Lookup(settings.messaging_identity_url, settings.messaging_identity_token.reveal(), clock)


def transports_of(
    settings: Settings,
    database: Database,
    clock: Clock,
    posting: WebhookTransport,
    post: Mailing,
    lookup: messaging.Lookup | None,
) -> dict[str, Transport]:
    mailed = messaging.MailTransport(database, post.transport, post.outgoing, settings.mail_from or NOBODY, lookup)
    to_sender = posting.beside(allow_private=settings.messaging_sender_private, setting="messaging_sender_private")
    return messaging.transports(clock, posting, to_sender, mailed, lookup)


def _own_url(settings: Settings) -> str:
    """Good on this machine; elsewhere the setting messaging_url says how this server is reached."""
    port = next((address.port for address in settings.addresses if address.port), 3862)
    return f"http://127.0.0.1:{port}"
