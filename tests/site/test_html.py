"""The built pages as they are written: what they load, show and lead to; no browser is needed."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from pages import CHAPTERS, LISTED, PAGES, parsed, text

from lighthouse import CATEGORIES, GOAL, RESULT
from notebook_files import PACKAGES, ROOT, code_cells, find, read
from set_repository import declared
from site_heads import cards

OWNER, REPOSITORY = declared().split("/")
HREF = re.compile(r'<a\b[^>]*\bhref="([^"]*)"')
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
NOT_LOADED = {"canonical", "index", "search", "next", "prev", "author", "license", "alternate"}
CSS_URL = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")
each_page = pytest.mark.parametrize("name", PAGES)
each_listed = pytest.mark.parametrize("name", LISTED)
each_chapter = pytest.mark.parametrize("name", CHAPTERS)


@cache
def identities(page: Path) -> Counter[str]:
    return Counter(re.findall(r'\bid="([^"]+)"', text(page)))


def dead_links(page: Path) -> list[str]:
    """The links of a page that lead to no file, or to no element of it."""
    dead = []
    for href in HREF.findall(text(page)):
        link = urlsplit(href.replace("&amp;", "&"))
        if link.scheme or link.netloc or link.path.startswith("/"):
            continue  # the 404 page's, from the root of a host: a test in a browser opens them
        target = (page.parent / unquote(link.path)).resolve() if link.path else page
        if not target.is_file():
            dead.append(f"{href}: no such file")
        elif link.fragment and unquote(link.fragment) not in identities(target):
            dead.append(f"{href}: no such place")
    return dead


def css_urls(style: str) -> list[str]:
    return [url or imported for url, imported in CSS_URL.findall(style)]


def loaded(page: BeautifulSoup) -> Iterator[str]:
    """The addresses that a browser fetches by itself when it shows a page."""
    for element in page.find_all(list(LOADED)):
        address = element.get(LOADED[element.name])
        if address and not NOT_LOADED & set(element.get("rel", [])):
            yield address
    for style in page.find_all("style"):
        yield from css_urls(style.get_text())


def foreign(addresses: Iterator[str]) -> list[str]:
    return [address for address in addresses if urlsplit(address).netloc]


def missing(page: Path, root: Path) -> list[str]:
    """What a page loads from its own site, and is not there; 404.html counts from the root."""
    prefix, gone = f"/{REPOSITORY}/", []
    for address in loaded(parsed(page)):
        url = urlsplit(address)
        path = unquote(url.path)
        local = root / path.removeprefix(prefix) if path.startswith(prefix) else page.parent / path
        if not (url.scheme or url.netloc or local.exists()):
            gone.append(address)
    return gone


def test_these_are_all_pages(site: Path) -> None:
    built = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert {name for name in built if not name.startswith("_static")} == set(PAGES)


@each_page
def test_links_lead_somewhere(site: Path, name: str) -> None:
    assert dead_links(site / name) == []


@each_page
def test_no_anchor_stands_twice(site: Path, name: str) -> None:
    assert [anchor for anchor, count in identities(site / name).items() if count > 1] == []


@each_page
def test_a_page_loads_what_is_there_and_from_no_other_host(site: Path, name: str) -> None:
    assert foreign(loaded(parsed(site / name))) == missing(site / name, site) == []


def test_style_sheets_load_nothing_from_another_host(site: Path) -> None:
    sheets = list(site.rglob("*.css"))
    assert sheets and foreign(url for sheet in sheets for url in css_urls(text(sheet))) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "b.html").write_text('<p id="here">')
    (tmp_path / "a.html").write_text(
        '<p id="x"><a href="#x">ok</a><a href="b.html#here">ok</a><a href="https://a.org">ok</a>'
        '<a href="c.html">bad</a><a href="b.html#there">bad</a><a class="y" href="#z">bad</a>'
        '<img src="b.html?v=1"><img src="c.png">'
    )
    assert len(dead_links(tmp_path / "a.html")) == 3
    assert missing(tmp_path / "a.html", tmp_path) == ["c.png"]


@pytest.mark.parametrize(
    ("html", "count"),
    [
        ('<script src="https://cdn.example.org/mathjax.js"></script>', 1),
        ('<script src="//cdn.example.org/mathjax.js"></script>', 1),
        ('<link rel="stylesheet" href="https://fonts.example.org/font.css">', 1),
        ('<img src="http://example.org/badge.svg">', 1),
        ("<style>body {background: url(https://example.org/x.png)}</style>", 1),
        ("<style>@font-face {src: url('https://example.org/font.woff2')}</style>", 1),
        ("<style>@import 'https://example.org/b.css';</style>", 1),
        ('<a href="https://example.org">x</a><link rel="canonical" href="https://example.org">', 0),
    ],
)
def test_what_comes_from_another_host_is_found(html: str, count: int) -> None:
    assert len(foreign(loaded(BeautifulSoup(html, "html.parser")))) == count


@each_page
def test_a_page_has_a_title_and_a_description(site: Path, name: str) -> None:
    assert parsed(site / name).title.get_text(strip=True)
    (description,) = parsed(site / name).select("meta[name=description]")
    assert 30 <= len(description["content"]) <= 310


@each_listed
def test_a_page_has_a_preview(site: Path, name: str) -> None:
    head = parsed(site / name).head
    meta = {tag["property"]: tag["content"] for tag in head.select("[property]")}
    address = f"https://{OWNER.lower()}.github.io/{REPOSITORY}/"
    assert meta["og:url"] == address + name
    assert meta["og:image"].startswith(address)
    assert (site / meta["og:image"].removeprefix(address)).is_file()
    assert meta["og:title"] and meta["og:description"] and meta["og:image:alt"]


@each_listed
def test_a_page_says_where_to_report_a_mistake(site: Path, name: str) -> None:
    links = [a["href"] for a in parsed(site / name).select(".feedback a")]
    source = name.removesuffix(".html")
    assert any("/issues/new?" in link and source.rpartition("/")[2] in link for link in links)
    assert any(f"/edit/main/{source}." in link for link in links)


@pytest.mark.parametrize("place", range(len(LISTED)), ids=LISTED)
def test_pages_follow_each_other(site: Path, place: int) -> None:
    name = LISTED[place]
    neighbours = {"prev": LISTED[max(place - 1, 0) : place], "next": LISTED[place + 1 : place + 2]}
    for way, expected in neighbours.items():
        links = [link["href"] for link in parsed(site / name).select(f"footer a.{way}-page")]
        assert [os.path.normpath(Path(name).parent / link) for link in links] == expected, way


def test_each_chapter_has_its_number_in_the_side_bar(site: Path) -> None:
    entries = parsed(site / CHAPTERS[0]).select(".sidebar-tree .toctree-l1 > a")
    numbers = [re.match(r"(\d+)\. ", entry.get_text(" ", strip=True)) for entry in entries]
    assert [int(number[1]) for number in numbers if number] == [*range(1, len(CHAPTERS) + 1)]


def test_every_chapter_has_a_card() -> None:
    described = cards((ROOT / "index.md").read_text(encoding="utf-8"))
    assert {name.removesuffix(".html") for name in CHAPTERS} <= set(described)


def test_the_site_map_lists_every_page(site: Path) -> None:
    urls = re.findall(r"<loc>https://[^/]+/[^/]+/(.+?)</loc>", text(site / "sitemap.xml"))
    assert sorted(urls) == sorted(LISTED)
    assert "sitemap.xml" in text(site / "robots.txt")


@each_chapter
def test_a_chapter_is_downloaded_or_opened_elsewhere(site: Path, name: str) -> None:
    page, stem = parsed(site / name), Path(name).stem
    colab, binder, notebook = [a["href"] for a in page.select(".launch a")]
    there = f"https://colab.research.google.com/github/{declared()}/blob/main/chapters/{stem}.ipynb"
    assert colab == there and "//mybinder.org/" in binder and stem in binder
    assert notebook.endswith(".ipynb") and ((site / name).parent / notebook).is_file()
    assert len(page.select("a[href*='colab.research.google.com']")) >= 2


@each_chapter
def test_pictures_state_what_they_show_and_their_size_and_wait(site: Path, name: str) -> None:
    """Those of live figures apart, which have their own."""
    expected = [
        cell.metadata["mystnb"]["image"]["alt"]
        for cell in code_cells(read(ROOT / Path(name).with_suffix(".ipynb")))
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    page = parsed(site / name)
    shown = page.select(".cell_output img:not([data-vae-live] img)")
    assert [img.get("alt", "") for img in shown] == expected
    first, *others = page.select("article img:not([data-vae-live] img)")
    assert all(int(img["width"]) > 0 < int(img["height"]) for img in (first, *others))
    assert "loading" not in first.attrs and {img["loading"] for img in others} == {"lazy"}


@each_chapter
def test_mathematics_is_typeset(site: Path, name: str) -> None:
    article = parsed(site / name).select_one("article")
    apart = {id(part) for part in article.select(".math, pre, code")}
    words = " ".join(
        string
        for string in article.find_all(string=True)
        if not any(id(parent) in apart for parent in string.parents)
    )
    assert article.select(".math")
    assert not re.search(r"\$\$|\\(?:frac|math\w*|sum)\b|\\begin\{", words)


def test_outputs_and_code_are_light_and_as_screen_readers_need_them(site: Path) -> None:
    page = parsed(site / CHAPTERS[5])
    assert page.select("table.dataframe td:empty") and not page.select("th:empty")
    assert page.select("summary") and not page.select("summary[aria-label], summary p")
    code = page.select_one(".highlight-ipython3")
    assert code.select(".k, .kn") and not code.select(".n, .p, .w")


@pytest.mark.parametrize("name", [*CHAPTERS, "chapters/try_it.html"])
def test_lighthouse_has_measured_the_chapter(name: str) -> None:
    measured = json.loads(RESULT.read_text(encoding="utf-8"))
    for mode, scores in measured["pages"][name].items():
        low = {category: scores[category] for category in CATEGORIES if scores[category] < GOAL}
        assert not low, f"{mode}: {low}"


def test_the_status_page_has_the_versions_of_the_chapters_and_of_the_oldest_lock(
    site: Path,
) -> None:
    tables = parsed(site / "chapters" / "status.html").select("table")
    rows = [[td.get_text(strip=True) for td in tr.select("td")] for tr in tables[-1].select("tr")]
    shown = {row[0]: row[1:] for row in rows if row}
    for path in find([]):
        noted = read(path).metadata["versions"]
        assert all(noted[name] in shown[name][0] for name in PACKAGES)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    oldest = re.search(r"^oldest = \[(.*?)^\]", project, re.DOTALL | re.MULTILINE)[1]
    pins = dict(re.findall(r'"([\w-]+)==([\d.]+)', oldest))  # of Python 3.10, where they differ
    assert pins and {name: shown[name][1] for name in pins} == pins
