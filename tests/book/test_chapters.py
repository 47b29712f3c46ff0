"""The committed notebooks keep to the rules of `checks.py`, to `_toc.yml` and pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checks import CHECKS
from links import addresses, broken

from notebook_files import ROOT, find, read
from set_repository import declared, text_files

CHAPTERS = find([])
PAGES = [*CHAPTERS, *sorted(ROOT.glob("chapters/*.md")), *sorted(ROOT.glob("api/*.md"))]
PAGES += [ROOT / "index.md", ROOT / "CHANGELOG.md"]
CITING = text_files(ROOT)


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
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(chapter: Path, check) -> None:
    assert list(check(read(chapter))) == []


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_colab_link_opens_this_chapter(chapter: Path) -> None:
    link = (
        f"https://colab.research.google.com/github/{declared()}/blob/main/chapters/{chapter.name}"
    )
    assert f"({link})" in "\n".join(cell.source for cell in read(chapter).cells)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_readme_lists_this_chapter(chapter: Path) -> None:
    assert f"/blob/main/chapters/{chapter.name}" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("path", CITING, ids=names(CITING))
def test_repository_address_is_the_declared_one(path: Path) -> None:
    assert addresses(path.read_text(encoding="utf-8")) <= {declared()}


@pytest.mark.parametrize("name", ["_config.yml", "CITATION.cff", "README.md", "pyproject.toml"])
def test_repository_address_is_stated(name: str) -> None:
    assert addresses((ROOT / name).read_text(encoding="utf-8")) == {declared()}
