"""Accounts: users, teams, keys, quotas and tokens over HTTP. The rules live in machinery/identity.

Two documents know users: that of the apps, and that of messaging, which gets tokens for them in its own words.
"""

from undercroft.families.accounts.guide import GUIDE
from undercroft.families.accounts.http import operations
from undercroft.families.accounts.http.rules import Parts, Rules
from undercroft.families.accounts.http.user_tokens import UserTokens
from undercroft.families.accounts.http.user_tokens import refuse as refuse_user_token
from undercroft.families.accounts.refusing import refuse
from undercroft.machinery.family import Family
from undercroft.machinery.guide import Guide
from undercroft.machinery.identity.records import FAMILY

USER_TOKENS = "user tokens"

# What its clients look for on each answer. (contracts: apps §1)
SUPPORTED = (
    (b"supported-tsuru", b"0.9.0"),
    (b"supported-crane", b"0.5.1"),
    (b"supported-tsuru-admin", b"0.3.0"),
)


def family(parts: Parts, rules: Rules) -> Family:
    return Family(
        name=FAMILY,
        operations=operations(parts, rules),
        refuse=refuse,
        prefixes=("users", "teams", "quota", "tokens"),
        guide=GUIDE,
        headers=SUPPORTED,
    )


def user_tokens(parts: Parts, rules: Rules) -> Family:
    """POST /api/v1/user/token, which answers as the messaging document says."""
    return Family(
        name=USER_TOKENS,
        operations=UserTokens(parts, rules).operations(),
        refuse=refuse_user_token,
        prefixes=("api/v1/user", "api/token-auth"),
        guide=Guide("Tokens for users, as the messaging document asks for them."),
        headers=((b"vary", b"Accept"), (b"x-frame-options", b"SAMEORIGIN")),
        basic=True,
    )


__all__ = ["FAMILY", "USER_TOKENS", "Parts", "Rules", "family", "user_tokens"]
