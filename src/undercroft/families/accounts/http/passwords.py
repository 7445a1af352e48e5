"""Operations with passwords: signing in and out, changing one, and getting another when it was forgotten."""

from undercroft.base.refusals import Kind, Refusal, invalid
from undercroft.database import Transaction
from undercroft.families.accounts.http import shapes
from undercroft.families.accounts.http.reading import object_in, text_of, texts_in
from undercroft.families.accounts.http.rules import EMPTY, Parts, Rules, address_of, caller_place, line_of_json
from undercroft.machinery.identity import resets, tokens, users
from undercroft.machinery.identity.limits import too_many
from undercroft.machinery.identity.logins import Verified, enter
from undercroft.machinery.identity.memberships import is_member
from undercroft.machinery.identity.model import ADMIN_TEAM
from undercroft.machinery.identity.passwords import check_password, random_password
from undercroft.machinery.identity.resets import NewPassword
from undercroft.machinery.operations import Reply, Request


class SigningIn:
    def __init__(self, parts: Parts, rules: Rules) -> None:
        self._parts = parts
        self._database = parts.database
        self._rules = rules

    async def log_in(self, request: Request) -> Reply:
        body = texts_in(request.body)
        if "password" not in body:
            raise invalid("body", "You must provide a password to login")
        password, email = body["password"], request.path["email"]
        check_password(password)
        users.check_email(email)
        verified = await self._parts.logins.verify(email, password, address_of(self._parts, request), request.now)
        token, is_admin = await self._database.write_once(_start_login, verified, self._rules, request.now)
        return line_of_json(shapes.LoggedIn(token, is_admin))

    async def log_out(self, request: Request) -> Reply:
        await self._database.write_once(tokens.log_out, request.identity, request.now)
        return EMPTY


class Passwords:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._database = parts.database

    async def change(self, request: Request) -> Reply:
        body = texts_in(request.body, "Invalid JSON.")
        old, new = body.get("old", ""), body.get("new", "")
        if not old or not new:
            raise invalid("body", "Both the old and the new passwords are required.")
        verified = await self._verify(request, old)
        check_password(new)
        after = await self._parts.passwords.hash(new, caller_place(self._parts, request), known=True)
        await self._database.write_once(_change, verified, after, request.identity.token, request.now)
        return EMPTY

    async def _verify(self, request: Request, old: str) -> Verified:
        """Whoever has found a token may not guess the password with it either."""
        address = address_of(self._parts, request)
        try:
            return await self._parts.logins.verify(request.identity.email, old, address, request.now)
        except Refusal as refusal:
            if refusal.kind is Kind.UNAUTHORIZED:
                message = "The given password didn't match the user's current password."
                raise Refusal(Kind.FORBIDDEN, "password", message) from None
            raise

    async def set(self, request: Request) -> Reply:
        """By an admin, for somebody else."""
        email, new = request.path["email"], text_of(object_in(request.body), "new")
        check_password(new)
        await self._database.read(users.require_user, email)
        after = await self._parts.passwords.hash(new, caller_place(self._parts, request), known=True)
        await self._database.write_once(users.set_password, email, after, None, request.now, request.identity.email)
        return EMPTY

    async def reset(self, request: Request) -> Reply:
        query = request.query(shapes.ResetQuery)
        email = request.path["email"]
        users.check_email(email)
        given = text_of(object_in(request.body), "password") if request.body else ""
        if query.token is None:
            address = address_of(self._parts, request)
            asked = await self._database.write_once(
                resets.begin_reset, email, address, request.now, self._parts.send_mail
            )
            if asked.wait:
                raise too_many("resets were asked for", asked.wait)
            if not asked.known:
                raise users.no_such_user()
        else:
            await self._finish(request, email, query.token, given)
        return EMPTY

    async def _finish(self, request: Request, email: str, token: str, given: str) -> None:
        """With the password that was given; clients of the document give none, and get one mailed for an hour."""
        if given:
            check_password(given)
        await self._database.read(resets.check_reset, email, token, request.now)
        made = None if given else random_password()
        hash = await self._parts.passwords.hash(made or given, caller_place(self._parts, request), known=True)
        new = NewPassword(hash, made)
        await self._database.write_once(resets.finish_reset, email, token, new, request.now, self._parts.send_mail)


def _start_login(tx: Transaction, verified: Verified, rules: Rules, now: int) -> tuple[str, bool]:
    token = tokens.start_login(tx, verified, rules.login_lasts, rules.most_logins, now)
    return token, is_member(tx, ADMIN_TEAM, verified.email)


def _change(tx: Transaction, verified: Verified, after: str, keep: str, now: int) -> None:
    enter(tx, verified, now)
    users.change_password(tx, verified.email, verified.hash, after, keep, now)
