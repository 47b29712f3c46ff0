"""What a reader does: search, find the way by keyboard, change the colours, read on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import CHAPTERS, LISTED

PHONE = 320  # CSS pixels
FOCUSED = "() => document.activeElement.outerHTML.slice(0, 300)"


def test_folded_code_has_one_name_at_a_time(address: str, visit) -> None:
    summary = visit(f"{address}/chapters/06_one_class.html").locator("details.hide > summary").first
    assert summary.inner_text().strip() == "Show the code"
    summary.click()
    assert summary.inner_text().strip() == "Hide the code"


def test_figures_in_the_dark_lie_on_their_own_white(address: str, visit) -> None:
    page = visit(f"{address}/{CHAPTERS[5]}", color_scheme="dark", awake=False)
    grounds = page.locator(".cell_output img").evaluate_all(
        "all => all.map(e => getComputedStyle(e).backgroundColor)"
    )
    assert set(grounds) == {"rgb(255, 255, 255)"}


def test_a_list_of_terms_has_the_height_that_it_will_have(address: str, visit) -> None:
    height = "() => document.documentElement.scrollHeight"
    page = visit(f"{address}/chapters/glossary.html")
    opened = page.evaluate(height)
    for _ in range(40):
        page.keyboard.press("PageDown")
    assert abs(page.evaluate(height) - opened) < 50


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_search_finds_a_word(address: str, site: Path, visit, scheme: str) -> None:
    start = f"{address}/index.html" if scheme == "http" else (site / "index.html").as_uri()
    page = visit(start)
    page.keyboard.press("/")
    page.wait_for_function("() => document.activeElement.matches('input[name=q]')")
    page.keyboard.type("reparameterisation")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
    assert any("03_encoder_decoder.html" in link for link in found)
    page.locator("#search-results li a", has_text="Glossary").first.click()
    page.wait_for_url("**/glossary.html**")
    assert page.problems == [] and page.foreign == []


def test_the_first_key_skips_to_the_text(address: str, visit) -> None:
    page = visit(f"{address}/{CHAPTERS[0]}")
    page.keyboard.press("Tab")
    link = page.locator(".skip-to-content")
    assert link.evaluate("a => a === document.activeElement")
    in_sight = "() => document.activeElement.getBoundingClientRect().top >= 0"
    page.wait_for_function(in_sight)  # it slides in
    page.keyboard.press("Enter")
    page.wait_for_url("**#furo-main-content")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.closest('article') !== null")


def test_every_stop_of_the_tab_key_shows(address: str, visit) -> None:
    page = visit(f"{address}/{CHAPTERS[0]}")
    for _ in range(40):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
              const e = document.activeElement, s = getComputedStyle(e);
              const ring = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0;
              return e === document.body || ring || s.boxShadow !== 'none'
                  || getComputedStyle(e.parentElement).outlineStyle !== 'none';
            }"""
        )
        assert seen, f"no focus ring on {page.evaluate(FOCUSED)}"


def test_the_contents_open_by_keyboard_on_a_phone(address: str, visit) -> None:
    page = visit(f"{address}/{CHAPTERS[0]}", width=PHONE)
    page.keyboard.press("Tab")
    ring = page.locator(".nav-overlay-icon").evaluate("e => getComputedStyle(e).outlineStyle")
    assert ring == "solid"
    entry = page.locator(".sidebar-tree a", has_text="Glossary")
    assert not entry.is_visible()
    page.keyboard.press("Space")
    page.wait_for_function("e => e.getBoundingClientRect().left >= 0", arg=entry.element_handle())


def test_the_colour_button_changes_the_colours(address: str, visit) -> None:
    page = visit(f"{address}/index.html", color_scheme="light")
    seen = set()
    for _ in range(3):
        page.locator(".theme-toggle:visible").click()
        seen.add(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
    assert len(seen) == 2
    assert page.locator(".theme-toggle svg:visible").count() == 1


def test_the_contents_open_on_a_phone(address: str, visit) -> None:
    page = visit(f"{address}/{CHAPTERS[0]}", width=PHONE)
    page.locator(".nav-overlay-icon").click()
    page.locator(".sidebar-tree a", has_text="Glossary").click()
    page.wait_for_url("**/glossary.html")


def test_a_reader_can_turn_the_pages(address: str, visit) -> None:
    page = visit(f"{address}/{LISTED[0]}")
    page.locator("a.next-page").click()
    page.wait_for_url(f"**/{LISTED[1]}")
    page.locator("a.prev-page").click()
    page.wait_for_url(f"**/{LISTED[0]}")
