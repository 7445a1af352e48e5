"""What accounts take and give, as OpenAPI shows it. Refusals are lines of text."""

from typing import Annotated

import msgspec


class UserIn(msgspec.Struct):
    email: str
    password: str


class PasswordIn(msgspec.Struct):
    password: str


class ResetIn(msgspec.Struct):
    password: str | None = None


class ResetQuery(msgspec.Struct):
    token: str | None = None


class PasswordChange(msgspec.Struct):
    old: str
    new: str


class NewPasswordIn(msgspec.Struct):
    new: str


class LoggedIn(msgspec.Struct):
    token: str
    is_admin: bool


class UserOut(msgspec.Struct):
    email: str
    created_at: int
    teams: list[str]
    has_password: bool
    keys: int


class UserList(msgspec.Struct):
    users: list[UserOut]
    cursor: str | None


class PageQuery(msgspec.Struct):
    cursor: str = ""
    limit: int = 100


class KeyIn(msgspec.Struct):
    key: str


class TeamIn(msgspec.Struct):
    name: str


class TeamName(msgspec.Struct):
    name: str


class TeamOut(msgspec.Struct):
    name: str
    users: list[str]


class QuotaIn(msgspec.Struct):
    quota: Annotated[int, msgspec.Meta(ge=-1, le=1_000_000)]


class QuotaOut(msgspec.Struct):
    items: int
    available: int


class AppTokenIn(msgspec.Struct):
    client: str
    export: bool = False


class AppToken(msgspec.Struct):
    Token: str
    Creation: str
    Expires: int
    """Seconds."""
    AppName: str


class EmailIn(msgspec.Struct):
    email: str


class LoginIn(msgspec.Struct):
    username: str
    password: str


class TokenOut(msgspec.Struct):
    token: str
