"""Locks: only one at a time. A wire format over leases; the family's only door."""

from undercroft.database import Database
from undercroft.families.locks.guide import GUIDE
from undercroft.families.locks.http import Locks, operations
from undercroft.families.locks.model import FAMILY, Rules
from undercroft.families.locks.refusing import refuse
from undercroft.machinery.family import Family
from undercroft.machinery.identity.entering import Enter
from undercroft.machinery.leases.actions import Desk
from undercroft.machinery.leases.waiting import Leases


def family(database: Database, leases: Leases, desk: Desk, enter: Enter, rules: Rules) -> Family:
    """`enter`: the gate's, for namespaces that stand in no path; `rules`: what the settings say."""
    return Family(
        name=FAMILY,
        operations=operations(Locks(database, leases, desk, enter, rules)),
        refuse=refuse,
        prefixes=("systems/locks",),
        guide=GUIDE,
        headers=((b"x-gcore-version", b"0.99"),),
    )


__all__ = ["FAMILY", "Rules", "family"]
