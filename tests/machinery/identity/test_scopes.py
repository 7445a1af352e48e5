"""What scopes cover, and which there are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercroft.base.refusals import Refusal
from undercroft.machinery.identity.model import Identity, check_scopes

FAMILIES = ("timers", "locks")


@pytest.mark.parametrize(
    ("scopes", "family", "namespace", "allowed"),
    [
        (None, "timers", "shop", True),
        (None, "timers", None, True),
        (("timers",), "timers", "shop", True),
        (("timers",), "timers", None, True),
        (("timers",), "locks", "shop", False),
        (("timers:shop",), "timers", "shop", True),
        (("timers:shop",), "timers", "shop2", False),
        (("timers:shop",), "timers", None, False),
        (("timers:shop",), "locks", "shop", False),
        (("timers:shop", "locks"), "locks", "x", True),
        (("timers:a:b",), "timers", "a:b", True),
        (("timers:a:b",), "timers", "a", False),
        ((), "timers", "shop", False),
        (("timer",), "timers", None, False),
        (("timers:Shop",), "timers", "shop", False),
    ],
)
def test_what_scopes_cover(scopes: tuple[str, ...] | None, family: str, namespace: str | None, allowed: bool) -> None:
    assert Identity("a@b", (), "t", scopes).covers(family, namespace) == allowed


@given(
    st.lists(st.sampled_from(["timers", "timers:a", "timers:a:b", "locks", "locks:a"]), max_size=3).map(tuple),
    st.lists(st.sampled_from(["timers", "timers:a", "timers:a:b", "locks", "locks:a"]), max_size=3).map(tuple),
)
def test_who_covers_all_scopes_of_another_may_do_all_that_it_may(mine: tuple[str, ...], its: tuple[str, ...]) -> None:
    maker, made = Identity("a@b", (), "t", mine), Identity("a@b", (), "u", its)
    places = [(family, namespace) for family in ("timers", "locks") for namespace in (None, "a", "a:b", "c")]

    if maker.covers_all(its):
        assert all(maker.covers(*place) for place in places if made.covers(*place))


@pytest.mark.parametrize(
    "scope", ["", ":", "timers:", "Timers", "mail", "timers ", " timers", "*", "timers:" + "x" * 200]
)
def test_scopes_that_are_none(scope: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_scopes((scope,), FAMILIES)
    assert refused.value.code == "scope"


def test_scopes_that_are_some() -> None:
    check_scopes(None, FAMILIES)
    check_scopes(("timers", "locks:any thing\n:at all"), FAMILIES)
