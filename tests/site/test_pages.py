"""Each page in a browser, wide and on a phone: opened once, and then looked at by several tests."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import CHAPTERS, PAGES, text, windows
from playwright.sync_api import Browser, Page, TimeoutError

from notebook_files import ROOT

PHONE = 320  # CSS pixels
MEGABYTE = 10**6
LONG = [*CHAPTERS, "index.html", "chapters/try_it.html", "chapters/glossary.html"]
SCREENSHOTS = ROOT / "_build" / "screenshots"
PLACE = re.compile(r'<a class="reference internal" href="#([^"]+)"')  # of the contents beside
WIDE = "article :is(div.math, mjx-container[display], .cell_output .text_html, .table-wrapper)"
OFF_PAPER = ".sidebar-drawer, .toc-drawer, .mobile-header, .skip-to-content, .launch, .feedback"
each_chapter = pytest.mark.parametrize("name", CHAPTERS, indirect=True)
each_long_page = pytest.mark.parametrize("name", LONG, indirect=True)


@pytest.fixture(scope="module", params=PAGES)
def name(request: pytest.FixtureRequest) -> str:
    """For each page in turn, so that pytest runs all tests of a page together."""
    return request.param


def opened(site: Path, browser: Browser, address: str, name: str, width: int) -> Iterator[Page]:
    """A page at its last place, asleep; in the end, after all tests of it, it has no complaint."""
    places = PLACE.findall(text(site / name).partition('"toc-tree"')[2])
    with windows(browser) as open_page:
        page = open_page(
            f"{address}/{name}{(places and '#' + places[-1]) or ''}", width, awake=False
        )
        page.places = places
        yield page
        assert page.foreign == page.problems == []


@pytest.fixture(scope="module")
def wide(site: Path, browser: Browser, address: str, name: str) -> Iterator[Page]:
    yield from opened(site, browser, address, name, 1280)


@pytest.fixture(scope="module")
def phone(site: Path, browser: Browser, address: str, name: str) -> Iterator[Page]:
    yield from opened(site, browser, address, name, PHONE)


def settle(page: Page) -> None:
    """Wait until scripts that a change has called, such as those that fit formulas, have run."""
    for _ in range(2):
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def resize(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    settle(page)


def lightness(page: Page, colour: str) -> float:
    """The mean of red, green and blue that the page's body has, 0 to 255."""
    shown = page.evaluate(f"() => getComputedStyle(document.body).{colour}")
    return sum(int(part) for part in re.findall(r"\d+", shown)[:3]) / 3


LANDED = """(name) => { // below the page's header, or as high as it can stand
  const top = document.getElementById(name).getBoundingClientRect().top;
  const end = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
  return -2 <= top && (top < 150 || (end && top < innerHeight));
}"""


