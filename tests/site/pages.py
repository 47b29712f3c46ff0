"""The pages of the site: their names, their HTML, which is parsed once, and windows with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from bs4 import BeautifulSoup
from playwright.sync_api import Browser, ConsoleMessage, Page

from notebook_files import ROOT

TOC = re.findall(
    r"^ *(?:- file|root): (\S+)$", (ROOT / "_toc.yml").read_text(encoding="utf-8"), re.MULTILINE
)
LISTED = [f"{name}.html" for name in TOC]  # in reading order, those of sections included
CHAPTERS = [name for name in LISTED if re.match(r"chapters/\d\d_", name)]
MADE = ["search.html", "genindex.html", "404.html"]
# Chapters first: where some tests take these alone, pytest runs all tests of a page together.
PAGES = [*CHAPTERS, *(name for name in [*LISTED, *MADE] if name not in CHAPTERS)]


@cache
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def parsed(page: Path) -> BeautifulSoup:
    """A page without what its pictures of formulas are drawn of; not to be changed."""
    light = re.sub(r"(<svg\b[^>]*>).*?</svg>", r"\1</svg>", text(page), flags=re.DOTALL)
    return BeautifulSoup(light, "html.parser")


@contextmanager
def windows(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open an address in a new window; requests to other hosts fail, and are counted.

    `page.foreign` lists these requests, `page.problems` what the console complained of.
    A page that is not `awake` is left as it opens: live figures far below have not started.
    """
    contexts = []

    def open_page(url: str, width: int = 1280, awake: bool = True, **options: object) -> Page:
        options = {"viewport": {"width": width, "height": 800}, **options}
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_navigation_timeout(120_000)  # other workers keep the machine busy
        page = contexts[-1].new_page()
        page.foreign, page.problems = [], []

        def note(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                page.problems.append(f"{message.type}: {message.text}")

        def note_host(url: str) -> None:
            if urlsplit(url).hostname not in (None, "127.0.0.1"):
                page.foreign.append(url)

        page.on("request", lambda request: note_host(request.url))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", note)
        page.goto(url)  # until all that it loads is there, so that nothing moves afterwards
        if awake:
            page.keyboard.press("Shift")  # the first key starts all live figures
        return page

    yield open_page
    for context in contexts:
        context.close()
