"""Chapters and reference lead to each other: equations, functions, code in the text."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from docutils import nodes
from pages import parsed, text

from mathematics import TAG
from notebook_files import ROOT, find, read
from text_links import CITATION, WORK

CITED = re.compile(r"[Ee]quation \((\d+)\.(\d+)\)")


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
def led(site: Path) -> list[tuple[str, set[str]]]:
    """Each object of the reference, and where the links of its entry lead."""
    return [
        (entry.dt.get("id", ""), {link["href"] for link in entry.select("a.reference")})
        for file in sorted((site / "api").glob("*.html"))
        for entry in parsed(file).select("dl.py")
    ]


def test_there_is_something_to_check() -> None:
    assert len(citations()) >= 15
    assert len(equations()) > 25


@cache
def prose(chapter: int) -> str:
    (path,) = find([f"{chapter:02}"])
    return "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def names_after(equation: str, chapter: int) -> str:
    """The text between an equation and the next: it names the function that computes it."""
    return prose(chapter).partition(f"\\tag{{{equation}}}")[2].partition("\\tag")[0]


@pytest.mark.parametrize("citation", citations(), ids=lambda c: f"{c[0]} ({c[1]}.{c[2]})")
def test_a_docstring_leads_to_its_equation_and_back(site: Path, citation) -> None:
    name, chapter, number = citation
    assert name in names_after(f"{chapter}.{number}", int(chapter))
    (page,) = (site / "chapters").glob(f"{int(chapter):02}_*.html")
    there = f"../chapters/{page.name}#equation-{chapter}-{number}"
    assert any(there in links for entry, links in led(site) if entry.endswith(f".{name}"))
    assert re.search(rf'href="\.\./api/[^"]*\.{name}\b', text(page))


def test_wrong_citations_are_found() -> None:
    assert "kl_divergence" in names_after("2.8", 2)
    assert "kl_divergence" not in names_after("2.99", 2) + names_after("2.9", 2)


@pytest.mark.parametrize("equation", equations(), ids=lambda e: f"({e[1]}.{e[2]})")
def test_an_equation_has_an_anchor(site: Path, equation) -> None:
    page, chapter, number = equation
    assert text(site / "chapters" / f"{page}.html").count(f'id="equation-{chapter}-{number}"') == 1


@pytest.mark.parametrize("name", ["AnomalyDetector", "ConditionalVAE", "MixtureVAE", "VAE"])
def test_a_class_named_in_a_text_leads_to_its_entry(site: Path, name: str) -> None:
    """Also one that its package re-exports, which the reference knows by two names."""
    named = [
        code
        for page in sorted((site / "chapters").glob("[0-9]*.html"))
        for code in parsed(page).select("article p code, article li code")
        if code.get_text() == name
    ]
    assert named and all(code.find_parent("a") for code in named)


def test_every_public_name_has_an_entry(site: Path) -> None:
    import vae_lib

    entries = {
        entry["id"]
        for file in (site / "api").glob("*.html")
        for entry in parsed(file).select("dt")
        if entry.get("id")
    }
    for name in vae_lib.__all__:
        thing = getattr(vae_lib, name)
        if hasattr(thing, "__module__"):  # a class or a function, and no module
            module = ".".join(thing.__module__.split(".")[:2])  # a package stands for its files
            assert f"{module}.{name}" in entries
        else:
            assert any(entry.startswith(f"vae_lib.{name}.") for entry in entries), name
    for name, thing in vars(vae_lib.scores).items():
        if isinstance(thing, type) and name in vae_lib.scores.__all__:
            assert f"vae_lib.scores.{name}" in entries


def cited_works() -> set[tuple[str, str]]:
    """Author and year of what docstrings and chapters cite, such as Kingma and Welling (2014)."""
    texts = [
        ast.get_docstring(node) or ""
        for path in (ROOT / "vae_lib").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
    ]
    texts += [c.source for path in find([]) for c in read(path).cells if c.cell_type == "markdown"]
    return {match.group(1, 2) for text in texts for match in CITATION.finditer(text)}


def entries() -> dict[tuple[str, str], str]:
    """The anchor of each entry of the references, by author and year."""
    found = WORK.findall((ROOT / "chapters" / "references.md").read_text(encoding="utf-8"))
    return {(name, year): nodes.make_id(head) for head, name, year in found}


def test_a_name_of_two_words_is_cited_whole() -> None:
    cited = CITATION.search("so that (Le Lan and Dinh, 2021) holds")
    assert cited.group(1, 2) == ("Le Lan", "2021")
    assert WORK.findall("## Le Lan and Dinh (2021)")[0][1:] == cited.group(1, 2)


def test_a_month_is_no_author() -> None:
    assert CITATION.search("version 3.6.7 (October 2026), and May 2024") is None


@cache
def links_to_entries(site: Path) -> set[str]:
    pages = {*site.glob("chapters/*.html"), *site.glob("api/*.html")}
    pages.remove(site / "chapters" / "references.html")
    links = [re.findall(r'href="[^"]*references\.html#([^"]+)"', text(page)) for page in pages]
    return {place for places in links for place in places}


@pytest.mark.parametrize("work", sorted(cited_works()), ids=" ".join)
def test_a_cited_work_leads_to_its_entry(site: Path, work: tuple[str, str]) -> None:
    assert parsed(site / "chapters" / "references.html").find(id=entries()[work])
    assert entries()[work] in links_to_entries(site)


def test_every_entry_is_cited(site: Path) -> None:
    assert set(entries().values()) - links_to_entries(site) == set()
