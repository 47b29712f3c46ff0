"""Every link inside the site leads to a page, and to a place on it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pages import PAGES

HREF = re.compile(r'<a\b[^>]*\bhref="([^"]*)"')
IDENTITY = re.compile(r'\bid="([^"]+)"')


@cache
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def dead_links(site: Path, name: str) -> list[str]:
    """The links of a page that lead to no file, or to no element of it."""
    page, dead = site / name, []
    for href in HREF.findall(text(page)):
        link = urlsplit(href.replace("&amp;", "&"))
        if link.scheme or link.netloc:
            continue
        target = (page.parent / unquote(link.path)).resolve() if link.path else page
        if link.path.startswith("/"):
            continue  # the 404 page's, from the root of a host: `test_the_404_page` opens them
        if not target.is_file():
            dead.append(f"{href}: no such file")
        elif link.fragment and unquote(link.fragment) not in IDENTITY.findall(text(target)):
            dead.append(f"{href}: no such place")
    return dead


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(site: Path, name: str) -> None:
    assert dead_links(site, name) == []


@pytest.mark.parametrize("name", PAGES)
def test_no_anchor_stands_twice(site: Path, name: str) -> None:
    identities = IDENTITY.findall(text(site / name))
    assert sorted(identities) == sorted(set(identities))


def test_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "b.html").write_text('<p id="here">')
    (tmp_path / "a.html").write_text(
        '<p id="x"><a href="#x">ok</a><a href="b.html#here">ok</a><a href="https://a.org">ok</a>'
        '<a href="c.html">bad</a><a href="b.html#there">bad</a><a class="y" href="#z">bad</a>'
    )
    assert len(dead_links(tmp_path, "a.html")) == 3
