"""How timers word a refusal: 400 with `error` for people and `code` for programs; each code has one meaning.

The document knows 200 and 400 only; the house adds 401, 403, 413, 429 and 503 with the same body. (contract §0)
"""

from undercroft.base.refusals import Kind, Refusal
from undercroft.machinery import wording
from undercroft.machinery.wording import STATUS, by_codes, codes_of_the_house

CODES: dict[str, tuple[str, str]] = {
    "body": ("E001", "the body is not JSON, or a field has the wrong type"),
    "id": ("E002", "the job's id is empty, too long or not allowed"),
    "trigger_time": ("E003", "trigger_time is missing or out of range"),
    "past": ("E004", "trigger_time is in the past"),
    "route": ("E005", "route is missing or too long"),
    "unknown_route_of_job": ("E006", "the job's route does not exist in this db"),
    "exists": ("E007", "a job with this id exists and has other content"),
    "unknown_job": ("E008", "there is no such job"),
    "id_differs": ("E009", "the id in the body is not the id in the path"),
    "in_flight": ("E010", "the job is being delivered at this moment"),
    "route_id": ("E011", "the route's id is empty, too long or not allowed"),
    "type": ("E012", "the route's type is not REST"),
    "url": ("E013", "webhook_url is missing or not a URL that can be called"),
    "secret": ("E014", "the route's secret is not a whsec_ key"),
    "headers": ("E015", "a header of the route is not allowed"),
    "limits": ("E016", "the route's method, timeout, concurrency or rate is out of range"),
    "retries": ("E017", "retries is not a list of pauses in seconds"),
    "unknown_route": ("E018", "there is no such route"),
    "pending": ("E019", "the route has pending jobs"),
    "namespace": ("E020", "the db or collection is empty, too long or not allowed"),
    "cron": ("E021", "the cron expression or timezone is wrong"),
    "key_used": ("E022", "the idempotency_key was used for another job"),
    "query": ("E023", "a query parameter is unknown or wrong"),
    "bulk": ("E024", "one item of the bulk was refused, so nothing was done"),
    "selection": ("E025", "too many jobs, or none, were selected"),
    "meta": ("E026", "meta is larger than 1 MiB"),
    "request": ("E027", "what was sent is not an HTTP request, or its head is too long"),
    **codes_of_the_house("E"),
}

# All that is wrong with a request is 400 here, also what does not exist.
_STATUS = {kind: 400 if kind in (Kind.NOT_FOUND, Kind.CONFLICT) else status for kind, status in STATUS.items()}

refuse = by_codes(CODES, _STATUS)


def code_of(refusal: Refusal) -> str:
    return wording.code_of(CODES, refusal)
