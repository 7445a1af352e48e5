"""How often something may be tried: a bucket per key, kept in the database, so that all nodes count together.

A bucket holds `burst` tries and gets one back every `every` ms. It is kept as one moment, `free_at`: when it would be
full again. What is refused takes nothing out, so waiting always helps.
"""

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from undercroft.base.clock import HOUR
from undercroft.base.refusals import Kind, Refusal
from undercroft.database import Transaction

HERE = "here"
"""The place of who comes through a Unix socket."""


class Limit(NamedTuple):
    burst: int
    every: int
    """ms."""


class Try(NamedTuple):
    """One try out of the bucket `key`."""

    key: str
    limit: Limit


class Taken(NamedTuple):
    wait: int
    """ms until all of them would be allowed; 0: they are, and were taken."""
    newly_limited: tuple[str, ...] = ()
    """Keys whose limit was met, and had not been for an hour."""


def take(free_at: int, now: int, limit: Limit) -> tuple[int, int]:
    """The moment at which the bucket will be full again with one try taken out, and how long until one may be (ms)."""
    longest = limit.burst * limit.every
    # What a clock that ran ahead has written would else shut everybody out for as long.
    begun = min(max(free_at, now), now + longest) + limit.every
    return begun, max(begun - now - longest, 0)


def take_tries(tx: Transaction, tries: Sequence[Try], now: int) -> Taken:
    """Take one of each, or none of any. What is refused leaves no new bucket: whoever makes up names makes no rows."""
    wait, limited, taken, new = 0, [], [], []
    for key, limit in sorted(tries):  # in one order, or two transactions would wait for each other
        free_at, noted_at = _locked(tx, key)
        if not free_at:
            new.append(key)
        after, until_free = take(free_at, now, limit)
        taken.append((key, after))
        if until_free and not now - HOUR < noted_at <= now:
            limited.append(key)
        wait = max(wait, until_free)
    if wait:
        _note(tx, limited, now)
        forget_tries(tx, new)
        return Taken(wait, tuple(limited))
    _set(tx, taken)
    return Taken(0)


def give_back(tx: Transaction, tries: Sequence[Try]) -> None:
    """They went well, and don't count."""
    tx.each(
        "UPDATE tries SET free_at = free_at - r.every FROM {rows} WHERE tries.key = r.key",
        "key TEXT, every BIGINT",
        [(key, limit.every) for key, limit in sorted(tries)],
    )


def forget_tries(tx: Transaction, keys: Sequence[str]) -> None:
    tx.each("DELETE FROM tries WHERE key IN (SELECT r.key FROM {rows})", "key TEXT", [(key,) for key in keys])


def forget_old_tries(tx: Transaction, now: int, limit: int) -> int:
    """Full buckets are as good as none."""
    return tx.run(
        "DELETE FROM tries WHERE key IN (SELECT key FROM tries WHERE free_at < :before LIMIT :limit)",
        before=now - HOUR,
        limit=limit,
    )


def too_many(what: str, wait: int) -> Refusal:
    """`wait` in ms."""
    seconds = -(-wait // 1_000)
    message = f"Too many {what}; try again in {seconds} seconds."
    return Refusal(Kind.TOO_MANY, "too_many", message, retry_after=seconds)


def place_of(address: str | None) -> str:
    """The place that an address stands for: of IPv6 its network of 64 bits, for that is what one household is given."""
    if address is None:
        return HERE
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))


def _locked(tx: Transaction, key: str) -> tuple[int, int]:
    """The bucket, made if need be; nobody else has it until this transaction ends."""
    row = tx.one(
        "INSERT INTO tries (key, free_at, noted_at) VALUES (:key, 0, 0)"
        " ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING free_at, noted_at",
        key=key,
    )
    assert row is not None
    return row[0], row[1]


def _set(tx: Transaction, taken: list[tuple[str, int]]) -> None:
    tx.each(
        "UPDATE tries SET free_at = r.free_at FROM {rows} WHERE tries.key = r.key", "key TEXT, free_at BIGINT", taken
    )


def _note(tx: Transaction, keys: list[str], now: int) -> None:
    tx.each(
        "UPDATE tries SET noted_at = r.now FROM {rows} WHERE tries.key = r.key",
        "key TEXT, now BIGINT",
        [(key, now) for key in keys],
    )
