"""Namespaces: what one team keeps in a family, apart from all others. A db of timers is one.

A namespace is its first writer's teams'. One that is named `@TEAM` is that team's from the start; it is where families
whose paths name no namespace keep what a member of one team asks for.
"""

from undercroft.base.refusals import Kind, Refusal, invalid
from undercroft.database import Transaction
from undercroft.machinery.identity.actions import TOKENS
from undercroft.machinery.identity.model import ADMIN_TEAM, ANONYMOUS, Identity

LONGEST = 512
MOST_SEEN = 500


def default_for(identity: Identity, family: str) -> str:
    """Where a request without a namespace belongs.

    Raises Refusal(INVALID, "namespace") where that is not clear.
    """
    of_scopes = [scope.partition(":")[2] for scope in identity.scopes or () if scope.startswith(family + ":")]
    if len(of_scopes) == 1 and family not in (identity.scopes or ()):
        return of_scopes[0]
    if identity is ANONYMOUS or ADMIN_TEAM in identity.teams:
        return "@" + ADMIN_TEAM
    if len(identity.teams) == 1:
        return "@" + identity.teams[0]
    if not identity.teams:
        raise invalid("namespace", "you are in no team: make one with `croft team add NAME`")
    names = ", ".join("@" + team for team in identity.teams[:10])
    raise invalid("namespace", f"you are in several teams: say whose it is by namespace=, one of {names}")


def check(namespace: str) -> str:
    """Raises Refusal(INVALID, "namespace") for what can be none."""
    if not namespace or "\x00" in namespace or len(namespace.encode("utf-8", "surrogatepass")) > LONGEST:
        raise invalid("namespace", f"a namespace has 1 to {LONGEST} bytes, without the NUL character")
    return namespace


def owners(tx: Transaction, namespace: str) -> tuple[str, ...]:
    """The teams it belongs to; none while nobody has written in it."""
    rows = tx.all("SELECT team FROM namespaces WHERE name = :name ORDER BY team", name=namespace)
    if not rows and namespace.startswith("@"):
        return (namespace[1:],)
    return tuple(team for (team,) in rows)


def claim(tx: Transaction, namespace: str, identity: Identity, now: int) -> tuple[str, ...]:
    """Whose it is now: the caller's teams', if it was nobody's.

    Raises Refusal(FORBIDDEN) for a caller without a team.
    """
    taken = owners(tx, namespace)
    if taken:
        return taken
    admin = identity is ANONYMOUS or ADMIN_TEAM in identity.teams
    teams = (ADMIN_TEAM,) if admin else identity.teams
    if not teams:
        raise Refusal(Kind.FORBIDDEN, "forbidden", "you are in no team: make one with `croft team add NAME`")
    # The name's own row first: of two teams that come at the same moment one waits here and then finds it taken.
    first = tx.one(
        "INSERT INTO namespace_names (name) VALUES (:name) ON CONFLICT DO NOTHING RETURNING name", name=namespace
    )
    if first is None:
        return owners(tx, namespace)
    for team in teams:
        _put(tx, namespace, team, now)
    return teams


def may_enter(tx: Transaction, identity: Identity, namespace: str) -> bool:
    return ADMIN_TEAM in identity.teams or not set(owners(tx, namespace)).isdisjoint(identity.teams)


def of_identity(tx: Transaction, identity: Identity) -> tuple[str, ...]:
    """The namespaces of its teams, up to MOST_SEEN."""
    rows = tx.each(
        "SELECT DISTINCT namespaces.name FROM namespaces JOIN {rows} ON namespaces.team = r.team"
        " ORDER BY namespaces.name LIMIT :most",
        "team TEXT",
        [(team,) for team in identity.teams],
        most=MOST_SEEN,
    )
    named = [name for (name,) in rows]
    own = ["@" + team for team in identity.teams]
    return tuple(dict.fromkeys([*(name for name in own if owners(tx, name) == (name[1:],)), *named]))


def listed(tx: Transaction, teams: tuple[str, ...] | None, after: str, limit: int) -> list[tuple[str, tuple[str, ...]]]:
    """Namespaces past this name, of these teams or (None) of all, with the teams that each belongs to."""
    names = tx.each(
        "SELECT DISTINCT name FROM namespaces WHERE name > :after"
        " AND (:everything = 1 OR team IN (SELECT r.team FROM {rows})) ORDER BY name LIMIT :limit",
        "team TEXT",
        [(team,) for team in teams or ("",)],
        everything=int(teams is None),
        after=after,
        limit=limit,
    )
    return [(name, owners(tx, name)) for (name,) in names]


def share(tx: Transaction, namespace: str, team: str, now: int) -> None:
    """The team may act in it too."""
    if namespace.startswith("@"):  # what was its by its name alone stays its
        _put(tx, namespace, namespace[1:], now)
    _put(tx, namespace, team, now)
    tx.tell(TOKENS, [namespace])


def unshare(tx: Transaction, namespace: str, team: str) -> bool:
    """The team may no more; whether it could. The last team stays: a namespace is never nobody's again."""
    left = [name for name in owners(tx, namespace) if name != team]
    if not left:
        raise invalid("namespace", f"{team!r} is the only team of {namespace!r}; share it with another first")
    tx.tell(TOKENS, [namespace])
    return tx.run("DELETE FROM namespaces WHERE name = :name AND team = :team", name=namespace, team=team) > 0


def leave_to_admins(tx: Transaction, team: str, now: int) -> None:
    """The team is removed: what was its alone is the admins', so that no later team of that name finds it."""
    mine = tx.all("SELECT name FROM namespaces WHERE team = :team", team=team)
    for (name,) in [*mine, ("@" + team,)]:
        if owners(tx, name) == (team,):
            _put(tx, name, ADMIN_TEAM, now)
    tx.run("DELETE FROM namespaces WHERE team = :team", team=team)
    tx.tell(TOKENS, [team])


def _put(tx: Transaction, namespace: str, team: str, now: int) -> None:
    tx.run("INSERT INTO namespace_names (name) VALUES (:name) ON CONFLICT DO NOTHING", name=namespace)
    tx.run(
        "INSERT INTO namespaces (name, team, since) VALUES (:name, :team, :now) ON CONFLICT DO NOTHING",
        name=namespace,
        team=team,
        now=now,
    )
