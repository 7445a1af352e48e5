"""Connections to the relay, each kept for several messages. How many there are at once is the room's (`room.py`)."""

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple

import aiosmtplib
from aiosmtplib import SMTP

from undercroft.machinery.deliveries.smtp.relay import Relay, trust

# Relays hang up on those who say nothing for a while; before that, we do.
IDLE_SECONDS = 30.0
# Some relays count the messages of a connection.
MOST_MESSAGES = 100
_STARTTLS = {"required": True, "never": False, "auto": None}


class NoConnection(Exception):
    """The relay could not be reached, did not want us, or is not who it should be. `status` is its answer, if any."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class _Idle(NamedTuple):
    since: float
    connection: "Connection"


class Connection:
    """`kept`: it has carried a message before, and may have been closed by the relay meanwhile."""

    def __init__(self, client: SMTP) -> None:
        self.client = client
        self.messages = 0

    @property
    def kept(self) -> bool:
        return self.messages > 0


class Pool:
    def __init__(self, relay: Relay, connect_seconds: float) -> None:
        """`connect_seconds`: for a connection with its greeting, TLS and login."""
        self._relay = relay
        self._seconds = connect_seconds
        self._tls: ssl.SSLContext = trust(relay)
        self._idle: deque[_Idle] = deque()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator["Connection"]:
        """An idle or a new one. Raises NoConnection.

        It is kept for the next one if it is left without an exception.
        """
        connection = self._take_idle() or Connection(await self._connect())
        try:
            yield connection
        except BaseException:
            connection.client.close()
            raise
        self._keep(connection)

    async def fresh(self) -> SMTP:
        """A new one in the place of one that had been closed. Raises NoConnection."""
        return await self._connect()

    def close_idle(self, *, older_than: float = IDLE_SECONDS) -> None:
        now = asyncio.get_running_loop().time()
        while self._idle and (
            now - self._idle[0].since >= older_than or not self._idle[0].connection.client.is_connected
        ):
            self._idle.popleft().connection.client.close()

    async def _connect(self) -> SMTP:
        relay = self._relay
        client = SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.user,
            password=relay.password,
            use_tls=relay.tls,
            start_tls=False if relay.tls else _STARTTLS[relay.starttls],
            tls_context=self._tls,
            local_hostname=relay.helo or _own_name(),
            timeout=self._seconds,
        )
        try:
            async with asyncio.timeout(self._seconds):
                await client.connect()
        except aiosmtplib.SMTPAuthenticationError as error:
            raise NoConnection(
                f"the relay refused our login: {error.code} {printable(error.message)}", error.code
            ) from error
        except aiosmtplib.SMTPResponseException as error:
            raise NoConnection(
                f"the relay turned us away: {error.code} {printable(error.message)}", error.code
            ) from error
        except ssl.SSLError as error:
            raise NoConnection(f"TLS with the relay failed: {error.reason or error}") from error
        except TimeoutError as error:
            raise NoConnection(
                f"the relay {relay.host}:{relay.port} did not let us in within {self._seconds:g} s"
            ) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NoConnection(f"could not reach the relay: {printable(str(error))}") from error
        client.timeout = None  # from here on, who sends has a limit for all of it
        return client

    def _take_idle(self) -> "Connection | None":
        while self._idle:
            connection = self._idle.pop().connection  # the warmest
            if connection.client.is_connected:
                return connection
        return None

    def _keep(self, connection: "Connection") -> None:
        connection.messages += 1
        if connection.client.is_connected and connection.messages < MOST_MESSAGES:
            self._idle.append(_Idle(asyncio.get_running_loop().time(), connection))
        else:
            connection.client.close()


def printable(text: str) -> str:
    """A relay's words as one line that can be stored and shown."""
    plain = text.encode("utf-8", "replace").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in plain).split())[:500]


def _own_name() -> str:
    name = socket.gethostname()
    return name if name.isascii() and all(c.isalnum() or c in ".-" for c in name) and name else "localhost"
