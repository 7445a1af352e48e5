"""Namespaces: what one team keeps in a family, apart from all others. A db of timers is one.

A namespace is its first writer's teams'. One that is named `@TEAM` is that team's from the start; it is where families
whose paths name no namespace keep what those ask for who were in that team first.

A claim bears the mark of its request, which takes it back when it is refused. The next who writes there, and who shares
it, wipes the mark off: from then on it stays. Whoever locks teams and names locks the teams first.
"""

from undercroft.base.refusals import Kind, Refusal, invalid
from undercroft.database import Transaction
from undercroft.machinery.identity.actions import TOKENS
from undercroft.machinery.identity.memberships import lock_team, team_exists
from undercroft.machinery.identity.model import ADMIN_TEAM, ANONYMOUS, Identity

LONGEST = 512
MOST_SEEN = 500


def default_for(identity: Identity, family: str) -> str:
    """Where a request without a namespace belongs: of who is in several teams to the one that they joined first. So
    nobody can lead another's requests elsewhere by taking them into a team.

    Raises Refusal(INVALID, "namespace") for who is in none.
    """
    of_scopes = [scope.partition(":")[2] for scope in identity.scopes or () if scope.startswith(family + ":")]
    if len(of_scopes) == 1 and family not in (identity.scopes or ()):
        return of_scopes[0]
    if identity is ANONYMOUS or ADMIN_TEAM in identity.teams:
        return "@" + ADMIN_TEAM
    if identity.home is None:
        raise invalid("namespace", "you are in no team: make one with `croft team add NAME`")
    return "@" + identity.home


def check(namespace: str) -> str:
    """Raises Refusal(INVALID, "namespace") for what can be none."""
    if not namespace or "\x00" in namespace or len(namespace.encode("utf-8", "surrogatepass")) > LONGEST:
        raise invalid("namespace", f"a namespace has 1 to {LONGEST} bytes, without the NUL character")
    return namespace


def owners(tx: Transaction, namespace: str) -> tuple[str, ...]:
    """The teams it belongs to; none while nobody has written in it."""
    return _owners_of(tx, [namespace])[namespace]


def standing(tx: Transaction, namespace: str) -> tuple[tuple[str, ...], bool]:
    """Its owners, and whether it stays theirs: not while its first request is still under way."""
    rows = tx.all(
        "SELECT namespaces.team, namespace_names.claim FROM namespaces JOIN namespace_names"
        " ON namespace_names.name = namespaces.name WHERE namespaces.name = :name ORDER BY namespaces.team",
        name=namespace,
    )
    if not rows and namespace.startswith("@"):
        return (namespace[1:],), True
    return tuple(team for team, _ in rows), bool(rows) and rows[0][1] is None


def claim(tx: Transaction, namespace: str, identity: Identity, now: int, mark: str) -> tuple[tuple[str, ...], bool]:
    """Whose it is now: the caller's teams', if it was nobody's; and whether it is by this mark.

    Raises Refusal(FORBIDDEN) for a caller without a team.
    """
    wanted = (ADMIN_TEAM,) if enters_all(identity) else identity.teams
    # A team may have been removed since the caller was identified: a later one of its name would find this.
    teams = [team for team in sorted(wanted) if lock_team(tx, team)]
    if not teams:
        raise Refusal(Kind.FORBIDDEN, "forbidden", "you are in no team: make one with `croft team add NAME`")
    # The name's own row first: of two teams that come at the same moment one waits here and then finds it taken.
    tx.run(
        "INSERT INTO namespace_names (name, claim) VALUES (:name, :mark) ON CONFLICT DO NOTHING",
        name=namespace,
        mark=mark,
    )
    row = tx.one("UPDATE namespace_names SET name = name WHERE name = :name RETURNING claim", name=namespace)
    taken = owners(tx, namespace)
    if not taken and row == (mark,):
        for team in teams:
            _put(tx, namespace, team, now)
        return tuple(teams), True
    if row != (mark,) and (enters_all(identity) or not set(taken).isdisjoint(wanted)):
        _hold(tx, namespace)
    return taken, row == (mark,)


def unclaim(tx: Transaction, namespace: str, mark: str) -> bool:
    """Nobody's again, if nobody else has written in it since it was claimed by this mark."""
    if not tx.run("DELETE FROM namespace_names WHERE name = :name AND claim = :mark", name=namespace, mark=mark):
        return False
    return tx.run("DELETE FROM namespaces WHERE name = :name", name=namespace) > 0


def enters_all(identity: Identity) -> bool:
    return identity is ANONYMOUS or ADMIN_TEAM in identity.teams


def may_enter(tx: Transaction, identity: Identity, namespace: str) -> bool:
    return ADMIN_TEAM in identity.teams or not set(owners(tx, namespace)).isdisjoint(identity.teams)


