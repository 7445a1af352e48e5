"""Tokens for users as the messaging document asks for them: an admin names an e-mail, or somebody gives a password."""

from typing import Any

from undercroft.base.refusals import Kind, Refusal
from undercroft.families.accounts.http import shapes
from undercroft.families.accounts.http.forms import ALLOW, CONTENT_TYPES, fields_in, problem
from undercroft.families.accounts.http.rules import Parts, Rules, address_of
from undercroft.machinery.identity import tokens, users
from undercroft.machinery.identity.model import NotIdentified, Unidentified
from undercroft.machinery.operations import Operation, Reply, Request, json_reply

_ERRORS = dict.fromkeys((400, 401, 403, 413, 415, 429, 503), dict[str, Any])
_WORDS = {
    Unidentified.MISSING: "Authentication credentials were not provided.",
    Unidentified.EMPTY: "Invalid token header. No credentials provided.",
    Unidentified.SPACES: "Invalid token header. Token string should not contain spaces.",
    Unidentified.UNKNOWN: "Invalid token.",
    Unidentified.PASSWORD: "Invalid username/password.",
}
_STATUS = {Kind.UNAUTHORIZED: 401, Kind.FORBIDDEN: 403, Kind.NOT_FOUND: 404, Kind.TOO_LARGE: 413,
           Kind.TOO_MANY: 429, Kind.UNAVAILABLE: 503, Kind.INTERNAL: 500}  # fmt: skip
_REQUIRED = "This field is required."
_BLANK = "This field may not be blank."
_NULL = "This field may not be null."
_NOT_VALID = "Enter a valid email address."


class UserTokens:
    def __init__(self, parts: Parts, rules: Rules) -> None:
        self._parts = parts
        self._rules = rules

    def operations(self) -> list[Operation]:
        return [
            Operation("POST", "/api/v1/user/token", self.create, "Make a token for a user, made too where unknown",
                      "make user tokens", takes=shapes.EmailIn, content_types=CONTENT_TYPES,
                      gives={201: shapes.TokenOut, **_ERRORS}),
            Operation("POST", "/api/token-auth", self.log_in, "Sign in by password", "sign in",
                      takes=shapes.LoginIn, content_types=CONTENT_TYPES, gives={200: shapes.TokenOut, **_ERRORS}),
        ]  # fmt: skip

    async def create(self, request: Request) -> Reply:
        fields = fields_in(request)
        if isinstance(fields, Reply):
            return fields
        email, wrong = _email_in(fields)
        if wrong:
            return problem({"email": [wrong]})
        token = await self._parts.database.write_once(tokens.make_user_token, email, request.identity, request.now)
        return json_reply(shapes.TokenOut(token), 201, ALLOW)

    async def log_in(self, request: Request) -> Reply:
        fields = fields_in(request)
        if isinstance(fields, Reply):
            return fields
        wrong = {name: [why] for name in ("username", "password") if (why := _missing(fields.get(name, ...)))}
        if wrong:
            return problem(wrong)
        email, password = str(fields["username"]).strip(), str(fields["password"])
        try:
            users.check_email(email)
            verified = await self._parts.logins.verify(email, password, address_of(self._parts, request), request.now)
            token = await self._parts.database.write_once(
                tokens.start_login, verified, self._rules.login_lasts, self._rules.most_logins, request.now
            )
        except Refusal as refusal:
            if refusal.kind in (Kind.TOO_MANY, Kind.UNAVAILABLE):
                raise
            return problem({"non_field_errors": ["Unable to log in with provided credentials."]})
        return json_reply(shapes.TokenOut(token), 200, ALLOW)


def refuse(refusal: Refusal) -> Reply:
    status = _STATUS.get(refusal.kind, 400)
    words = refusal.message
    if isinstance(refusal, NotIdentified):
        words = _WORDS[refusal.why]
    elif refusal.kind is Kind.FORBIDDEN:
        words = "You do not have permission to perform this action."
    elif refusal.kind is Kind.NOT_FOUND:
        words = "Not found."
    elif refusal.kind is Kind.TOO_MANY:
        words = f"Request was throttled. Expected available in {refusal.retry_after} seconds."
    return json_reply({"detail": words}, status)


def _email_in(fields: dict[str, Any]) -> tuple[str, str]:
    """The address, its host in lower case as hosts are one in any; and what is wrong with it, or ""."""
    given = fields.get("email", ...)
    if given is ... or given is None or given == "":
        return "", _missing(given)
    local, at, host = str(given).strip().rpartition("@")
    if not local and not at and not host:
        return "", _BLANK
    email = f"{local}@{host.lower()}"
    try:
        users.check_email(email)
    except Refusal:
        return "", _NOT_VALID
    return email, ""


def _missing(value: Any) -> str:
    if value is ...:
        return _REQUIRED
    if value is None:
        return _NULL
    return _BLANK if isinstance(value, str) and not value.strip() else ""
