"""What the house itself answers, beside the families: health, metrics, who am I, tokens, OpenAPI."""

import msgspec
from prometheus_client import REGISTRY, generate_latest

from undercroft.base.refusals import Refusal, invalid
from undercroft.database import Database, Transaction
from undercroft.machinery.identity import actions, store
from undercroft.machinery.identity.model import Token, check_scopes
from undercroft.machinery.operations import Operation, Reply, Request, json_reply
from undercroft.machinery.wording import STATUS

LONGEST_EXPIRY = 10 * 365 * 86_400


class Problem(msgspec.Struct):
    error: str
    code: str


PROBLEMS = dict.fromkeys((400, 401, 403, 404, 413, 429, 503), Problem)


class Health(msgspec.Struct):
    status: str
    database: str
    mail: str = "capture"
    """`relay`, or `capture` where there is none: then mail is kept and shown, and goes nowhere."""


class Me(msgspec.Struct):
    user: str
    teams: list[str]
    scopes: list[str] | None


class TokenIn(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    scopes: list[str] | None = None
    expires_in: int | None = None
    """Seconds."""


class TokenMade(msgspec.Struct):
    id: str
    name: str
    scopes: list[str] | None
    token: str
    """Shown this once."""
    expires_at: int | None


class TokenOut(msgspec.Struct):
    id: str
    name: str
    scopes: list[str] | None
    created_at: int
    expires_at: int | None
    last_used_at: int | None


class TokenList(msgspec.Struct):
    tokens: list[TokenOut]


class Done(msgspec.Struct):
    status: str = "ok"


_token_in = msgspec.json.Decoder(TokenIn)


def refuse(refusal: Refusal) -> Reply:
    status = STATUS[refusal.kind]
    return json_reply(Problem(refusal.message, refusal.code), status)


class House:
    def __init__(self, database: Database, families: tuple[str, ...], *, mail: str) -> None:
        self._database = database
        self._families = families
        self._mail = mail

    def operations(self) -> list[Operation]:
        return [
            Operation("GET", "/health", self.health, "Whether the server can do its work", "health",
                      gives={200: Health, 503: Health}),
            Operation("GET", "/metrics", self.metrics, "Figures for Prometheus", "metrics",
                      gives={200: None, **PROBLEMS}, also_anonymous="metrics"),
            Operation("GET", "/undercroft/me", self.me, "Who the token makes you", "who am I",
                      gives={200: Me, **PROBLEMS}),
            Operation("GET", "/undercroft/tokens", self.tokens, "Your tokens", "own tokens",
                      gives={200: TokenList, **PROBLEMS}),
            Operation("POST", "/undercroft/tokens", self.create_token, "Make a token", "own tokens",
                      takes=TokenIn, gives={200: TokenMade, **PROBLEMS}),
            Operation("DELETE", "/undercroft/tokens/{id}", self.revoke_token, "Revoke a token", "own tokens",
                      gives={200: Done, **PROBLEMS}),
        ]  # fmt: skip

    async def health(self, _request: Request) -> Reply:
        try:
            await self._database.read_apart(_one)  # who searches much holds no probe up
        except Refusal:
            return json_reply(Health("unavailable", "unreachable", self._mail), 503)
        if not await self._database.can_be_written():
            return json_reply(Health("unavailable", "can't be written", self._mail), 503)
        return json_reply(Health("ok", self._database.engine, self._mail))

    async def metrics(self, _request: Request) -> Reply:
        return Reply(200, generate_latest(REGISTRY), b"text/plain; version=0.0.4; charset=utf-8")

    async def me(self, request: Request) -> Reply:
        identity = request.identity
        scopes = None if identity.scopes is None else list(identity.scopes)
        return json_reply(Me(identity.email, list(identity.teams), scopes))

    async def tokens(self, request: Request) -> Reply:
        tokens = await self._database.read(store.tokens_of, request.identity.email)
        return json_reply(TokenList([_shown(token) for token in tokens if request.identity.covers_all(token.scopes)]))

    async def create_token(self, request: Request) -> Reply:
        wanted = _read_token(request.body)
        scopes = None if wanted.scopes is None else tuple(wanted.scopes)
        check_scopes(scopes, self._families)
        token, secret = await self._database.write_once(
            actions.create_token, request.identity, wanted.name, scopes, wanted.expires_in, request.now
        )
        made_scopes = None if token.scopes is None else list(token.scopes)
        return json_reply(TokenMade(token.id, token.name, made_scopes, secret, token.expires_at))

    async def revoke_token(self, request: Request) -> Reply:
        await self._database.write_once(actions.revoke_token, request.identity, request.path["id"], request.now)
        return json_reply(Done())


def _one(tx: Transaction) -> None:
    tx.one("SELECT 1")


def _read_token(body: bytes) -> TokenIn:
    try:
        wanted = _token_in.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise invalid("body", f"the body can't be read: {error}") from None
    if not 0 < len(wanted.name) <= 200 or "\x00" in wanted.name:
        raise invalid("name", "a token's name has 1 to 200 letters")
    if wanted.scopes is not None and not 0 < len(wanted.scopes) <= 100:
        raise invalid("scope", "a token has 1 to 100 scopes; leave them out for everything that you may do")
    if wanted.expires_in is not None and not 0 < wanted.expires_in <= LONGEST_EXPIRY:
        raise invalid("expires_in", "expires_in is in seconds, more than 0 and up to ten years")
    return wanted


def _shown(token: Token) -> TokenOut:
    scopes = None if token.scopes is None else list(token.scopes)
    return TokenOut(token.id, token.name, scopes, token.created_at, token.expires_at, token.last_used_at)
