"""Locks on PostgreSQL by asyncpg: a row per name, locked FOR UPDATE in a transaction that lasts as long as the lock."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from lock_program import ADDRESS, Pair, names, run


@asynccontextmanager
async def clients(options: argparse.Namespace) -> AsyncIterator[list[Pair]]:
    """A connection each."""
    connections = [await asyncpg.connect(ADDRESS) for _ in range(options.clients)]
    await connections[0].execute("CREATE TABLE IF NOT EXISTS locks (name TEXT PRIMARY KEY)")
    rows = [(name,) for name in set(names(options))]
    await connections[0].executemany("INSERT INTO locks VALUES ($1) ON CONFLICT DO NOTHING", rows)
    try:
        yield [await _pair(connection) for connection in connections]
    finally:
        await asyncio.gather(*(connection.close() for connection in connections))


async def _pair(connection: asyncpg.Connection) -> Pair:
    take = await connection.prepare("SELECT name FROM locks WHERE name = $1 FOR UPDATE")

    async def pair(name: str) -> None:
        await connection.execute("BEGIN")
        await take.fetchval(name)
        await connection.execute("COMMIT")

    return pair


if __name__ == "__main__":
    run(clients)
