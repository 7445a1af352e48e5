"""The pages of sync in a real browser, with real entries: watched, stopped, asked about deletions, restored."""

import itertools
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.families.sync.example import Example
from tests.services.croft import Croft
from tests.services.waiting import wait_until

HOSTILE = "a<script>document.title='taken'</script>\"onmouseover=alert(1) \u202etxt\n.exe"
SOON = 15_000


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Entries A and B that share everything; the tests use them one after the other, each with files of its own."""
    folder = tmp_path_factory.mktemp("files")
    croft = Croft(folder / "croft")
    croft.start()
    try:
        shared = Example(croft, folder / "example")
        shared.share()
        yield shared
    finally:
        croft.stop()
        croft.close()


@pytest.fixture(autouse=True)
def quiet(page: Page, example: Example) -> Iterator[None]:
    """No alert, no error of a script, no request to another host."""
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
    page.on("request", lambda asked: None if asked.url.startswith(example.croft.url) else troubles.append(asked.url))
    yield
    assert troubles == []


def enter(page: Page, example: Example) -> None:
    page.goto(example.croft.url)
    page.get_by_label("Token").fill(example.croft.token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Files", exact=True).click()
    expect(page.get_by_role("heading", name="2 of 2 entries run")).to_be_visible(timeout=SOON)


def test_a_day_with_the_page(page: Page, example: Example) -> None:
    """A file comes by itself; it is found, looked at closely, and what it was before is put back."""
    enter(page, example)
    files = page.get_by_role("region", name="Files")
    expect(files).to_contain_text("There are none.")
    example.write("A", "notes/plan.txt", b"first")
    expect(files.get_by_role("link", name="notes/plan.txt")).to_be_visible(timeout=SOON)
    expect(files).to_contain_text("up to date in A, B", timeout=SOON)
    example.write("A", "notes/plan.txt", b"second, longer")
    example.wait_for("notes/plan.txt", ["A", "B"], 14)

    files.get_by_label("Name contains").fill("PLAN")
    files.get_by_role("button", name="Show").click()
    files.get_by_role("link", name="notes/plan.txt").click()
    expect(page.get_by_role("heading", name="notes/plan.txt")).to_be_visible()
    expect(page.get_by_role("region", name="Copies")).to_contain_text("up to date")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "plan.txt"
    assert download.value.path().read_bytes() == b"second, longer"

    versions = page.get_by_role("region", name="What was replaced or deleted")
    expect(versions).to_contain_text("5 bytes", timeout=SOON)
    versions.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("was asked to put it back")).to_be_visible()
    expect(versions).to_contain_text("14 bytes", timeout=SOON)
    wait_until(lambda: (example.folder / "A/notes/plan.txt").read_bytes() == b"first", "the first content everywhere")


def test_entries_are_stopped_started_and_asked_about_deletions(page: Page, example: Example) -> None:
    for n in range(20):
        example.write("A", f"{n}.txt", b"x")
    for n in range(20):
        example.wait_for(f"{n}.txt", ["A", "B"], 1)
    enter(page, example)
    page.get_by_role("button", name="Stop: B").click()
    expect(page.get_by_role("heading", name="1 of 2 entries runs")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Start: B").click()
    expect(page.get_by_role("heading", name="2 of 2 entries run")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Restart: A").click()
    expect(page.get_by_role("heading", name="2 of 2 entries run")).to_be_visible(timeout=SOON)
    wait_until(lambda: example.get("/entries/A/progress")["scanned_at"], "A to have looked")
    example.call("PUT", "/entries/A/stop")
    for n in range(20):
        (example.folder / f"A/{n}.txt").unlink()
    example.call("PUT", "/entries/A/start")
    expect(page.get_by_text("20 deletions wait for your word")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Bring them back: A").click()
    wait_until(lambda: all((example.folder / f"A/{n}.txt").exists() for n in range(20)), "all of them back")
    expect(page.get_by_text("for your word")).to_have_count(0)


def test_all_of_it_without_scripts(browser: Browser, example: Example) -> None:
    example.write("A", HOSTILE, b"first")
    example.wait_for(HOSTILE, ["A", "B"], 5)
    (example.folder / "A" / HOSTILE).unlink()
    wait_until(lambda: not (example.folder / "B" / HOSTILE).exists(), "it to be deleted")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    enter(page, example)
    link = page.get_by_role("link", name="⟨202E⟩txt⟨000A⟩.exe")
    page.get_by_role("link", name="deleted", exact=True).click()
    while not link.count():  # its row comes a moment after the file has gone
        page.get_by_role("link", name="Refresh").click()
    link.click()
    page.get_by_role("button", name="Restore").click()
    wait_until((example.folder / "A" / HOSTILE).exists, "it to be there again")
    while not page.get_by_role("link", name="Download").count():
        page.get_by_role("link", name="Refresh").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.endswith("⟨202E⟩txt⟨000A⟩.exe")
    page.get_by_role("link", name="Files", exact=True).click()
    page.get_by_role("button", name="Stop: A").click()
    page.get_by_role("button", name="Start: A").click()
    expect(page.get_by_role("heading", name="2 of 2 entries run")).to_be_visible()
    context.close()


def test_nothing_does_or_sticks_out(page: Page, example: Example) -> None:
    long = "/".join(["w" * 250] * 8)
    for name in (HOSTILE, long):
        example.write("A", name, b"x" * 3)
        example.wait_for(name, ["A", "B"], 3)
    (example.folder / "A" / ("l" * 250)).symlink_to("x")
    example.call("PUT", "/entries/A/rescan")
    enter(page, example)
    link = page.get_by_role("link", name="⟨202E⟩txt⟨000A⟩.exe").first
    link.hover()
    urls = ["/dashboard/files", link.get_attribute("href")]
    urls.append(page.get_by_role("link", name="wwww").first.get_attribute("href"))
    for url, width in itertools.product(urls, (320, 390, 1_320)):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{example.croft.url}{url}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (url, width)
    assert page.title() != "taken"
