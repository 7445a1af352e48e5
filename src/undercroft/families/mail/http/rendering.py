"""Mails as they are shown: what is read of them, in one go each."""

from undercroft.database import Transaction
from undercroft.families.mail.http import shapes
from undercroft.machinery.deliveries.model import Delivery
from undercroft.machinery.deliveries.model import State as DeliveryState
from undercroft.machinery.mail import actions, store
from undercroft.machinery.mail.addresses import Mailbox
from undercroft.machinery.mail.message import message_id
from undercroft.machinery.mail.model import State
from undercroft.machinery.mail.store import Kept, KeptRecipient

AS_FILE = ((b"content-disposition", b"attachment"),)


def page(tx: Transaction, namespace: str, state: State | None, before: str | None, limit: int) -> shapes.EmailList:
    found = store.page(tx, [namespace], state, before, limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return shapes.EmailList(_listed(tx, found[:limit]), following)


def page_to(
    tx: Transaction, namespace: str, address: str, state: State | None, before: str | None, limit: int
) -> shapes.EmailList:
    found, following = store.page_to(tx, namespace, address, state, before, limit)
    return shapes.EmailList(_listed(tx, found), following)


def email(tx: Transaction, namespace: str, id: str) -> shapes.EmailOut:
    """Raises Refusal(NOT_FOUND)."""
    kept, mail = actions.require(tx, namespace, id)
    rows = actions.deliveries_of(tx, kept)
    recipients = store.recipients_of(tx, [id])[id]
    return shapes.EmailOut(
        id=kept.id,
        state=word(kept.state),
        sender=mail.sender.written(),
        to=_written(mail.to),
        cc=_written(mail.cc),
        bcc=_written(mail.bcc),
        reply_to=_written(mail.reply_to),
        subject=mail.subject,
        text=mail.text,
        html=mail.html,
        headers=dict(mail.headers),
        tags=list(mail.tags),
        unsubscribe=list(mail.unsubscribe),
        attachments=[
            shapes.AttachmentOut(one.name, one.type, len(one.content), one.content_id) for one in mail.attachments
        ],
        message_id=message_id(mail, id),
        created_at=kept.created_at,
        send_at=kept.send_at,
        owner=kept.owner,
        namespace=kept.namespace,
        recipients=[_recipient(one, rows.get(one.position)) for one in recipients],
    )


def word(state: State) -> shapes.StateWord:
    return state.name.lower()  # type: ignore[return-value]


def _listed(tx: Transaction, found: list[Kept]) -> list[shapes.ListedEmail]:
    recipients = store.recipients_of(tx, [one.id for one in found])
    return [
        shapes.ListedEmail(
            one.id,
            word(one.state),
            one.sender,
            [each.address for each in recipients[one.id]],
            one.subject,
            one.created_at,
            one.send_at,
        )
        for one in found
    ]


def _recipient(one: KeptRecipient, row: Delivery | None) -> shapes.RecipientOut:
    waits = row is not None and row.state in (DeliveryState.FILED, DeliveryState.SCHEDULED, DeliveryState.HELD)
    following = None if row is None or not waits else row.planned_at if row.state == DeliveryState.FILED else row.due_at
    attempts = 0 if row is None else row.attempts
    return shapes.RecipientOut(one.address, one.kind, word(one.state), one.reply, one.settled_at, attempts, following)


def _written(mailboxes: tuple[Mailbox, ...]) -> list[str]:
    return [one.written() for one in mailboxes]
