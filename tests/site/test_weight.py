"""No chapter is heavy, and Lighthouse has found every chapter good."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pages import CHAPTERS

from lighthouse import CATEGORIES, GOAL, RESULT

MEGABYTE = 10**6


@pytest.mark.parametrize("name", [*CHAPTERS, "chapters/try_it.html"])
def test_a_chapter_with_all_that_it_loads_is_at_most_a_megabyte(
    address: str, visit, site: Path, name: str
) -> None:
    page = visit(f"{address}/{name}")
    page.wait_for_load_state("networkidle")
    urls = page.evaluate(
        """() => [location.href, ...performance.getEntriesByType("resource").map((one) => one.name),
                 ...[...document.images].map((image) => image.src)]"""
    )
    paths = {unquote(urlsplit(url).path) for url in urls if url.startswith("http")}
    files = {path.removeprefix(f"{urlsplit(address).path}/") for path in paths}
    sizes = {file: len(gzip.compress((site / file).read_bytes())) for file in files}
    assert len(sizes) > 5  # the page, its style, scripts and pictures
    assert sum(sizes.values()) <= MEGABYTE, sizes


@pytest.mark.parametrize("name", [*CHAPTERS, "chapters/try_it.html"])
def test_lighthouse_has_measured_the_chapter(name: str) -> None:
    measured = json.loads(RESULT.read_text(encoding="utf-8"))
    for mode, scores in measured["pages"][name].items():
        low = {category: scores[category] for category in CATEGORIES if scores[category] < GOAL}
        assert not low, f"{mode}: {low}"
