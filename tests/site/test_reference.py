"""Chapters and reference lead to each other: equations, functions, code in the text."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from notebook_files import ROOT, find, read

CITED = re.compile(r"[Ee]quation \((\d+)\.(\d+)\)")
TAG = re.compile(r"\\tag\{(\d+)\.(\d+)\}")


def citations() -> list[tuple[str, str, str]]:
    """The public functions and classes of vae_lib whose docstring names an equation."""
    found = []
    for path in sorted((ROOT / "vae_lib").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_":
                words = ast.get_docstring(node) or ""
                found += [(node.name, *number) for number in CITED.findall(words)]
    return found


def equations() -> list[tuple[str, str, str]]:
    """The numbered equations: the page, the chapter and the number."""
    return [
        (path.stem, *number)
        for path in find([])
        for cell in read(path).cells
        if cell.cell_type == "markdown"
        for number in TAG.findall(cell.source)
    ]


@cache
def soup(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def test_there_is_something_to_check() -> None:
    assert len(citations()) >= 15
    assert len(equations()) > 25


@pytest.mark.parametrize("citation", citations(), ids=lambda c: f"{c[0]} ({c[1]}.{c[2]})")
def test_a_docstring_leads_to_its_equation_and_back(site: Path, citation) -> None:
    name, chapter, number = citation
    (page,) = (site / "chapters").glob(f"{int(chapter):02}_*.html")
    there = f"../chapters/{page.name}#equation-{chapter}-{number}"
    pages = [soup(file) for file in (site / "api").glob("*.html")]
    assert any(
        any(link["href"] == there for link in entry.select("a.reference"))
        for reference in pages
        for entry in reference.select("dl.py")
        if entry.dt.get("id", "").endswith(f".{name}")
    )
    back = [link["href"] for link in soup(page).select("article a") if "/api/" in link["href"]]
    assert any(re.search(rf"\.{name}\b", href) for href in back)


@pytest.mark.parametrize("equation", equations(), ids=lambda e: f"({e[1]}.{e[2]})")
def test_an_equation_has_an_anchor(site: Path, equation) -> None:
    page, chapter, number = equation
    assert soup(site / "chapters" / f"{page}.html").find(id=f"equation-{chapter}-{number}")


def test_every_public_name_has_an_entry(site: Path) -> None:
    import vae_lib

    entries = {
        entry["id"]
        for file in (site / "api").glob("*.html")
        for entry in soup(file).select("dt")
        if entry.get("id")
    }
    for name in vae_lib.__all__:
        thing = getattr(vae_lib, name)
        if isinstance(thing, type):
            assert f"{thing.__module__}.{name}" in entries
        else:
            assert any(entry.startswith(f"vae_lib.{name}.") for entry in entries), name
    for name, thing in vars(vae_lib.scores).items():
        if isinstance(thing, type) and name in vae_lib.scores.__all__:
            assert f"vae_lib.scores.{name}" in entries
