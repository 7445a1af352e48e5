"""What the courier asks of a way to deliver: webhooks are one, mail is another."""

from typing import Protocol

from undercroft.machinery.deliveries.model import Delivery, Outcome, Target


class Transport(Protocol):
    async def send(
        self, target: Target, delivery: Delivery, webhook_id: str, family_headers: dict[str, str]
    ) -> Outcome: ...

    def host(self, target: Target) -> str | None:
        """Where the target is: so much is claimed for one place at once. None where there is no limit."""
        ...
