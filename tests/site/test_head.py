"""What search engines and previews of links read: descriptions, pictures, the list of pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pages import CHAPTERS, PAGES, listed

from notebook_files import ROOT
from set_repository import declared
from site_heads import cards


def head(site: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((site / name).read_text("utf-8").partition("</head>")[0], "html.parser")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_a_title_and_a_description(site: Path, name: str) -> None:
    found = head(site, name)
    assert found.title.get_text(strip=True)
    (description,) = found.select("meta[name=description]")
    assert 30 <= len(description["content"]) <= 310


@pytest.mark.parametrize("name", listed())
def test_a_page_has_a_preview(site: Path, name: str) -> None:
    found = {meta["property"]: meta["content"] for meta in head(site, name).select("[property]")}
    owner, repository = declared().split("/")
    address = f"https://{owner.lower()}.github.io/{repository}/"
    assert found["og:url"] == address + name
    assert found["og:image"].startswith(address)
    assert (site / found["og:image"].removeprefix(address)).is_file()
    assert found["og:title"] and found["og:description"] and found["og:image:alt"]


def test_each_chapter_has_its_number_in_the_side_bar(site: Path) -> None:
    page = BeautifulSoup((site / CHAPTERS[0]).read_text("utf-8"), "html.parser")
    entries = [a.get_text(" ", strip=True) for a in page.select(".sidebar-tree .toctree-l1 > a")]
    numbered = [entry for entry in entries if re.match(r"\d+\. ", entry)]
    assert [int(entry.partition(".")[0]) for entry in numbered] == [*range(1, len(CHAPTERS) + 1)]


@pytest.mark.parametrize("name", listed())
def test_a_page_says_where_to_report_a_mistake(site: Path, name: str) -> None:
    line = BeautifulSoup((site / name).read_text("utf-8"), "html.parser").select_one(".feedback")
    links = [a["href"] for a in line.select("a")]
    source = name.removesuffix(".html")
    assert any("/issues/new?" in link and source.rpartition("/")[2] in link for link in links)
    assert any(f"/edit/main/{source}." in link for link in links)


def test_every_chapter_has_a_card() -> None:
    described = cards((ROOT / "index.md").read_text(encoding="utf-8"))
    assert {name.removesuffix(".html") for name in CHAPTERS} <= set(described)


def test_the_site_map_lists_every_page(site: Path) -> None:
    text = (site / "sitemap.xml").read_text(encoding="utf-8")
    found = re.findall(r"<loc>https://[^/]+/[^/]+/(.+?)</loc>", text)
    assert sorted(found) == sorted(listed())
    assert "sitemap.xml" in (site / "robots.txt").read_text(encoding="utf-8")
