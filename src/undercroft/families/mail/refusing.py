"""How mail words a refusal: `error` for people and `code` for programs; each code has one meaning."""

from undercroft.machinery.wording import by_codes, codes_of_the_house

CODES: dict[str, tuple[str, str]] = {
    "body": ("M001", "the body is not JSON, a field is unknown or has the wrong type, or the e-mail has no body"),
    "address": ("M002", "an address is missing, or is none"),
    "subject": ("M003", "subject is missing, too long or has a line break"),
    "from": ("M004", "mail may not be sent from this address"),
    "recipients": ("M005", "the e-mail has too many recipients"),
    "attachments": ("M006", "an attachment is malformed, or they are too large"),
    "headers": ("M007", "a header is not allowed, or has a line break"),
    "tags": ("M008", "there are too many tags, or one is too long"),
    "unsubscribe": ("M009", "unsubscribe is neither https:// nor mailto:"),
    "send_at": ("M010", "send_at is no moment, or in the past"),
    "template": ("M011", "there is no such template, or it wants other variables"),
    "key": ("M012", "the idempotency key is malformed"),
    "key_used": ("M013", "the idempotency key was used for another e-mail within a day"),
    "suppressed": ("M014", "the address is on the suppression list"),
    "refused": ("M015", "the relay refused it; it is not tried again"),
    "unknown_email": ("M016", "there is no such e-mail"),
    "in_flight": ("M017", "the e-mail is on its way at this moment"),
    "ended": ("M018", "the e-mail has had its end, nothing is left to cancel"),
    "unknown_suppression": ("M019", "the address is not on the suppression list"),
    "list": ("M020", "one e-mail of the list was refused, so none was queued"),
    "namespace": ("M021", "the namespace is malformed, or has to be named"),
    "query": ("M022", "a query parameter is unknown or wrong"),
    "request": ("M023", "what was sent is not an HTTP request, or its head is too long"),
    **codes_of_the_house("M"),
    "too_many": ("M033", "too many e-mails a minute"),
}

refuse = by_codes(CODES)
