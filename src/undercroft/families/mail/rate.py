"""How many mails a namespace may send within a minute, on this node. Pure but for its own memory."""

from undercroft.base.clock import MINUTE
from undercroft.base.refusals import Kind, Refusal

MOST_REMEMBERED = 10_000


class Rate:
    def __init__(self, a_minute: int) -> None:
        """0: any number."""
        self._a_minute = a_minute
        self._left: dict[str, tuple[float, int]] = {}
        """Namespace → how many it could send at that moment."""

    def take(self, namespace: str, count: int, now: int) -> None:
        """Raises Refusal(TOO_MANY) where that is too many; then none is counted."""
        if not self._a_minute:
            return
        left, at = self._left.get(namespace, (float(self._a_minute), now))
        left = min(float(self._a_minute), left + max(0, now - at) * self._a_minute / MINUTE)
        if count > left:
            seconds = max(1, round((min(count, self._a_minute) - left) * 60 / self._a_minute))
            message = f"{namespace} may send {self._a_minute} e-mails a minute; try again in {seconds} s"
            raise Refusal(Kind.TOO_MANY, "too_many", message, retry_after=seconds)
        if len(self._left) >= MOST_REMEMBERED:
            self._left.clear()
        self._left[namespace] = (left - count, now)
