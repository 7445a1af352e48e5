"""Operations on what a user has: keys, a quota; and the tokens of apps."""

from datetime import UTC, datetime
from urllib.parse import parse_qs

from undercroft.base.clock import SECOND
from undercroft.base.refusals import Kind, Refusal, invalid
from undercroft.families.accounts.http import shapes
from undercroft.families.accounts.http.reading import field, object_in, text_of, texts_in
from undercroft.families.accounts.http.rules import EMPTY, Parts, Rules, line_of_json
from undercroft.families.accounts.refusing import text_reply
from undercroft.machinery.identity import keys, quotas, tokens
from undercroft.machinery.identity.keys import Key, read_key
from undercroft.machinery.operations import Reply, Request


class Keys:
    def __init__(self, parts: Parts) -> None:
        self._database = parts.database

    async def add(self, request: Request) -> Reply:
        await self._database.write_once(keys.add_key, request.identity.email, _key(request), request.now)
        return EMPTY

    async def remove(self, request: Request) -> Reply:
        await self._database.write_once(keys.remove_key, request.identity.email, _key(request), request.now)
        return EMPTY

    async def list_own(self, request: Request) -> Reply:
        email = _own(request, "email", "keys")
        found = await self._database.read(keys.keys_of, email)
        return line_of_json({key.name: key.content for key in found})


class Quotas:
    def __init__(self, parts: Parts, rules: Rules) -> None:
        self._database = parts.database
        self._default = rules.apps_per_user

    async def fetch(self, request: Request) -> Reply:
        email = _own(request, "user", "quota")
        quota = await self._database.read(quotas.quota_of, email, self._default)
        return line_of_json(shapes.QuotaOut(*quota))

    async def change(self, request: Request) -> Reply:
        try:
            given = parse_qs(request.body.decode("ascii"), max_num_fields=10).get("quota", [""])
        except ValueError:
            raise invalid("quota", "invalid parameter") from None
        most = quotas.read_quota(given[-1])
        await self._database.write_once(
            quotas.set_quota, request.path["user"], most, request.now, request.identity.email
        )
        return text_reply("Quota changed sucessfully.")  # spelt as clients know it


class AppTokens:
    def __init__(self, parts: Parts) -> None:
        self._database = parts.database

    async def create(self, request: Request) -> Reply:
        body = object_in(request.body)
        app = text_of(body, "client")
        if not app:
            raise invalid("app", "Missing client name in JSON body")
        wants_export = field(body, "export") or False
        if not isinstance(wants_export, bool):
            raise invalid("body", "Invalid JSON: export is true or false")
        token = await self._database.write_once(tokens.make_app_token, app, request.identity, request.now)
        # Apps are still to come: there is no environment to put it into.
        exported = ((b"x-token-exported", b"false"),) if wants_export else ()
        made_on = datetime.fromtimestamp(request.now / SECOND, UTC).strftime("%Y/%m/%d")
        made = line_of_json(shapes.AppToken(token, made_on, tokens.APP_TOKEN_LASTS // SECOND, app))
        return made._replace(headers=exported)


def _key(request: Request) -> Key:
    text = texts_in(request.body).get("key", "")
    if not text:
        raise invalid("key", "Missing key")
    return read_key(text, request.identity.email)


def _own(request: Request, name: str, what: str) -> str:
    """The user whom the path names: the caller, or anybody where an admin calls. Raises Refusal(FORBIDDEN)."""
    email, caller = request.path[name], request.identity
    if email != caller.email and not caller.is_admin():
        raise Refusal(Kind.FORBIDDEN, "forbidden", f"You may see your own {what} only")
    return email
