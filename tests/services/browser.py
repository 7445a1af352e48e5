"""The browser that Playwright drives: the machine's own, nothing downloaded."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")

QUIET = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_browser() -> str | None:
    """The path of a Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def browser_options() -> list[str]:
    """Chromium's sandbox refuses root, and the tests' pages are ours. It keeps to the tests: no updates, no sync."""
    return [*(["--no-sandbox"] if os.geteuid() == 0 else []), *QUIET]
