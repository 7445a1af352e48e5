"""The pages in a real browser, on a real server: what a person sees and does."""

import itertools
import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.services.croft import Croft
from tests.services.receiver import Answer, Receiver

HOSTILE = "<script>document.title='taken'</script>\"onmouseover=alert(1) \u202eexe.txt"


@pytest.fixture
def croft(start_croft: Callable[..., Croft]) -> Croft:
    return start_croft()


@pytest.fixture(autouse=True)
def quiet(page: Page, croft: Croft) -> Iterator[None]:
    """Nothing goes wrong unseen: no complaint in the console, no request to another host, no alert."""
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: None if asked.url.startswith(croft.url) else troubles.append(asked.url))
    yield
    expected = re.compile(
        "Failed to load resource: (the server responded with a status of 401|.*CONNECTION_(REFUSED|RESET))"
    )
    assert not [trouble for trouble in troubles if not expected.match(trouble)]


def sign_in(page: Page, croft: Croft) -> None:
    page.goto(croft.url)
    page.get_by_label("Token").fill(croft.token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="What happens next")).to_be_visible()


def add_route(croft: Croft, id: str, url: str, **more: object) -> None:
    answer = croft.http.post("/route/shop", json={"id": id, "type": "REST", "webhook_url": url, **more})
    assert answer.status_code == 200, answer.text


def add_job(croft: Croft, id: str, route: str, seconds: float = 0) -> None:
    job = {"id": id, "route": route, "trigger_time": int((time.time() + seconds) * 1_000)}
    answer = croft.http.post("/job/shop/carts", json=job)
    assert answer.status_code == 200, answer.text


def test_a_day_with_the_page(page: Page, croft: Croft, receiver: Receiver) -> None:
    """Sign in, see a job, watch it fire; see another die, press replay, see it delivered."""
    receiver.answer("/moody", Answer(500), Answer(200))
    add_route(croft, "kind", receiver.url("/kind"))
    add_route(croft, "moody", receiver.url("/moody"), retries=[])
    sign_in(page, croft)
    coming, failed = (
        page.get_by_role("region", name="What happens next"),
        page.get_by_role("region", name="What failed"),
    )
    expect(coming).to_contain_text("Nothing is waiting")

    add_job(croft, "soon", "kind", 6)
    expect(coming.get_by_role("link", name="soon")).to_be_visible(timeout=10_000)
    receiver.wait_for(1, "/kind")
    expect(coming.get_by_role("link", name="soon")).to_have_count(0, timeout=10_000)
    expect(page.get_by_text("1 delivered since this node started")).to_be_visible()

    add_job(croft, "doomed", "moody")
    expect(failed.get_by_role("link", name="doomed")).to_be_visible(timeout=10_000)
    expect(failed).to_contain_text("answered 500")
    failed.get_by_role("button", name="Replay doomed").click()
    receiver.wait_for(2, "/moody")
    expect(failed).to_contain_text("Nothing failed", timeout=10_000)
    assert croft.http.get("/job/shop/carts/doomed?detail=1").json()["state"] == "delivered"


def test_what_hangs_is_on_its_way(page: Page, croft: Croft, receiver: Receiver) -> None:
    receiver.answer("/slow", Answer(200, delay=60))
    add_route(croft, "slow", receiver.url("/slow"))
    add_job(croft, "hanging", "slow")
    receiver.wait_for(1, "/slow")
    sign_in(page, croft)
    expect(page.get_by_role("region", name="On its way now").get_by_role("link", name="hanging")).to_be_visible()


def test_a_paused_route_goes_on(page: Page, croft: Croft, receiver: Receiver) -> None:
    add_route(croft, "hook", receiver.url("/hook"), paused=True)
    add_job(croft, "waiting", "hook")
    sign_in(page, croft)
    held = page.get_by_role("region", name="Held back")
    expect(held).to_contain_text("1 held", timeout=10_000)

    held.get_by_role("button", name="Resume hook").click()

    receiver.wait_for(1, "/hook")
    expect(held).to_contain_text("No route or collection is paused")


def test_a_wrong_token_and_a_second_try_by_keyboard(page: Page, croft: Croft) -> None:
    page.goto(croft.url)
    page.keyboard.type("nonsense")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This token is not known here, or it has expired.")
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(croft.token)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{croft.url}/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    assert "nonsense" not in croft.log.read_text()
    assert croft.token not in croft.log.read_text()


