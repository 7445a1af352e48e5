"""Operations on users: how they come, are listed, and go."""

from undercroft.base.refusals import Kind, Refusal, invalid
from undercroft.database import Transaction
from undercroft.families.accounts.http import shapes
from undercroft.families.accounts.http.reading import object_in, text_of
from undercroft.families.accounts.http.rules import EMPTY, Parts, Rules, address_of, caller_place
from undercroft.machinery.identity import users
from undercroft.machinery.identity.limits import Limit, Taken, Try, place_of, take_tries, too_many
from undercroft.machinery.identity.passwords import check_password
from undercroft.machinery.identity.records import NOBODY
from undercroft.machinery.operations import Reply, Request, json_reply

MOST_PER_PAGE = 1_000
# Where anybody may sign up: from one place.
SIGN_UPS = Limit(10, 6 * 60_000)


class Users:
    def __init__(self, parts: Parts, rules: Rules) -> None:
        self._parts = parts
        self._database = parts.database
        self._rules = rules

    async def create(self, request: Request) -> Reply:
        actor = NOBODY if self._rules.public_signup else await self._admin(request)
        body = object_in(request.body)
        email, password = text_of(body, "email"), text_of(body, "password")
        users.check_email(email)
        check_password(password)
        await self._database.read(users.require_unregistered, email)
        if self._rules.public_signup:
            taken = await self._database.write_once(_take_sign_up, address_of(self._parts, request), request.now)
            if taken.wait:
                raise too_many("accounts were made from here", taken.wait)
        place = caller_place(self._parts, request)
        hash = await self._parts.passwords.hash(password, place, known=not self._rules.public_signup)
        await self._database.write_once(users.create_user, email, hash, request.now, actor)
        return EMPTY

    async def list_page(self, request: Request) -> Reply:
        query = request.query(shapes.PageQuery)
        if not 1 <= query.limit <= MOST_PER_PAGE:
            raise invalid("query", f"limit is 1 to {MOST_PER_PAGE}")
        found = await self._database.read(users.list_users, query.cursor, query.limit + 1)
        page = [shapes.UserOut(*user[:2], list(user.teams), *user[3:]) for user in found[: query.limit]]
        return json_reply(shapes.UserList(page, page[-1].email if len(found) > query.limit else None))

    async def remove_self(self, request: Request) -> Reply:
        caller = request.identity
        await self._database.write_once(users.remove_user, caller.email, request.now, caller.email)
        return EMPTY

    async def remove(self, request: Request) -> Reply:
        await self._database.write_once(users.remove_user, request.path["email"], request.now, request.identity.email)
        return EMPTY

    async def _admin(self, request: Request) -> str:
        """The admin who calls, where only admins make accounts."""
        try:
            caller = await self._parts.gate.identify(request.header(b"authorization"), request.now)
        except Refusal as refusal:
            if refusal.kind is not Kind.UNAUTHORIZED:
                raise
            raise _no_signup() from None
        if not caller.is_admin():
            raise _no_signup()
        return caller.email


def _no_signup() -> Refusal:
    return Refusal(Kind.FORBIDDEN, "no_signup", "User registration is disabled for non-admin users.")


def _take_sign_up(tx: Transaction, address: str | None, now: int) -> Taken:
    return take_tries(tx, [Try(f"sign-up from {place_of(address)}", SIGN_UPS)], now)
