"""What was answered to idempotency keys: as the tables say, and what of it changes. Pure."""

from undercroft.machinery.leases.model import Acquire, Answer, KeyPlace, Noted, Place, Ticket


class KeyNotes:
    def __init__(self, known: dict[KeyPlace, Noted]) -> None:
        self._known = known
        self.changed: dict[KeyPlace, Noted | None] = {}
        """None: forgotten."""

    def of(self, place: Place, key: str) -> Noted | None:
        return self._known.get(key_place(place, key))

    def note(self, order: Acquire, answer: Answer) -> Answer:
        """The answer, which the key gets again."""
        if order.key is not None:
            fence = answer.fence if answer.yes else 0
            self.keep(order.place, order.key, Noted(order.content, order.waiter, int(answer.yes), fence))
        return answer

    def note_ticket(self, ticket: Ticket, *, obtained: int | None, fence: int, content: str | None = None) -> None:
        """`content`: of a ticket that is new; what stands there of others changes, if it is still there."""
        if ticket.key is None:
            return
        if content is not None:
            self.keep(ticket.place, ticket.key, Noted(content, ticket.waiter, obtained, fence))
        elif (noted := self.of(ticket.place, ticket.key)) is not None:
            self.keep(ticket.place, ticket.key, noted._replace(obtained=obtained, fence=fence))

    def keep(self, place: Place, key: str, noted: Noted) -> None:
        at = key_place(place, key)
        self._known[at] = self.changed[at] = noted

    def forget(self, place: Place, key: str) -> None:
        at = key_place(place, key)
        self._known.pop(at, None)
        self.changed[at] = None


def key_place(place: Place, key: str) -> KeyPlace:
    """Keys of one namespace are one, whatever they are about."""
    return (place.family, place.namespace, key)
