"""A browser, and the built site over http and from disk: `browser`, `visit`, `site`, `address`.

Without a browser these tests are skipped, and the run's last lines say so; with REQUIRE_BROWSER=1
in the environment, as in `.ci/run`, they fail instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
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
            words = f"no browser: {str(error).splitlines()[0]}"
            if os.environ.get("REQUIRE_BROWSER"):
                pytest.fail(words, pytrace=False)
            pytest.skip(words)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def address(site: Path) -> str:
    """Where the site is served: `f"{address}/index.html"`."""
    return serve(site)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open an address in a new window; requests to other hosts are stopped and counted.

    `page.foreign` lists the requests stopped, `page.problems` what the console complained of.
    A page that is not `awake` is left as it opens: live figures far below have not started.
    """
    contexts = []

    def open_page(url: str, width: int = 1280, awake: bool = True, **options: object) -> Page:
        options = {"viewport": {"width": width, "height": 800}, **options}
        context = browser.new_context(**options)
        context.set_default_navigation_timeout(120_000)  # other workers keep the machine busy
        contexts.append(context)
        page = context.new_page()
        page.foreign, page.problems = [], []

        def check(route) -> None:
            if urlsplit(route.request.url).hostname in (None, "127.0.0.1"):
                route.continue_()
            else:
                page.foreign.append(route.request.url)
                route.abort()

        context.route("**/*", check)
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "console",
            lambda message: (
                page.problems.append(f"{message.type}: {message.text}")
                if message.type in ("error", "warning")
                else None
            ),
        )
        page.goto(url)  # until all that it loads is there, so that nothing moves afterwards
        if awake:
            page.keyboard.press("Shift")  # the first key starts all live figures
        return page

    yield open_page
    for context in contexts:
        context.close()
