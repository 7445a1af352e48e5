"""The SQL of who is in which team, and the locks that keep two changes apart.

Whoever locks a user and teams locks the user first, then the teams in the order of their names: nobody waits in a ring.
"""

from undercroft.database import Transaction


def lock_user(tx: Transaction, email: str) -> bool:
    """Whether there is this user; it stays so until the transaction ends."""
    return tx.run("UPDATE users SET email = email WHERE email = :email", email=email) > 0


def lock_team(tx: Transaction, team: str) -> bool:
    """Whether there is this team; it and its members stay so until the transaction ends."""
    return tx.run("UPDATE teams SET name = name WHERE name = :team", team=team) > 0


def teams_of(tx: Transaction, email: str) -> list[str]:
    return [team for (team,) in tx.all("SELECT team FROM team_members WHERE email = :email ORDER BY team", email=email)]


def members_of(tx: Transaction, team: str) -> list[str]:
    return [email for (email,) in tx.all("SELECT email FROM team_members WHERE team = :team ORDER BY email", team=team)]


def count_members(tx: Transaction, team: str) -> int:
    row = tx.one("SELECT COUNT(*) FROM team_members WHERE team = :team", team=team)
    return row[0] if row else 0


def is_member(tx: Transaction, team: str, email: str) -> bool:
    row = tx.one("SELECT 1 FROM team_members WHERE team = :team AND email = :email", team=team, email=email)
    return row is not None


def user_exists(tx: Transaction, email: str) -> bool:
    return tx.one("SELECT 1 FROM users WHERE email = :email", email=email) is not None


def team_exists(tx: Transaction, team: str) -> bool:
    return tx.one("SELECT 1 FROM teams WHERE name = :team", team=team) is not None


def exists_in_any_case(tx: Transaction, team: str) -> bool:
    """Whether a team's name differs from this one by the case of its letters at the most."""
    return tx.one("SELECT 1 FROM teams WHERE LOWER(name) = LOWER(:team)", team=team) is not None


def count_made(tx: Transaction, email: str) -> int:
    """How many of the teams that are there this user has made."""
    row = tx.one("SELECT COUNT(*) FROM teams WHERE made_by = :email", email=email)
    return row[0] if row else 0


def put_team(tx: Transaction, team: str, now: int, made_by: str | None = None) -> bool:
    """False where there is one of that name."""
    made = tx.run(
        "INSERT INTO teams (name, created_at, made_by) VALUES (:team, :now, :made_by) ON CONFLICT DO NOTHING",
        team=team,
        now=now,
        made_by=made_by,
    )
    return made > 0


def put_member(tx: Transaction, team: str, email: str, now: int) -> bool:
    """False where the user was in there already."""
    made = tx.run(
        "INSERT INTO team_members (team, email, since) VALUES (:team, :email, :now) ON CONFLICT DO NOTHING",
        team=team,
        email=email,
        now=now,
    )
    return made > 0
