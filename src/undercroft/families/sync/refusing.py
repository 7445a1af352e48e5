"""How sync says no: `{"status": "error", "reason": …}`."""

from undercroft.base.refusals import Refusal
from undercroft.machinery.operations import Reply, json_reply
from undercroft.machinery.wording import STATUS

METHOD_NOT_ALLOWED = 405


def refuse(refusal: Refusal) -> Reply:
    status = METHOD_NOT_ALLOWED if hasattr(refusal, "allow") else STATUS.get(refusal.kind, 400)
    return json_reply({"status": "error", "reason": refusal.message}, status)
