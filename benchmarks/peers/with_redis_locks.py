"""Locks on Redis by redis-py: SET NX PX with a token, and a script that deletes what is still its own.

Redis has no line to wait in: who finds the name taken asks again after a pause.
"""

import argparse
import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio
from lock_program import ADDRESS, TTL, Pair, run

PAUSE = 0.002
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


@asynccontextmanager
async def clients(options: argparse.Namespace) -> AsyncIterator[list[Pair]]:
    """A connection each."""
    connections = [redis.asyncio.Redis.from_url(ADDRESS, single_connection_client=True) for _ in range(options.clients)]
    try:
        yield [await _pair(connection) for connection in connections]
    finally:
        for connection in connections:
            await connection.aclose()


async def _pair(connection: redis.asyncio.Redis) -> Pair:
    await connection.initialize()
    release = connection.register_script(RELEASE)
    await release(keys=["nothing"], args=["nobody"])

    async def pair(name: str) -> None:
        token = secrets.token_hex(16)
        while True:
            if await connection.set(name, token, nx=True, px=TTL):
                break
            await asyncio.sleep(PAUSE)
        if await release(keys=[name], args=[token]) != 1:
            raise RuntimeError("a lock was not its holder's any more")

    return pair


if __name__ == "__main__":
    run(clients)
