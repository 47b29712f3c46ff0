"""The committed notebooks keep to the rules of `checks.py`, to `_toc.yml` and pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checks import CHECKS
from links import addresses, broken
from nbconvert import PythonExporter

from notebook_files import ROOT, code_cells, find, read
from set_repository import declared, text_files

CHAPTERS = find([])
PAGES = [*CHAPTERS, *sorted(ROOT.glob("chapters/*.md")), *sorted(ROOT.glob("api/*.md"))]
PAGES += [ROOT / "index.md", ROOT / "CHANGELOG.md"]
CITING = text_files(ROOT)
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def toc() -> list[str]:
    """The pages of the table of contents, in reading order, those of sections included."""
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    return re.findall(r"^ *(?:- file|root): (\S+)$", contents, re.MULTILINE)


def test_toc_lists_every_page_in_order() -> None:
    pages = [name.rpartition(".")[0] for name in names(PAGES)]
    assert sorted(toc()) == sorted(pages)
    chapters = [Path(name).name for name in toc() if Path(name).name[:1].isdigit()]
    assert chapters == sorted(chapters)
    assert chapters


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@each_chapter
def test_chapter(chapter: Path, check) -> None:
    assert list(check(read(chapter))) == []


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


@each_chapter
def test_a_chapter_is_linked_where_it_is_on_colab_and_in_the_readme(chapter: Path) -> None:
    place = f"{declared()}/blob/main/chapters/{chapter.name}"
    cells = "\n".join(cell.source for cell in read(chapter).cells)
    assert f"(https://colab.research.google.com/github/{place})" in cells
    assert place.partition("/blob")[2] in (ROOT / "README.md").read_text("utf-8")


@each_chapter
def test_a_chapter_becomes_a_script(chapter: Path) -> None:
    """`jupyter nbconvert --to script`: Python, with every cell's code and no output."""
    script, resources = PythonExporter().from_filename(str(chapter))
    assert resources["output_extension"] == ".py"
    compile(script, chapter.with_suffix(".py").name, "exec")
    cells = code_cells(read(chapter))
    assert len(re.findall(r"^# In\[\d+\]:$", script, re.MULTILINE)) == len(cells)
    plain = [line for cell in cells for line in cell.source.splitlines() if "%" not in line]
    assert set(plain) <= set(script.splitlines())


@pytest.mark.parametrize("path", CITING, ids=names(CITING))
def test_repository_address_is_the_declared_one(path: Path) -> None:
    assert addresses(path.read_text(encoding="utf-8")) <= {declared()}


@pytest.mark.parametrize("name", ["_config.yml", "CITATION.cff", "README.md", "pyproject.toml"])
def test_repository_address_is_stated(name: str) -> None:
    assert addresses((ROOT / name).read_text(encoding="utf-8")) == {declared()}
