"""How messaging words a refusal: `{"detail": …}`, or the fields that are wrong. (contract §1, §2, §4)"""

from undercroft.base.refusals import Kind, Refusal
from undercroft.families.messaging.errors import WHOLE, NotAccepted, Wrong, WrongMessage
from undercroft.machinery.identity.model import NotIdentified, Unidentified
from undercroft.machinery.operations import Reply, json_reply
from undercroft.machinery.wording import STATUS

_ANSWERS = {"media_type": 415, "accept": 406}
_UNIDENTIFIED = {
    Unidentified.MISSING: "Authentication credentials were not provided.",
    Unidentified.EMPTY: "Invalid token header. No credentials provided.",
    Unidentified.SPACES: "Invalid token header. Token string should not contain spaces.",
    Unidentified.UNKNOWN: "Invalid token.",
    Unidentified.PASSWORD: "Invalid username/password.",
}
_BASIC = (b"www-authenticate", b'Basic realm="api"')


def refuse(refusal: Refusal) -> Reply:
    if isinstance(refusal, Wrong):
        return json_reply(by_field(refusal), 400)
    if isinstance(refusal, WrongMessage):
        return json_reply([refusal.message], 400)
    if isinstance(refusal, NotAccepted):
        return json_reply({"accepted": False, "reason": refusal.message}, 400)
    if refusal.kind is Kind.UNAUTHORIZED:
        return json_reply({"detail": _about_token(refusal)}, 401, (_BASIC,))
    method = getattr(refusal, "method", None)
    if method is not None:
        return json_reply({"detail": f'Method "{method}" not allowed.'}, 405)
    if refusal.kind is Kind.NOT_FOUND and refusal.code == "path":
        return json_reply({"detail": "Not found."}, 404)
    status = _ANSWERS.get(refusal.code, STATUS[refusal.kind])
    return json_reply({"detail": refusal.message}, status)


def by_field(wrong: Wrong) -> dict[str, list[str]]:
    return {"non_field_errors" if name == WHOLE else name: words for name, words in wrong.fields.items()}


def _about_token(refusal: Refusal) -> str:
    return _UNIDENTIFIED[refusal.why if isinstance(refusal, NotIdentified) else Unidentified.UNKNOWN]
