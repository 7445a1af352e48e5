"""Ids that callers see."""

import secrets
import time
import uuid


def new_uuid() -> str:
    """Of the form of a version 4, as the contract has it; its first half is the moment, so that a million of them made
    one after the other are neighbours in an index, and not a page each. Nothing is kept secret by them."""
    bits = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 4 << 76
    return str(uuid.UUID(int=bits & ~(0x3 << 62) | 2 << 62))
