"""Captured e-mails in a real browser: listed, opened, and shut in."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.services.croft import Croft


@pytest.fixture
def croft(start_croft: Callable[..., Croft]) -> Croft:
    return start_croft()


@pytest.fixture
def elsewhere(page: Page, croft: Croft) -> Iterator[list[str]]:
    """What the page asks of others, and what it says that it did."""
    asked: list[str] = []
    page.on("request", lambda one: None if one.url.startswith(croft.url) else asked.append(one.url))
    # It is told of what the policy has kept from going out, too.
    page.on("requestfailed", lambda one: asked.remove(one.url) if one.failure == "csp" else None)
    page.on("dialog", lambda one: asked.append(f"dialog {one.message}"))
    yield asked
    assert asked == []


def test_a_captured_mail_is_shown_and_can_do_nothing(page: Page, croft: Croft, elsewhere: list[str]) -> None:
    html = (
        "<h1 style='color: rgb(1, 2, 3)'>Good morning</h1><script>alert('in')</script>"
        "<img src='https://tracker.example/pixel.png' onerror=\"alert('img')\">"
        "<a href='https://example.com/' target='_top'>away</a>"
    )
    sent = croft.http.post("/systems/emails", json={"to": "Ann <ann@example.com>", "subject": "News", "body": html})
    assert sent.json() == {"message": "Email captured."}
    page.goto(croft.url)
    page.get_by_label("Token").fill(croft.token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="E-mails", exact=True).click()
    expect(page.get_by_text("Captured, not sent.")).to_be_visible()
    page.get_by_role("link", name="News").click()
    expect(page.get_by_role("heading", name="News")).to_be_visible()
    expect(page.get_by_text(re.compile("^captured$")).first).to_be_visible()
    heading = page.frame_locator("iframe.mail").get_by_role("heading", name="Good morning")
    expect(heading).to_be_visible()
    expect(heading).to_have_css("color", "rgb(1, 2, 3)")
    page.frame_locator("iframe.mail").get_by_text("away").click()
    expect(page.get_by_role("heading", name="News")).to_be_visible()
    page.get_by_role("link", name="as the relay gets it").click()
    expect(page.get_by_text("Content-Type: multipart/alternative")).to_be_visible()
