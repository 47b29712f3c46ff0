"""What a reader does: search, find the way by keyboard, change the colours, read on a phone."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pages import CHAPTERS, PAGES, listed

PHONE = 320  # CSS pixels
FOCUSED = "() => document.activeElement.outerHTML.slice(0, 300)"
OFF_PAPER = [
    ".sidebar-drawer",
    ".toc-drawer",
    ".mobile-header",
    ".skip-to-content",
    ".launch",
    ".feedback",
]
LOOKS = "all => all.map(host => host.dataset.look)"


def lightness(page, colour: str) -> float:
    """The mean of red, green and blue that the page's body has, 0 to 255."""
    found = page.evaluate(f"() => getComputedStyle(document.body).{colour}")
    return sum(int(part) for part in re.findall(r"\d+", found)[:3]) / 3


def landed(page, name: str) -> bool:
    """Whether the element of that name stands below the page's header, or as high as it can."""
    return page.evaluate(
        """(name) => {
          const top = document.getElementById(name).getBoundingClientRect().top;
          const end = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
          return -2 <= top && (top < 150 || (end && top < innerHeight));
        }""",
        name,
    )


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", [*CHAPTERS, "chapters/glossary.html"])
def test_a_link_leads_to_its_place(address: str, visit, name: str, width: int) -> None:
    """From the contents beside the page to places all along it, from another page to its end."""
    page = visit(f"{address}/{name}", width=width, awake=False)
    links = page.locator(".toc-tree ul ul a")  # the first is the page itself
    places = links.evaluate_all("all => all.map(a => a.hash.slice(1))")
    missed = []
    for place in places[:: max(1, len(places) // 6)]:
        page.evaluate("(place) => (location.hash = place)", place)
        page.wait_for_timeout(100)
        if not landed(page, place):
            missed.append(f"inside: {place}")
    page.goto("about:blank")
    page.goto(f"{address}/{name}#{places[-1]}")
    page.wait_for_timeout(200)
    if not landed(page, places[-1]):
        missed.append(f"from outside: {places[-1]}")
    assert len(places) > 3 and missed == []


def test_folded_code_has_one_name_at_a_time(address: str, visit) -> None:
    summary = visit(f"{address}/chapters/06_one_class.html").locator("details.hide > summary").first
    assert summary.inner_text().strip() == "Show the code"
    summary.click()
    assert summary.inner_text().strip() == "Hide the code"


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_a_page_without_sideways_scroll(address: str, visit, name: str) -> None:
    page = visit(f"{address}/{name}", width=PHONE)
    page.locator("details").evaluate_all("all => all.forEach(d => d.open = true)")
    width = page.evaluate("() => document.documentElement.scrollWidth")
    assert width <= PHONE
    outside = page.locator("article :is(p, li, h1, h2, h3, img, pre, table, .math)").evaluate_all(
        """all => all.filter(e => {
             if (e.closest('table, .text_html, pre')?.parentElement?.closest('article') &&
                 e.closest('.table-wrapper, .text_html, pre')) return false;
             return e.getBoundingClientRect().right > innerWidth + 1;
           }).map(e => e.outerHTML.slice(0, 200))"""
    )
    assert outside == []


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


def test_pages_follow_each_other(site: Path, address: str, visit) -> None:
    order = listed()
    for i, name in enumerate(order):
        end = (site / name).read_text(encoding="utf-8").partition("<footer>")[2]
        page = BeautifulSoup(end, "html.parser")
        linked = {"prev": order[i - 1 : i], "next": order[i + 1 : i + 2]}
        for way, expected in linked.items():
            led = [link["href"] for link in page.select(f"a.{way}-page")]
            targets = [os.path.normpath(Path(name).parent / there) for there in led]
            assert targets == expected, f"{name}, {way}"
    page = visit(f"{address}/{order[0]}")  # and a reader can click
    page.locator("a.next-page").click()
    page.wait_for_url(f"**/{order[1]}")
    page.locator("a.prev-page").click()
    page.wait_for_url(f"**/{order[0]}")


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_is_downloaded_or_opened_elsewhere(site: Path, name: str) -> None:
    page = BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")
    *elsewhere, notebook = [a["href"] for a in page.select(".launch a")]
    assert notebook.endswith(".ipynb") and ((site / name).parent / notebook).is_file()
    for host in "colab.research.google.com", "mybinder.org":
        assert any(f"//{host}/" in link and Path(name).stem in link for link in elsewhere)
    assert len(page.select("a[href*='colab.research.google.com']")) >= 2


@pytest.mark.parametrize("name", [*CHAPTERS, "index.html"])
def test_a_page_prints_whole(address: str, visit, name: str) -> None:
    page = visit(f"{address}/{name}", width=718, color_scheme="dark")  # A4 less the usual margins
    folded = page.locator("details:not([open])").count()
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert lightness(page, "color") < 80 < 240 < lightness(page, "backgroundColor")
    assert set(page.locator("[data-vae-live]").evaluate_all(LOOKS)) <= {"light"}
    assert page.locator("details:not([open])").count() == 0
    assert page.locator("article h1").is_visible()
    for gone in OFF_PAPER:
        assert not page.locator(gone).first.is_visible()
    cut = page.locator("article :is(.math, pre, img, table)").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().right > innerWidth + 1 ||"
        " e.scrollWidth > e.clientWidth + 1 && e.matches('.math, pre')).map(e => e.outerHTML)"
    )
    assert [html[:300] for html in cut] == []
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert page.locator("details:not([open])").count() == folded
    assert lightness(page, "backgroundColor") < 80
