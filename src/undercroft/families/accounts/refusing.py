"""How accounts word a refusal: its sentence as a line of text, which is what clients of the document compare."""

from undercroft.base.refusals import Refusal
from undercroft.machinery.operations import Reply
from undercroft.machinery.wording import STATUS

# Who is no member of a team is told so with 401. (contracts: apps §2.7)
_AS_UNAUTHORIZED = ("may_not_add", "may_not_remove", "no_signup")


def refuse(refusal: Refusal) -> Reply:
    if refusal.code == "path":
        return text_reply("404 page not found", 404)
    status = 401 if refusal.code in _AS_UNAUTHORIZED else STATUS[refusal.kind]
    return text_reply(refusal.message, status)


def text_reply(text: str, status: int = 200) -> Reply:
    return Reply(status, f"{text}\n".encode(errors="replace"), b"text/plain; charset=utf-8")
