"""What the docs say about accounts, beside the operations themselves: plain data. A test runs every example."""

from collections.abc import Mapping

from undercroft.machinery.guide import Example, Guide

FIELDS: dict[str, dict[str, str]] = {
    "UserIn": {"email": "in lower case behind the @", "password": "6 to 50 bytes"},
    "PasswordChange": {"old": "the one that counts now", "new": "6 to 50 bytes"},
    "ResetIn": {"password": "with a token: the new password; without it one is made and mailed, good for an hour"},
    "ResetQuery": {"token": "as it was mailed; without it one is mailed"},
    "KeyIn": {"key": "the line of a file such as ~/.ssh/id_ed25519.pub"},
    "TeamIn": {"name": "letters, digits, blanks and - @ _ . +, a letter first"},
    "QuotaOut": {"items": "apps in use", "available": "how many more there may be"},
    "QuotaIn": {"quota": "how many apps; -1 for a million"},
    "AppTokenIn": {"client": "the app's name", "export": "put it into the app's environment, where there is that app"},
}


def examples(_now: int) -> Mapping[str, Example]:
    """They work in this order for an admin, but for the last ones, which name what is made only once."""
    ann = {"email": "ann@example.com", "password": "a good one"}
    key = {"key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJBS1HQi7vPHbvHCtFIhGIMI3YWlOJMMmjFMbyqVWUdk ann@laptop"}
    return {
        "POST /users": Example("/users", ann),
        "GET /users": Example("/users?limit=10"),
        "POST /users/{email}/tokens": Example("/users/ann@example.com/tokens", {"password": ann["password"]}),
        "PUT /users/{email}/password": Example("/users/ann@example.com/password", {"new": "another one"}),
        "POST /users/{email}/password": Example("/users/ann@example.com/password"),
        "POST /users/keys": Example("/users/keys", key),
        "GET /users/{email}/keys": Example("/users/admin@localhost/keys"),
        "DELETE /users/keys": Example("/users/keys", key),
        "POST /teams": Example("/teams", {"name": "shop"}),
        "GET /teams": Example("/teams"),
        "PUT /teams/{team}/{email}": Example("/teams/shop/ann@example.com"),
        "GET /teams/{team}": Example("/teams/shop"),
        "DELETE /teams/{team}/{email}": Example("/teams/shop/ann@example.com"),
        "DELETE /teams/{team}": Example("/teams/shop"),
        "GET /quota/{user}": Example("/quota/ann@example.com"),
        "POST /tokens": Example("/tokens", {"client": "cart"}),
        "DELETE /users/{email}": Example("/users/ann@example.com"),
    }


GUIDE = Guide(
    "Who may come in: users with passwords, SSH keys and quotas, the teams that they act for, and their tokens.",
    examples,
    FIELDS,
)
