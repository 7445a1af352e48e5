"""How locks word a refusal: `error` for people and `code` for programs; each code has one meaning."""

from undercroft.machinery.wording import by_codes, codes_of_the_house

CODES: dict[str, tuple[str, str]] = {
    "body": ("L001", "the body is not JSON, or a field is unknown or has the wrong type"),
    "name": ("L002", "name is missing, empty or too long"),
    "expires_at": ("L003", "expires_at is no moment"),
    "past": ("L004", "expires_at is in the past"),
    "ttl": ("L005", "ttl is out of range, or there beside expires_at, or neither is there where one has to be"),
    "maximum": ("L006", "longer than locks may last by the server's settings"),
    "wait": ("L007", "wait is not a number of seconds from 0 to 60"),
    "owner": ("L008", "owner is too long"),
    "token": ("L009", "the token is missing or malformed, or there are two"),
    "key": ("L010", "the Idempotency-Key is malformed"),
    "key_used": ("L011", "the Idempotency-Key was sent with another request"),
    "lock_delay": ("L012", "lock_delay is not a number of seconds from 0 to 3600"),
    "namespace": ("L013", "the namespace is malformed, or has to be named"),
    "query": ("L014", "a query parameter is unknown or wrong"),
    "request": ("L015", "what was sent is not an HTTP request, or its head is too long"),
    "needs_token": ("L016", "this lock is removed with its token only"),
    **codes_of_the_house("L"),
}

refuse = by_codes(CODES)
