"""Who may do what: family by family, verb by verb. The one place; docs/permissions.md and `croft permissions` show it.

Finer rules (a member of the team, the owner of the app) are the actions' of each family: they need the row.
"""

from undercroft.machinery.operations import Access

HOUSE = "undercroft"

WHO = {
    Access.PUBLIC: "anybody",
    Access.SIGNED_IN: "any good token",
    Access.PAGE: "any good token, or a browser's session",
    Access.SCOPED: "a user's token, or one of that scope; in a namespace its teams alone",
    Access.SCOPED_WITHIN: "a user's token, or one of that scope; in a namespace its teams alone",
    Access.SCOPED_PAGE: "an admin's token or session, or a token of that scope",
    Access.ADMIN: "admins, by a token without scopes",
}
"""In words. Admins are the members of the team `admin`; they may enter every namespace."""

PERMISSIONS: dict[str, dict[str, Access]] = {
    HOUSE: {
        "health": Access.PUBLIC,
        "metrics": Access.SCOPED_PAGE,
        "who am I": Access.SIGNED_IN,
        "own tokens": Access.SIGNED_IN,
        "namespaces": Access.SIGNED_IN,
        "read events": Access.ADMIN,
        "read docs": Access.PAGE,
    },
    "dashboard": {
        "look": Access.PAGE,
        "replay": Access.PAGE,
        "resume": Access.PAGE,
        "restore files": Access.PAGE,  # as all of sync's pages, for whom its API lets in
        "run entries": Access.PAGE,
        "read docs": Access.PAGE,
        "sign in": Access.PUBLIC,
        "sign out": Access.PUBLIC,
    },
    "timers": {
        "read": Access.SCOPED,
        "write": Access.SCOPED,
    },
    "locks": {
        "read": Access.SCOPED_WITHIN,
        "write": Access.SCOPED_WITHIN,
    },
    "mail": {
        "read": Access.SCOPED_WITHIN,
        "send": Access.SCOPED_WITHIN,
        "write": Access.SCOPED_WITHIN,
    },
    "messaging": {
        "read": Access.SCOPED_WITHIN,
        "write": Access.SCOPED_WITHIN,
        "download": Access.PUBLIC,  # whoever was given the URL; senders fetch files without a token
        "opt out": Access.PUBLIC,  # the link is signed, and good for this alone
    },
    "sync": {
        "read": Access.SCOPED_WITHIN,
        "write": Access.SCOPED_WITHIN,
        "find docs": Access.PUBLIC,
        "manage": Access.ADMIN,  # an entry's root is any folder that the server may write
    },
    "accounts": {
        "sign up if open": Access.PUBLIC,  # where public_signup is off, the family itself asks for an admin
        "sign in": Access.PUBLIC,
        "reset password": Access.PUBLIC,
        "sign out": Access.SIGNED_IN,
        "own account": Access.SCOPED,
        "teams": Access.SCOPED,
        "read users": Access.ADMIN,
        "change users": Access.ADMIN,
        "make app tokens": Access.ADMIN,
    },
    "user tokens": {
        "sign in": Access.PUBLIC,
        "make user tokens": Access.ADMIN,
    },
}


def access_of(family: str, verb: str) -> Access:
    """Raises LookupError for a verb without a row: nothing is served to whom nobody thought of."""
    try:
        return PERMISSIONS[family or HOUSE][verb]
    except KeyError:
        raise LookupError(f"app/permissions.py has no row for {verb!r} of {family or HOUSE}") from None
