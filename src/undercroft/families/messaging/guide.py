"""What /docs says about messaging."""

from undercroft.machinery.guide import Example, Guide

_ABOUT = """Message sets on schedules, sent step by step to each subscriber: onboarding series, advice by week, courses.
A schedule fires by itself; each firing sends everybody who goes by it the next message of their set, and a subscription
moves on when its message was accepted."""


def _examples(_now: int) -> dict[str, Example]:
    subscription = {"identity": "+27820001001", "messageset": 1, "schedule": 1, "lang": "eng"}
    message = {"messageset": 1, "sequence_number": 1, "lang": "eng", "text_content": "Welcome!"}
    return {
        "POST /api/v1/schedule": Example("/api/v1/schedule/", {"minute": "0", "hour": "8"}),
        "POST /api/v1/messageset": Example(
            "/api/v1/messageset/", {"short_name": "welcome", "default_schedule": 1, "channel": "capture"}
        ),
        "POST /api/v1/message": Example("/api/v1/message/", message),
        "POST /api/v1/subscriptions": Example("/api/v1/subscriptions/", subscription),
        "POST /api/v1/subscriptions/request": Example("/api/v1/subscriptions/request", {"data": subscription}),
    }


GUIDE = Guide(" ".join(_ABOUT.split()), _examples)
