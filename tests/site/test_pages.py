"""Each page opens quietly, over http and from disk, and shows what it should."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pages import CHAPTERS, FROM_DISK, PAGES
from playwright.sync_api import Page

from notebook_files import ROOT

SCREENSHOTS = ROOT / "_build" / "screenshots"
WIDE = "article :is(div.math, mjx-container[display], .cell_output .text_html, .table-wrapper)"
each_page = pytest.mark.parametrize("name", PAGES)


def test_these_are_all_pages(site: Path) -> None:
    built = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert {name for name in built if not name.startswith("_static")} == set(PAGES)


@pytest.mark.parametrize("name", FROM_DISK)
def test_a_page_opens_quietly_from_disk(site: Path, visit, name: str) -> None:
    """With SCREENSHOTS=1 in the environment it leaves pictures for a person to look at."""
    page = visit((site / name).as_uri())
    page.locator("img[loading=lazy]").evaluate_all("all => all.forEach(i => i.loading='eager')")
    page.emulate_media(color_scheme="dark")
    page.wait_for_load_state("networkidle")
    if os.environ.get("SCREENSHOTS"):
        keep_pictures(page, name)
    assert page.foreign == []
    assert page.problems == []


def keep_pictures(page: Page, name: str) -> None:
    """`_build/screenshots`: the whole page, wide in both colours, and on a phone."""
    page.add_style_tag(content="section { content-visibility: visible !important }")  # all of it
    for label, width, scheme in (
        ("desktop", 1280, "light"),
        ("dark", 1280, "dark"),
        ("phone", 390, "light"),
    ):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_load_state("networkidle")
        target = SCREENSHOTS / f"{name.removesuffix('.html').replace('/', '-')}-{label}.jpg"
        page.screenshot(path=target, full_page=True, quality=70)


@each_page
def test_a_page_opens_quietly_over_http(address: str, visit, name: str) -> None:
    page = visit(f"{address}/{name}")
    assert page.foreign == []
    assert page.problems == []
    assert page.title()
    assert page.locator("h1").count() == 1
    broken = page.locator("article img").evaluate_all(
        "images => images.filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
    )
    assert broken == []


@pytest.mark.parametrize("depth", ["", "chapters/", "a/b/c/"])
def test_a_missing_page_is_explained_at_any_depth(address: str, visit, depth: str) -> None:
    page = visit(f"{address}/{depth}no-such-page.html")
    assert [problem for problem in page.problems if "404" not in problem] == []
    assert page.locator("h1").inner_text() == "Page not found"
    assert page.evaluate("() => getComputedStyle(document.body).fontFamily") != "serif"
    page.locator(".sidebar-tree a", has_text="Glossary").click()
    page.wait_for_url("**/glossary.html")


@pytest.mark.parametrize("name", CHAPTERS)
def test_mathematics_is_drawn_and_nothing_is_cut_off(address: str, visit, name: str) -> None:
    page = visit(f"{address}/{name}")
    formulas = page.locator(".math")
    assert formulas.count() > 0
    sizes = formulas.evaluate_all(
        "all => all.filter(f => !f.closest('details:not([open])'))"
        ".map(f => {const b = f.querySelector('svg').getBoundingClientRect();"
        " return Math.min(b.width, b.height)})"
    )
    assert min(sizes) > 2
    assert page.locator("[data-mml-node=merror], .tex-error").count() == 0
    for width in 1280, 1366, 1920:
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(200)  # formulas are fitted a section at a time
        cut = page.locator(WIDE).evaluate_all(
            "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
        )
        assert cut == [], f"at {width} pixels"
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(400)
    for shrinks, most in ("div.math:has([width=full])", 1.7), (".text_html:has(table)", 1.25):
        scrolls = page.locator(f"article {shrinks}").evaluate_all(
            "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.scrollWidth)"
        )
        assert all(width > most * 358 for width in scrolls), shrinks
    words = page.locator("article").evaluate(
        "a => {a = a.cloneNode(true);"
        " a.querySelectorAll('pre, code, .math').forEach(e => e.remove()); return a.textContent}"
    )
    assert not any(sign in words for sign in ("$$", "\\frac", "\\math", "\\sum", "\\begin{"))
