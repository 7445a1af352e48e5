"""Addresses asked of an external identity service when a message leaves. (contract §7.3)

The question belongs to the attempt: a service that does not answer is a reason to try again later, and in the end to
stand among what failed.
"""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import msgspec
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from undercroft.base.clock import Clock
from undercroft.families.messaging.outbound import NO_ADDRESS_YET
from undercroft.machinery.deliveries.model import Delivery, Outcome, Result

NO_ADDRESS = "the identity has no address"
_QUERY = {"default": "True", "use_communicate_through": "True"}
_TIMEOUT = timedelta(seconds=10)


class Lookup:
    """`url`: of the service, to which /identities/… is added."""

    def __init__(self, url: str, token: str, clock: Clock) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._clock = clock
        self._client: Client | None = None

    async def close(self) -> None:
        """Hang up on the service."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def addressed(self, delivery: Delivery, kind: str = "msisdn") -> Delivery | Outcome:
        """The delivery with its address; or what came of asking for it."""
        if not delivery.body.startswith(NO_ADDRESS_YET):
            return delivery
        body = msgspec.json.decode(delivery.body)
        asked_at = self._clock()
        try:
            address = await self._ask(str(body["to_identity"]), kind)
        except (PyreqwestError, OSError):  # whose words name the service, which is the operator's affair
            result, why = Result.AGAIN, "the address was not found: the identity service can't be reached"
        except ValueError as failure:
            result, why = Result.AGAIN, f"the address was not found: {failure}"
        else:
            if address:
                body["to_addr"] = address
                return delivery._replace(body=msgspec.json.encode(body).decode())
            result, why = Result.HOPELESS, NO_ADDRESS
        return Outcome(asked_at, self._clock() - asked_at, result, error=why)

    async def _ask(self, identity: str, kind: str) -> str | None:
        """Raises ValueError for an answer that is none."""
        if self._client is None:
            self._client = ClientBuilder().timeout(_TIMEOUT).follow_redirects(False).no_proxy().build()
        url = f"{self._url}/identities/{quote(identity, safe='')}/addresses/{kind}"
        request = self._client.get(url).query(_QUERY)
        if self._token:
            request = request.header("Authorization", f"Token {self._token}")
        response = await request.build().send()
        if not 200 <= response.status < 300:
            raise ValueError(f"the identity service answered {response.status}")
        return _first_address(bytes(await response.bytes()))


def _first_address(content: bytes) -> str | None:
    try:
        answer: Any = msgspec.json.decode(content)
        results = answer["results"]
        address = results[0]["address"] if results else None
        return address if isinstance(address, str) else None
    except (msgspec.DecodeError, KeyError, TypeError, IndexError):
        raise ValueError("the identity service answered something else than addresses") from None