def of_identity(tx: Transaction, identity: Identity) -> tuple[str, ...]:
    """The namespaces of its teams, up to MOST_SEEN."""
    own = ["@" + team for team in identity.teams]
    of_own = _owners_of(tx, own)
    named = _names_of(tx, identity.teams, "", MOST_SEEN)
    return tuple(dict.fromkeys([*(name for name in own if of_own[name] == (name[1:],)), *named]))


def listed(tx: Transaction, teams: tuple[str, ...] | None, after: str, limit: int) -> list[tuple[str, tuple[str, ...]]]:
    """Namespaces past this name, of these teams or (None) of all, with the teams that each belongs to."""
    if teams is None:
        rows = tx.all(
            "SELECT name FROM namespace_names WHERE name > :after ORDER BY name LIMIT :limit", after=after, limit=limit
        )
        return list(_owners_of(tx, [name for (name,) in rows]).items())
    return list(_owners_of(tx, _names_of(tx, teams, after, limit)).items())


def among(tx: Transaction, teams: tuple[str, ...] | None, names: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    """As `listed`, of these names alone, in their order."""
    rows = tx.each(
        "SELECT namespace_names.name FROM {rows} JOIN namespace_names ON namespace_names.name = r.name",
        "name TEXT",
        [(name,) for name in names],
    )
    claimed = {name for (name,) in rows}
    found = _owners_of(tx, [name for name in names if name in claimed])
    return [one for one in found.items() if teams is None or not set(one[1]).isdisjoint(teams)]


def _names_of(tx: Transaction, teams: tuple[str, ...], after: str, limit: int) -> list[str]:
    rows = tx.each(
        "SELECT DISTINCT namespaces.name FROM {rows} JOIN namespaces ON namespaces.team = r.team"
        " WHERE namespaces.name > :after ORDER BY namespaces.name LIMIT :limit",
        "team TEXT",
        [(team,) for team in teams],
        after=after,
        limit=limit,
    )
    return [name for (name,) in rows]


def _owners_of(tx: Transaction, names: list[str]) -> dict[str, tuple[str, ...]]:
    """In the order of these names."""
    rows = tx.each(
        "SELECT namespaces.name, namespaces.team FROM {rows} JOIN namespaces ON namespaces.name = r.name"
        " ORDER BY namespaces.team",
        "name TEXT",
        [(name,) for name in names],
    )
    found: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    for name, team in rows:
        found[name] += (team,)
    return {name: teams or ((name[1:],) if name.startswith("@") else ()) for name, teams in found.items()}


def share(tx: Transaction, namespace: str, team: str, now: int) -> None:
    """The team, which the caller has locked, may act in it too."""
    tx.run("INSERT INTO namespace_names (name) VALUES (:name) ON CONFLICT DO NOTHING", name=namespace)
    _hold(tx, namespace)
    if namespace.startswith("@"):  # what was its by its name alone stays its
        _put(tx, namespace, namespace[1:], now)
    _put(tx, namespace, team, now)
    tx.tell(TOKENS, [namespace])


def unshare(tx: Transaction, namespace: str, team: str) -> bool:
    """The team may no more; whether it could. The last team stays, a namespace is never nobody's again; and so does the
    team whose name it bears: it is where its members' requests go that name none.

    Raises Refusal(INVALID, "namespace") for those two.
    """
    if namespace == "@" + team and team_exists(tx, team):
        raise invalid("namespace", f"{namespace!r} is the team's own: it stays with {team!r} while there is that team")
    _hold(tx, namespace)
    left = [name for name in owners(tx, namespace) if name != team]
    if not left:
        raise invalid("namespace", f"{team!r} is the only team of {namespace!r}; share it with another first")
    tx.tell(TOKENS, [namespace])
    return tx.run("DELETE FROM namespaces WHERE name = :name AND team = :team", name=namespace, team=team) > 0


def leave_to_admins(tx: Transaction, team: str, now: int) -> None:
    """The team, which the caller has locked, is removed: what was its alone is the admins'.

    So no later team of that name finds it.
    """
    mine = tx.all("SELECT name FROM namespaces WHERE team = :team", team=team)
    for name in sorted({"@" + team, *(name for (name,) in mine)}):
        _hold(tx, name)
        if owners(tx, name) == (team,):
            _put(tx, name, ADMIN_TEAM, now)
    tx.run("DELETE FROM namespaces WHERE team = :team", team=team)
    tx.tell(TOKENS, [team])


def _hold(tx: Transaction, namespace: str) -> None:
    """Its owners stay as they are until the transaction ends, and nobody takes their claim back any more."""
    tx.run("UPDATE namespace_names SET claim = NULL WHERE name = :name", name=namespace)


def _put(tx: Transaction, namespace: str, team: str, now: int) -> None:
    tx.run("INSERT INTO namespace_names (name) VALUES (:name) ON CONFLICT DO NOTHING", name=namespace)
    tx.run(
        "INSERT INTO namespaces (name, team, since) VALUES (:name, :team, :now) ON CONFLICT DO NOTHING",
        name=namespace,
        team=team,
        now=now,
    )
