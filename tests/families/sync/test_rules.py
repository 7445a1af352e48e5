"""Which entries hold which file: all rules that match, together."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercroft.families.sync.model import Match, Rule, mimetype
from undercroft.families.sync.sharing import Sharing

PATHS = st.lists(st.sampled_from(["a", "b", "a.txt", "b.png", "é"]), min_size=1, max_size=3).map("/".join)
MATCHES = st.builds(
    Match,
    st.one_of(st.none(), st.just("/"), PATHS.map("/{}".format), PATHS.map("/{}/".format)),
    st.one_of(st.none(), st.lists(st.sampled_from(["text/*", "text/plain", "image/png"]), max_size=2).map(tuple)),
)
RULES = st.lists(st.builds(Rule, MATCHES, st.lists(st.sampled_from("ABCD"), max_size=3).map(tuple)), max_size=6)


@pytest.mark.parametrize(
    ("match", "filename", "yes"),
    [
        (Match(), "a", True), (Match("/"), "a/b", True), (Match("/foo"), "foo/bar", True),
        (Match("/foo"), "foo", True), (Match("/foo"), "foobar", False), (Match("/foo/"), "foo/bar", True),
        (Match("/foo/"), "foo", False), (Match("/foo/"), "foobar/x", False), (Match("/"), "foo", True),
        (Match("/foo/b"), "foo/bar", False), (Match("/f.o"), "foo", False), (Match("/foo"), "x/foo", False),
        (Match(None, ("text/*",)), "a.TXT", True), (Match(None, ("application/gzip", "gzip")), "a.tar.gz", False),
        (Match(None, ("application/*",)), "unknown", False), (Match(None, ("image/*",)), "images/a.txt", False),
        (Match(None, ("image/*",)), "a.png", True), (Match(None, ("image/png",)), "a.jpg", False),
        (Match(None, ()), "a", True), (Match(None, ("application/octet-stream",)), "unknown", False),
        (Match("/x", ("text/plain",)), "x/a.txt", True), (Match("/x", ("text/plain",)), "y/a.txt", False),
    ],
)  # fmt: skip
def test_matching(match: Match, filename: str, yes: bool) -> None:
    assert Sharing([Rule(match, ("A",))]).holders(filename) == (("A",) if yes else ())
    assert matches(match, filename) is yes


def test_rules_that_match_count_together() -> None:
    rules = [Rule(Match("/"), ("A",)), Rule(Match("/x"), ("B", "A")), Rule(Match("/y"), ("C",))]
    assert Sharing(rules).holders("x/f") == ("A", "B")


@given(RULES, PATHS)
def test_one_after_the_other_says_the_same(rules: list[Rule], filename: str) -> None:
    assert Sharing(rules).holders(filename) == holders(rules, filename)


def matches(match: Match, filename: str) -> bool:
    if match.path is not None:
        prefix = match.path.rstrip("/")
        if prefix and not (f"/{filename}" == match.path or f"/{filename}".startswith(prefix + "/")):
            return False
    if match.mime:
        kind = mimetype(filename)
        if kind is None:
            return False
        return any(kind == wanted or (wanted.endswith("/*") and kind.startswith(wanted[:-1])) for wanted in match.mime)
    return True


def holders(rules: Iterable[Rule], filename: str) -> tuple[str, ...]:
    """In order of first mention."""
    found = [entry for rule in rules if matches(rule.match, filename) for entry in rule.sync]
    return tuple(dict.fromkeys(found))
