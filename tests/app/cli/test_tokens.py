"""`croft token` against documented answers."""

from tests.app.cli.conftest import Run, Server

MADE = {
    "id": "t1",
    "name": "shop",
    "scopes": ["timers:shop"],
    "token": "the-new-token",
    "expires_at": 1_903_849_200_000,
}


def test_create_prints_the_token_alone_on_stdout(croft: Run, server: Server) -> None:
    server.answers("/undercroft/tokens", MADE)
    ended = croft("token", "create", "shop", "--scope", "timers:shop", "--scope", "locks", "--expires", "30d")
    assert ended.out == "the-new-token\n"
    assert "t1" in ended.err
    assert server.asked == "POST /undercroft/tokens"
    assert server.body == {"name": "shop", "scopes": ["timers:shop", "locks"], "expires_in": 2_592_000}


def test_create_without_end_or_scopes(croft: Run, server: Server) -> None:
    server.answers("/undercroft/tokens", {**MADE, "expires_at": None})
    assert croft("token", "create", "ci", "--json").json["token"] == "the-new-token"
    assert server.body == {"name": "ci", "scopes": None, "expires_in": None}


def test_list_and_revoke(croft: Run, server: Server) -> None:
    token = {key: MADE[key] for key in ("id", "name", "scopes", "expires_at")}
    listing = {"tokens": [{**token, "created_at": 1_900_000_000_000, "last_used_at": None}]}
    server.answers("/undercroft/tokens", listing)
    shown = croft("token", "list").out
    assert "timers:shop" in shown
    assert "never" in shown
    assert croft("token", "list", "--json").json == listing
    server.answers("/undercroft/tokens/a%2Fb", {"status": "ok"})
    assert croft("token", "revoke", "a/b").code == 0
    assert server.asked == "DELETE /undercroft/tokens/a%2Fb"
