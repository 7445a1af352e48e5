"""What the docs say about mail, beside the operations themselves: plain data. A test runs every example."""

from typing import Any

from undercroft.base.clock import HOUR
from undercroft.families.mail.refusing import CODES
from undercroft.machinery.guide import Example, Guide

ABOUT = "Send an e-mail, now or later: to a relay over SMTP, kept until it is accepted; without a relay kept and shown."

FIELDS: dict[str, dict[str, str]] = {
    "EmailIn": {
        "to": "whom it is for: one address, several with commas, or a list; with or without names",
        "subject": "one line",
        "body": "text; HTML if it starts like HTML, and the text is then made of it",
        "text": "the text, beside html",
        "html": "the HTML, beside text",
        "cc": "as to",
        "bcc": "as to; in no header",
        "reply_to": "whom answers go to",
        "from": "who it is from, where the setting mail_from_allowed lets you say so",
        "attachments": "files in base64",
        "headers": "further headers of your own",
        "tags": "words to find it by",
        "unsubscribe": "https:// or mailto:, or one of each: List-Unsubscribe",
        "send_at": "when to send it: 2030-05-01T09:00:00Z, or a number of (milli)seconds",
        "template": "the name of a template that has the subject and the bodies",
        "variables": "what is filled in for the template's blanks",
        "idempotency_key": "as the header Idempotency-Key: a second POST with the same key sends nothing for a day",
        "namespace": "whose it is, where that is not clear",
        "details": "true: the answer's body has the id too, as the header X-Email-Id",
    },
    "AttachmentIn": {
        "name": "the file's name",
        "content": "base64",
        "type": "a media type, such as application/pdf",
        "content_id": 'shown in the HTML by <img src="cid:…">',
    },
    "TemplateIn": {"subject": "with blanks as {{ name }}", "text": "likewise", "html": "likewise; filled in escaped"},
    "SuppressionsIn": {
        "address": "whom no mail goes to any more: one address, several with commas, or a list",
        "reason": "why, for people",
        "namespace": "whose list it is, where that is not clear",
    },
    "SuppressionIn": {"reason": "why no mail goes there, for people"},
}


def examples(now: int) -> dict[str, tuple[str, Any]]:
    """Operation → (url, body). They work in this order."""
    later = now // 1_000 * 1_000 + HOUR
    email = {"to": "recipient@email.com", "subject": "What time is it, where you are?", "body": "I miss you."}
    template = {"subject": "Welcome, {{ name }}", "text": "Hello {{ name }}"}
    return {
        "POST /systems/emails": ("/systems/emails", {**email, "send_at": later}),
        "GET /systems/emails": ("/systems/emails?state=queued&limit=10", None),
        "PUT /systems/emails/templates/{name}": ("/systems/emails/templates/welcome", template),
        "GET /systems/emails/templates": ("/systems/emails/templates", None),
        "GET /systems/emails/templates/{name}": ("/systems/emails/templates/welcome", None),
        "DELETE /systems/emails/templates/{name}": ("/systems/emails/templates/welcome", None),
        "PUT /systems/suppressions/{address}": ("/systems/suppressions/eve@example.com", {"reason": "asked us to"}),
        "POST /systems/suppressions": (
            "/systems/suppressions",
            {"address": ["eve@example.com", "gone@example.com"], "reason": "550 5.1.1 no such user"},
        ),
        "GET /systems/suppressions": ("/systems/suppressions", None),
        "DELETE /systems/suppressions/{address}": ("/systems/suppressions/eve@example.com", None),
    }


GUIDE = Guide(
    ABOUT,
    lambda now: {name: Example(*example) for name, example in examples(now).items()},
    FIELDS,
    list(CODES.values()),
)