def test_signing_out(page: Page, croft: Croft) -> None:
    sign_in(page, croft)
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.context.cookies() == []


def test_a_session_that_ends_leads_back_to_the_door(page: Page, croft: Croft) -> None:
    sign_in(page, croft)
    page.context.clear_cookies()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=10_000)


def test_text_of_others_does_nothing(page: Page, croft: Croft, receiver: Receiver) -> None:
    receiver.default = Answer(500, HOSTILE.encode())
    add_route(croft, "hook", receiver.url("/hook"), retries=[])
    add_job(croft, HOSTILE, "hook")
    add_job(croft, HOSTILE + " later", "hook", 3_600)
    receiver.wait_for(1)
    sign_in(page, croft)
    failed = page.get_by_role("region", name="What failed")
    expect(failed).to_contain_text("<script>", timeout=10_000)
    expect(failed).to_contain_text("⟨202E⟩exe.txt")
    failed.get_by_role("link").first.hover()
    failed.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Attempts")).to_be_visible()
    expect(page.locator("pre").last).to_contain_text("<script>")
    assert page.title() != "taken"


def test_a_press_is_not_lost_to_a_refresh(page: Page, croft: Croft, receiver: Receiver) -> None:
    """Where the keyboard stands is kept when the page becomes fresh."""
    receiver.default = Answer(500)
    add_route(croft, "hook", receiver.url("/hook"), retries=[])
    add_job(croft, "first", "hook")
    receiver.wait_for(1)
    sign_in(page, croft)
    button = page.get_by_role("button", name="Replay first")
    expect(button).to_be_visible(timeout=10_000)
    button.focus()
    add_job(croft, "second", "hook")
    expect(page.get_by_role("button", name="Replay second")).to_be_visible(timeout=10_000)
    expect(button).to_be_focused()


def test_holding_still(page: Page, croft: Croft, receiver: Receiver) -> None:
    add_route(croft, "hook", receiver.url("/hook"))
    page.clock.install()
    sign_in(page, croft)
    with page.expect_request("**/?part=live"):
        page.clock.run_for(3_100)
    page.get_by_role("button", name="Hold still").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    add_job(croft, "new", "hook", 3_600)
    page.clock.run_for(60_000)
    assert asked == []
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("link", name="new")).to_be_visible()


def test_a_server_that_is_away_and_comes_back(page: Page, croft: Croft, receiver: Receiver) -> None:
    sign_in(page, croft)
    expect(page.get_by_text("Fresh every 3 seconds")).to_be_visible(timeout=30_000)  # the script is here and runs
    croft.kill()
    expect(page.get_by_text("can’t be reached")).to_be_visible(timeout=30_000)
    croft.start()
    expect(page.get_by_text("Fresh every 3 seconds")).to_be_visible(timeout=30_000)


def test_all_of_it_without_scripts(browser: Browser, croft: Croft, receiver: Receiver) -> None:
    receiver.answer("/moody", Answer(500), Answer(200))
    add_route(croft, "moody", receiver.url("/moody"), retries=[])
    add_job(croft, "doomed", "moody")
    receiver.wait_for(1)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, croft)
    button = page.get_by_role("button", name="Replay doomed")
    while not button.count():
        page.get_by_role("link", name="Refresh").click()
    button.click()
    receiver.wait_for(2)
    expect(page.get_by_role("button", name="Hold still")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    context.close()


def test_nothing_sticks_out(page: Page, croft: Croft, receiver: Receiver) -> None:
    receiver.default = Answer(500)
    add_route(croft, "w" * 300, receiver.url("/hook"), retries=[])
    add_job(croft, "x" * 512, "w" * 300)
    add_job(croft, "y" * 512, "w" * 300, 3_600)
    receiver.wait_for(1)
    sign_in(page, croft)
    dead = page.get_by_role("region", name="What failed").get_by_role("link")
    expect(dead).to_have_count(1, timeout=10_000)
    urls = ["/", "/docs", dead.get_attribute("href")]
    for url, width in itertools.product(urls, (320, 390, 1_320)):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{croft.url}{url}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (url, width)


def test_the_docs_are_read(page: Page, croft: Croft) -> None:
    sign_in(page, croft)
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Docs").click()
    expect(page.get_by_role("heading", name="Error codes").first).to_be_visible()
    page.get_by_role("navigation", name="Operations").get_by_role("link", name="POST /route/{db}", exact=True).click()
    expect(page.locator("article:target")).to_contain_text("Create a route")
