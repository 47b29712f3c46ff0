"""The site builds without a warning, needs no other host, and shows what the notebooks hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from checks import pictures
from site_assets import foreign_assets, missing_files

from notebook_files import code_cells, find, read
from set_repository import declared

CHAPTERS = find([])


def page(site: Path, chapter: Path) -> BeautifulSoup:
    file = site / "chapters" / f"{chapter.stem}.html"
    return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")


def test_site_builds_without_a_warning(site: Path) -> None:
    assert (site / "index.html").exists()


def test_pages_load_nothing_from_another_host(site: Path) -> None:
    assert foreign_assets(site) == []


def test_pages_refer_to_no_missing_file(site: Path) -> None:
    assert missing_files(site) == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_figures_carry_their_alt_text(site: Path, chapter: Path) -> None:
    expected = [
        cell.metadata["mystnb"]["image"]["alt"]
        for cell in code_cells(read(chapter))
        for _ in pictures(cell)
    ]
    pictures_alone = ".cell_output img:not([data-vae-live] img)"  # a live figure has its own
    shown = [img.get("alt", "") for img in page(site, chapter).select(pictures_alone)]
    assert shown == expected


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_pictures_state_their_size_and_wait(site: Path, chapter: Path) -> None:
    first, *others = page(site, chapter).select("article img:not([data-vae-live] img)")
    assert all(int(img["width"]) > 0 < int(img["height"]) for img in (first, *others))
    assert "loading" not in first.attrs and {img["loading"] for img in others} == {"lazy"}


def test_html_of_outputs_is_as_screen_readers_need_it(site: Path) -> None:
    chapter = page(site, CHAPTERS[5])
    assert chapter.select("table.dataframe td:empty") and not chapter.select("th:empty")
    assert chapter.select("summary") and not chapter.select("summary[aria-label], summary p")


def test_a_name_or_comma_of_code_is_no_element(site: Path) -> None:
    code = page(site, CHAPTERS[6]).select_one(".highlight-ipython3")
    assert code.select(".k") and not code.select(".n, .p, .w")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_has_a_colab_button(site: Path, chapter: Path) -> None:
    link = (
        f"https://colab.research.google.com/github/{declared()}/blob/main/chapters/{chapter.name}"
    )
    buttons = page(site, chapter).select(".launch a")
    assert link in [button.get("href") for button in buttons]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_mathematics_is_marked_up(site: Path, chapter: Path) -> None:
    article = page(site, chapter).select_one("article")
    for code in article.select("pre, code"):
        code.decompose()
    formulas = article.select(".math")
    assert formulas
    for formula in formulas:
        formula.decompose()
    assert not re.search(r"\$\$|\\(?:frac|mathbb|mathcal|sum)\b|\\begin\{", article.get_text())
