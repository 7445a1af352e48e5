"""What a subscription will get and when, as far as its sets reach: the preview. Pure, given its course."""

from typing import NamedTuple

from undercroft.families.messaging.arithmetic import LONGEST_CHAIN
from undercroft.families.messaging.behind import Course, moments
from undercroft.families.messaging.model import Subscription

END = 253_402_300_799_999


class Planned(NamedTuple):
    """`at`: when its schedule fires; quiet hours and the receiver's own zone may put it off."""

    at: int
    messageset: int
    sequence_number: int


def calendar(one: Subscription, course: Course, now: int, limit: int) -> list[Planned]:
    """The next ones from now on, up to `limit`; none for one that is not ready."""
    if not one.is_ready:
        return []
    planned: list[Planned] = []
    messageset, upcoming, since, schedule = one.messageset, one.next_sequence_number, now, one.schedule
    for _ in range(LONGEST_CHAIN):
        numbers = course.numbers.get((messageset, one.lang), [])
        if upcoming not in numbers or schedule not in course.schedules:
            break
        fires = moments(course.schedules[schedule], since, END)
        for number in numbers[numbers.index(upcoming) :]:
            moment = next(fires, None)
            if moment is None or len(planned) == limit:
                return planned
            planned.append(Planned(moment, messageset, number))
            since = moment
        next_set = course.sets[messageset].next_set
        if next_set is None or next_set not in course.sets:
            break
        messageset, upcoming, schedule = next_set, 1, course.sets[next_set].default_schedule
    return planned
