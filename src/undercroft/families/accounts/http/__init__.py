"""The wire format of accounts: parse, one action, render."""

from typing import Any

from undercroft.families.accounts.http import shapes
from undercroft.families.accounts.http.belongings import AppTokens, Keys, Quotas
from undercroft.families.accounts.http.passwords import Passwords, SigningIn
from undercroft.families.accounts.http.rules import Parts, Rules
from undercroft.families.accounts.http.teams import Teams
from undercroft.families.accounts.http.users import Users
from undercroft.machinery.operations import Operation, Run

# Refusals are lines of text.
_ERRORS = dict.fromkeys((400, 401, 403, 404, 409, 413, 429, 503))
_FORM = "application/x-www-form-urlencoded"


def operations(parts: Parts, rules: Rules) -> list[Operation]:
    return [*_on_users(Users(parts, rules)), *_on_passwords(SigningIn(parts, rules), Passwords(parts)),
            *_on_keys(Keys(parts)), *_on_teams(Teams(parts, rules)),
            *_on_quotas(Quotas(parts, rules), AppTokens(parts))]  # fmt: skip


def _on_users(users: Users) -> list[Operation]:
    return [
        _operation("POST", "/users", users.create, "Create a user", "sign up if open", takes=shapes.UserIn),
        _operation("GET", "/users", users.list_page, "List users", "read users", shapes.UserList,
                   query=shapes.PageQuery),
        _operation("DELETE", "/users", users.remove_self, "Remove yourself", "own account"),
        _operation("DELETE", "/users/{email}", users.remove, "Remove a user", "change users"),
    ]  # fmt: skip


def _on_passwords(signing_in: SigningIn, passwords: Passwords) -> list[Operation]:
    one = "/users/{email}/password"
    return [
        _operation("POST", "/users/{email}/tokens", signing_in.log_in, "Sign in by password", "sign in",
                   shapes.LoggedIn, takes=shapes.PasswordIn),
        _operation("DELETE", "/users/tokens", signing_in.log_out, "Sign out: the token ends", "sign out"),
        _operation("PUT", "/users/password", passwords.change, "Change your password", "own account",
                   takes=shapes.PasswordChange),
        _operation("POST", one, passwords.reset, "Have a token mailed, or set a password with it", "reset password",
                   takes=shapes.ResetIn, query=shapes.ResetQuery),
        _operation("PUT", one, passwords.set, "Set a user's password", "change users", takes=shapes.NewPasswordIn),
    ]  # fmt: skip


def _on_keys(keys: Keys) -> list[Operation]:
    return [
        _operation("POST", "/users/keys", keys.add, "Add an SSH key of yours", "own account", takes=shapes.KeyIn),
        _operation("DELETE", "/users/keys", keys.remove, "Remove an SSH key", "own account", takes=shapes.KeyIn),
        _operation("GET", "/users/{email}/keys", keys.list_own, "List your SSH keys by name", "own account",
                   dict[str, str]),
    ]  # fmt: skip


def _on_teams(teams: Teams) -> list[Operation]:
    one, member = "/teams/{team}", "/teams/{team}/{email}"
    return [
        _operation("GET", "/teams", teams.list_own, "List your teams", "teams", list[shapes.TeamName]),
        _operation("GET", one, teams.fetch, "A team and its members", "teams", shapes.TeamOut),
        _operation("POST", "/teams", teams.create, "Create a team", "teams", takes=shapes.TeamIn),
        _operation("DELETE", one, teams.remove, "Remove a team", "teams"),
        _operation("PUT", member, teams.add_member, "Add a user to a team", "teams"),
        _operation("DELETE", member, teams.remove_member, "Remove a user from a team", "teams"),
    ]


def _on_quotas(quotas: Quotas, app_tokens: AppTokens) -> list[Operation]:
    one = "/quota/{user}"
    return [
        _operation("GET", one, quotas.fetch, "How many apps a user has, and how many more it may have", "own account",
                   shapes.QuotaOut),
        _operation("PUT", one, quotas.change, "Set how many apps a user may have", "change users",
                   takes=shapes.QuotaIn, content_types=(_FORM,)),
        _operation("POST", "/tokens", app_tokens.create, "Make a token for an app", "make app tokens",
                   shapes.AppToken, takes=shapes.AppTokenIn),
    ]  # fmt: skip


# A key is the longest of what these take.
LONGEST_BODY = 64 * 1_024


def _operation(method: str, path: str, run: Run, summary: str, verb: str, gives: Any = None, **more: Any) -> Operation:
    return Operation(method, path, run, summary, verb, most_body=LONGEST_BODY, gives={200: gives, **_ERRORS}, **more)
