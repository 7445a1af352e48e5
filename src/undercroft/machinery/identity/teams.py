"""Teams: their members, and that none is ever left without one."""

import re
from collections.abc import Callable, Sequence

from undercroft.base.refusals import Kind, Refusal, conflict, invalid, not_found
from undercroft.database import Transaction
from undercroft.machinery.identity.actions import TOKENS
from undercroft.machinery.identity.memberships import (
    count_made,
    count_members,
    exists_in_any_case,
    is_member,
    lock_team,
    lock_user,
    members_of,
    put_member,
    put_team,
    team_exists,
)
from undercroft.machinery.identity.model import ADMIN_TEAM, Identity, NotIdentified
from undercroft.machinery.identity.namespaces import leave_to_admins, owners
from undercroft.machinery.identity.records import record
from undercroft.machinery.identity.users import no_such_user, require_user

LONGEST_NAME = 100
MOST_TEAMS = 100
"""That are there at a time, made by one user. Admins make as many as they like."""

# The contract's pattern, in ASCII and without line ends.
_NAME = re.compile(r"[a-zA-Z][-@_.+\w ]+", re.ASCII)

Holds = Callable[[Transaction, str], Refusal | None]
"""Why a team can't be removed yet: asked of each family whose things belong to teams."""


def check_name(name: str) -> str:
    """The name without blanks around it. Raises Refusal(INVALID, "team_name")."""
    name = name.strip(" ")
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise invalid("team_name", "Invalid team name")
    return name


def create_team(tx: Transaction, name: str, creator: Identity, now: int) -> None:
    """Its creator is its only member.

    Raises Refusal: CONFLICT "team_exists" in any case, CONFLICT "namespace_held", FORBIDDEN "most_teams" for who is no
    admin and has made that many.
    """
    if not lock_user(tx, creator.email):  # removed a moment ago: nobody would be in the team
        raise NotIdentified
    if not creator.is_admin() and count_made(tx, creator.email) >= MOST_TEAMS:
        message = f"You have made {MOST_TEAMS} teams, and no one makes more. Please remove one first."
        raise Refusal(Kind.FORBIDDEN, "most_teams", message)
    lock_team(tx, ADMIN_TEAM)  # one after the other: of two names that differ by case the second finds the first
    if exists_in_any_case(tx, name):
        raise conflict("team_exists", "Team already exists")
    _refuse_namespace_of_others(tx, name)
    put_team(tx, name, now, creator.email)
    put_member(tx, name, creator.email, now)
    tx.tell(TOKENS, [creator.email])
    record(tx, now, creator.email, "create team", name)


def require_members(tx: Transaction, name: str, caller: Identity) -> list[str]:
    """E-mails. Raises Refusal: NOT_FOUND "team", FORBIDDEN "not_member"."""
    if not team_exists(tx, name):
        raise _no_such_team()
    members = members_of(tx, name)
    if caller.email not in members and not caller.is_admin():
        raise Refusal(Kind.FORBIDDEN, "not_member", "User is not member of this team")
    return members


def remove_team(tx: Transaction, name: str, caller: Identity, holders: Sequence[Holds], now: int) -> None:
    """Raises Refusal: FORBIDDEN of one that still holds something, NOT_FOUND "team" also for who is no member."""
    there = lock_team(tx, name)
    if there:
        _refuse_while_held(tx, name, holders)
    if not there or not _may_change(tx, name, caller):
        raise not_found("team", f'Team "{name}" not found.')
    tx.run("DELETE FROM team_members WHERE team = :team", team=name)
    tx.run("DELETE FROM teams WHERE name = :team", team=name)
    leave_to_admins(tx, name, now)
    record(tx, now, caller.email, "remove team", name)


def add_member(tx: Transaction, name: str, email: str, caller: Identity, now: int) -> None:
    """Raises Refusal: NOT_FOUND "team" or "user", FORBIDDEN "may_not_add", CONFLICT "is_member"."""
    known = lock_user(tx, email)
    if not lock_team(tx, name):
        raise _no_such_team()
    if not _may_change(tx, name, caller):
        message = f"You are not authorized to add new users to the team {name}"
        raise Refusal(Kind.FORBIDDEN, "may_not_add", message)
    if not known:
        raise no_such_user()
    if not put_member(tx, name, email, now):
        raise conflict("is_member", f"User {email} is already in the team {name}.")
    tx.tell(TOKENS, [email])
    record(tx, now, caller.email, "add member", name, {"user": email})


def remove_member(tx: Transaction, name: str, email: str, caller: Identity, now: int) -> None:
    """Raises Refusal: NOT_FOUND "team" or "user", FORBIDDEN "may_not_remove" or "last_of_team"."""
    if not lock_team(tx, name):
        raise _no_such_team()
    if not _may_change(tx, name, caller):
        message = f"You are not authorized to remove a member from the team {name}"
        raise Refusal(Kind.FORBIDDEN, "may_not_remove", message)
    if count_members(tx, name) == 1:
        raise Refusal(
            Kind.FORBIDDEN,
            "last_of_team",
            "You can not remove this user from this team, because it is the last user within the team, "
            "and a team can not be orphaned",
        )
    require_user(tx, email)
    if not tx.run("DELETE FROM team_members WHERE team = :team AND email = :email", team=name, email=email):
        raise not_found("user", f"User {email} is not in the team {name}.")
    tx.tell(TOKENS, [email])
    record(tx, now, caller.email, "remove member", name, {"user": email})


def _refuse_namespace_of_others(tx: Transaction, name: str) -> None:
    """An earlier team of that name has left its own to others: the new one would be shut out of what bears its name."""
    holders = owners(tx, "@" + name)
    if name not in holders:
        raise conflict(
            "namespace_held",
            f"The namespace @{name}, left by an earlier team, belongs to the team {', '.join(holders)}: take another "
            f"name, or have an admin hand it over by PUT /undercroft/namespaces/@{name}/{name}",
        )


def _refuse_while_held(tx: Transaction, name: str, holders: Sequence[Holds]) -> None:
    if name == ADMIN_TEAM:
        raise Refusal(Kind.FORBIDDEN, "admin", f"The team {ADMIN_TEAM} is the server's own and cannot be removed.")
    for holds in holders:
        refusal = holds(tx, name)
        if refusal is not None:
            raise refusal


def _no_such_team() -> Refusal:
    return not_found("team", "Team not found")


def _may_change(tx: Transaction, name: str, caller: Identity) -> bool:
    if name == ADMIN_TEAM:  # or a token for accounts alone would make admins of others, who may do everything
        return caller.is_admin()
    return caller.is_admin() or is_member(tx, name, caller.email)
