"""A browser, and the built site over http: `browser`, `visit`, `address`.

Without a browser these tests are skipped, and the run's last lines say so; with REQUIRE_BROWSER=1
in the environment, as in `.ci/run`, they fail instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pages import windows
from playwright.sync_api import Browser, Error, Page, Playwright, sync_playwright

from lighthouse import PROGRAMS, serve

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # no other host is reached
]


def start(playwright: Playwright) -> Browser:
    """The system's browser, or else the one that Playwright installed."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program:
        return playwright.chromium.launch(executable_path=program, args=FLAGS)
    try:
        return playwright.chromium.launch(channel="chrome", args=FLAGS)  # not on the path of a Mac
    except Error:
        return playwright.chromium.launch(args=FLAGS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            chromium = start(playwright)
        except Error as error:
            reason = f"no browser: {str(error).splitlines()[0]}"
            if os.environ.get("REQUIRE_BROWSER"):
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def address(site: Path) -> str:
    """Where the site is served: `f"{address}/index.html"`."""
    return serve(site)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    with windows(browser) as open_page:
        yield open_page
