"""Locks on PostgreSQL by asyncpg that outlive a connection, as ours do: rows with a token and an expiry."""

import argparse
import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from lock_program import ADDRESS, TTL, Pair, run

PAUSE = 0.002
TABLE = "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, token TEXT NOT NULL, until TIMESTAMPTZ NOT NULL)"
TAKE = f"""
    INSERT INTO kept VALUES ($1, $2, now() + interval '{TTL} ms')
    ON CONFLICT (name) DO UPDATE SET token = excluded.token, until = excluded.until WHERE kept.until <= now()
    RETURNING name
"""
RELEASE = "DELETE FROM kept WHERE name = $1 AND token = $2 RETURNING name"


@asynccontextmanager
async def clients(options: argparse.Namespace) -> AsyncIterator[list[Pair]]:
    """A connection each."""
    connections = [await asyncpg.connect(ADDRESS) for _ in range(options.clients)]
    await connections[0].execute(TABLE)
    try:
        yield [await _pair(connection) for connection in connections]
    finally:
        await asyncio.gather(*(connection.close() for connection in connections))


async def _pair(connection: asyncpg.Connection) -> Pair:
    take, release = await connection.prepare(TAKE), await connection.prepare(RELEASE)

    async def pair(name: str) -> None:
        token = secrets.token_hex(16)
        while True:
            if await take.fetchval(name, token):
                break
            await asyncio.sleep(PAUSE)
        if not await release.fetchval(name, token):
            raise RuntimeError("a lock was not its holder's any more")

    return pair


if __name__ == "__main__":
    run(clients)
