"""The SQL of users, teams and tokens."""

from typing import Any

import msgspec

from undercroft.database import Transaction
from undercroft.machinery.identity.model import Identity, Token

_TOKEN = "id, email, name, scopes, created_at, expires_at, last_used_at"


def put_user(tx: Transaction, email: str, now: int) -> None:
    tx.run(
        "INSERT INTO users (email, created_at) VALUES (:email, :now) ON CONFLICT DO NOTHING",
        email=email,
        now=now,
    )


def put_token(tx: Transaction, token: Token, digest: str, kind: str, made_by: str | None = None) -> None:
    tx.run(
        "INSERT INTO tokens (id, digest, email, name, kind, scopes, created_at, expires_at, made_by) VALUES"
        " (:id, :digest, :email, :name, :kind, :scopes, :created_at, :expires_at, :made_by) ON CONFLICT DO NOTHING",
        made_by=made_by,
        id=token.id,
        digest=digest,
        email=token.email,
        name=token.name,
        kind=kind,
        scopes=None if token.scopes is None else msgspec.json.encode(token.scopes).decode(),
        created_at=token.created_at,
        expires_at=token.expires_at,
    )


def find_identity(tx: Transaction, digest: str) -> Identity | None:
    row = tx.one("SELECT email, id, scopes, expires_at, kind FROM tokens WHERE digest = :digest", digest=digest)
    if row is None:
        return None
    email, token, scopes, expires_at, kind = row
    teams, home = _teams_of(tx, email)
    return Identity(email, teams, token, _scopes(scopes), expires_at, kind, home)


def identity_of(tx: Transaction, email: str, token: str) -> Identity:
    """This user's, for who has shown otherwise than by a token to be that one; `token` names it instead."""
    teams, home = _teams_of(tx, email)
    return Identity(email, teams, token, home=home)


def _teams_of(tx: Transaction, email: str) -> tuple[tuple[str, ...], str | None]:
    """By name; and the one that the user has been in longest."""
    rows = tx.all("SELECT team FROM team_members WHERE email = :email ORDER BY since, team", email=email)
    return tuple(sorted(team for (team,) in rows)), rows[0][0] if rows else None


def has_token(tx: Transaction, id: str) -> bool:
    return tx.one("SELECT 1 FROM tokens WHERE id = :id", id=id) is not None


def find_again(tx: Transaction, identity: Identity, now: int) -> Identity | None:
    """What its token stands for by now; None where that was revoked, or is over."""
    row = tx.one("SELECT digest, expires_at FROM tokens WHERE id = :id", id=identity.token)
    if row is None or (row[1] is not None and row[1] <= now):
        return None
    return find_identity(tx, row[0])


def tokens_of(tx: Transaction, email: str) -> list[Token]:
    """Those that people made; sessions of browsers and the preset one are not listed."""
    rows = tx.all(f"SELECT {_TOKEN} FROM tokens WHERE email = :email AND kind = 'made' ORDER BY id", email=email)
    return [Token._make(row)._replace(scopes=_scopes(row[3])) for row in rows]


def delete_token(tx: Transaction, id: str) -> None:
    """The token, and those that were made with it, and so on."""
    tx.run("DELETE FROM tokens WHERE id = :id", id=id)
    made = [id]
    while made:
        rows = tx.each(
            "DELETE FROM tokens WHERE made_by IS NOT NULL AND made_by IN (SELECT r.id FROM {rows}) RETURNING id",
            "id TEXT",
            [(maker,) for maker in made],
        )
        made = [child for (child,) in rows]


def delete_session(tx: Transaction, digest: str) -> str | None:
    """The id of the session that had this token; None where there was none."""
    row = tx.one("DELETE FROM tokens WHERE digest = :digest AND kind = 'session' RETURNING id", digest=digest)
    return row[0] if row else None


def delete_oldest_logins(tx: Transaction, email: str, most: int) -> list[str]:
    """All but the newest so many; their ids."""
    rows = tx.all(
        "SELECT id FROM tokens WHERE email = :email AND kind = 'login' ORDER BY id DESC LIMIT 1000 OFFSET :most",
        email=email,
        most=most,
    )
    for (id,) in rows:
        delete_token(tx, id)
    return [id for (id,) in rows]


def delete_others_of_kind(tx: Transaction, kind: str, digest: str) -> None:
    tx.run("DELETE FROM tokens WHERE kind = :kind AND digest <> :digest", kind=kind, digest=digest)


def delete_expired(tx: Transaction, now: int, limit: int) -> int:
    return tx.run(
        "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE expires_at < :now LIMIT :limit)",
        now=now,
        limit=limit,
    )


def note_use(tx: Transaction, used: dict[str, int]) -> None:
    """Token id → when it was last used."""
    tx.each(
        "UPDATE tokens SET last_used_at = r.used_at FROM {rows} WHERE tokens.id = r.id",
        "id TEXT, used_at BIGINT",
        list(used.items()),
    )


def _scopes(stored: Any) -> tuple[str, ...] | None:
    return None if stored is None else tuple(msgspec.json.decode(stored))