def landed(page: Page, place: str) -> bool:
    """Whether the place is where a link leads, a moment after its page has been laid out."""
    settle(page)
    try:
        page.wait_for_function(LANDED, arg=place, timeout=2000)
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("name", [*CHAPTERS, "chapters/glossary.html"], indirect=True)
@pytest.mark.parametrize("device", ["wide", "phone"])
def test_a_link_leads_to_its_place(request: pytest.FixtureRequest, name: str, device: str) -> None:
    """From another page to the end, where it was opened; then to places all along the page."""
    page = request.getfixturevalue(device)
    missed = [] if landed(page, page.places[-1]) else ["from outside"]
    for place in page.places[:: max(1, len(page.places) // 6)]:
        for _ in range(2):  # in a page's first second or two, Chromium may not follow another link
            page.evaluate("(place) => {location.hash = ''; location.hash = place}", place)
            if landed(page, place):
                break
        else:
            missed.append(place)
    assert len(page.places) > 3 and missed == []


def test_a_page_opens_quietly_over_http(wide: Page) -> None:
    wide.keyboard.press("Shift")  # the first key starts all live figures
    assert wide.foreign == wide.problems == []
    assert wide.title()
    assert wide.locator("h1").count() == 1
    broken = wide.locator("article img").evaluate_all(
        "images => images.filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
    )
    assert broken == []


@each_chapter
def test_mathematics_is_drawn_and_nothing_is_cut_off(wide: Page) -> None:
    sizes = wide.locator(".math").evaluate_all(
        "all => all.filter(f => !f.closest('details:not([open])'))"
        ".map(f => {const b = f.querySelector('svg').getBoundingClientRect();"
        " return Math.min(b.width, b.height)})"
    )
    assert min(sizes) > 2
    assert wide.locator("[data-mml-node=merror], .tex-error").count() == 0
    for width in 1280, 1366, 1920:
        resize(wide, width)
        cut = wide.locator(WIDE).evaluate_all(
            "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
        )
        assert cut == [], f"at {width} pixels"
    resize(wide, 390)
    for shrinks, most in ("div.math:has([width=full])", 1.7), (".text_html:has(table)", 1.25):
        scrolls = wide.locator(f"article {shrinks}").evaluate_all(
            "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.scrollWidth)"
        )
        assert all(width > most * 358 for width in scrolls), shrinks


@each_long_page
def test_a_page_prints_whole(wide: Page) -> None:
    wide.emulate_media(color_scheme="dark")
    resize(wide, 718)  # A4 less the usual margins
    folded = wide.locator("details:not([open])").count()
    wide.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    wide.emulate_media(media="print")
    assert lightness(wide, "color") < 80 < 240 < lightness(wide, "backgroundColor")
    looks = wide.locator("[data-vae-live]").evaluate_all("all => all.map(e => e.dataset.look)")
    assert set(looks) <= {"light"}
    assert wide.locator("details:not([open])").count() == 0
    assert wide.locator("article h1").is_visible()
    assert not any(part.is_visible() for part in wide.locator(OFF_PAPER).all())
    cut = wide.locator("article :is(.math, pre, img, table)").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().right > innerWidth + 1 ||"
        " e.scrollWidth > e.clientWidth + 1 && e.matches('.math, pre')).map(e => e.outerHTML)"
    )
    assert [html[:300] for html in cut] == []
    wide.evaluate("() => dispatchEvent(new Event('afterprint'))")
    wide.emulate_media(media="screen")
    assert wide.locator("details:not([open])").count() == folded
    assert lightness(wide, "backgroundColor") < 80


@each_long_page
def test_a_page_with_all_that_it_loads_is_at_most_a_megabyte(
    wide: Page, address: str, site: Path
) -> None:
    urls = wide.evaluate(
        """() => [location.href, ...performance.getEntriesByType("resource").map((one) => one.name),
                 ...[...document.images].map((image) => image.src)]"""
    )
    paths = {unquote(urlsplit(url).path) for url in urls if url.startswith("http")}
    files = {path.removeprefix(f"{urlsplit(address).path}/") for path in paths}
    sizes = {file: len(gzip.compress((site / file).read_bytes())) for file in files}
    assert len(sizes) > 5  # the page, its style, scripts and pictures
    assert sum(sizes.values()) <= MEGABYTE, sizes


FOLLOWED = """(scheme) => [...document.querySelectorAll("[data-look]")].every(
    (figure) => figure.dataset.look === scheme)"""
COLOURS = ["color-contrast", "link-in-text-block"]
# Of code and signatures, axe looks at the first word of each kind: a kind has the same two colours.
ONCE_A_KIND = """() => {
  const kinds = new Map();
  for (const word of document.querySelectorAll(".highlight pre span, dt.sig span")) {
    let kind = "", part = word;
    for (; !part.matches(".highlight, dt"); part = part.parentElement)
      kind += ` ${part.tagName} ${part.className}`;
    kind += part.parentElement.className;
    if (!kinds.has(kind)) kinds.set(kind, []);
    kinds.get(kind).push(word);
  }
  for (const [, ...others] of kinds.values())
    for (const word of others) word.replaceWith(...word.childNodes);
}"""


def test_axe_finds_nothing(wide: Page) -> None:
    """In light and in dark."""
    wide.emulate_media(reduced_motion="reduce")
    resize(wide, 1280)
    wide.evaluate("() => {location.hash = ''; scrollTo(0, 0)}")
    settle(wide)  # the theme's button "Back to top", which is in no landmark, is gone
    wide.evaluate(ONCE_A_KIND)
    faults = []
    for scheme in ("light", "dark"):
        wide.emulate_media(color_scheme=scheme)
        wide.wait_for_function(FOLLOWED, arg=scheme)
        options = {"resultTypes": ["violations"]}
        if scheme == "light":
            options["rules"] = {"target-size": {"enabled": True}}  # off, but Lighthouse asks it
        else:  # a scheme changes colours alone
            options["runOnly"] = {"type": "rule", "values": COLOURS}
        faults += [
            f"{scheme}, {violation['id']}: {node['html'][:120]} {node['failureSummary'][:300]}"
            for violation in Axe().run(wide, options=options).response["violations"]
            for node in violation["nodes"]
        ]
    assert faults == []


def test_a_phone_shows_a_page_without_sideways_scroll(phone: Page) -> None:
    phone.keyboard.press("Shift")
    phone.locator("details").evaluate_all("all => all.forEach(d => d.open = true)")
    settle(phone)
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= PHONE
    outside = phone.locator("article :is(p, li, h1, h2, h3, img, pre, table, .math)").evaluate_all(
        """all => all.filter(e => {
             if (e.closest('table, .text_html, pre')?.parentElement?.closest('article') &&
                 e.closest('.table-wrapper, .text_html, pre')) return false;
             return e.getBoundingClientRect().right > innerWidth + 1;
           }).map(e => e.outerHTML.slice(0, 200))"""
    )
    assert outside == []


@pytest.mark.parametrize("name", [name for name in PAGES if name != "404.html"], indirect=True)
def test_a_page_opens_quietly_from_disk(site: Path, visit, name: str) -> None:
    """With SCREENSHOTS=1 in the environment it leaves pictures for a person to look at."""
    page = visit((site / name).as_uri(), color_scheme="dark")
    page.locator("img[loading=lazy]").evaluate_all("all => all.forEach(i => i.loading='eager')")
    page.wait_for_function("() => [...document.images].every((image) => image.complete)")
    if os.environ.get("SCREENSHOTS"):
        keep_pictures(page, name)
    assert page.foreign == page.problems == []


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


@pytest.mark.parametrize("depth", ["", "chapters/", "a/b/c/"])
def test_a_missing_page_is_explained_at_any_depth(address: str, visit, depth: str) -> None:
    page = visit(f"{address}/{depth}no-such-page.html")
    assert [problem for problem in page.problems if "404" not in problem] == []
    assert page.locator("h1").inner_text() == "Page not found"
    assert page.evaluate("() => getComputedStyle(document.body).fontFamily") != "serif"
    page.locator(".sidebar-tree a", has_text="Glossary").click()
    page.wait_for_url("**/glossary.html")
