"""Library and book name each other: equation (2.8) in a docstring, the function beside the tag."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from notebook_files import ROOT, read

CITED = re.compile(
    r"(?:class|def) (\w+)(?:(?!\n\s*(?:class|def) ).)*?[Ee]quation \((\d+)\.(\d+)\)", re.DOTALL
)


def citations(source: str) -> list[tuple[str, int, int]]:
    """The functions and classes whose docstring names an equation."""
    return [(name, int(chapter), int(n)) for name, chapter, n in CITED.findall(source)]


CITATIONS = [
    c for path in sorted((ROOT / "vae_lib").rglob("*.py")) for c in citations(path.read_text())
]


def problem(name: str, chapter: int, number: int, root: Path = ROOT) -> str | None:
    """What is wrong with a citation, or None."""
    (path,) = root.glob(f"chapters/{chapter:02}_*.ipynb")
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    tag = f"\\tag{{{chapter}.{number}}}"
    if tag not in text:
        return f"{path.name} has no equation ({chapter}.{number})"
    after = text[text.index(tag) :]
    near = after[: after.find("\\tag", 4)] if "\\tag" in after[4:] else after
    return None if name in near else f"{path.name} does not name {name} after ({chapter}.{number})"


def test_there_are_citations() -> None:
    assert len(CITATIONS) >= 6


@pytest.mark.parametrize("citation", CITATIONS, ids=lambda c: f"{c[0]} ({c[1]}.{c[2]})")
def test_the_equation_stands_there_and_names_its_function(citation: tuple[str, int, int]) -> None:
    assert problem(*citation) is None


def test_wrong_citations_are_found() -> None:
    assert problem("kl_divergence", 2, 99) is not None
    assert problem("kl_divergence", 2, 9) is not None
    assert citations('def f():\n    """See equation (2.1)."""\n\ndef g():\n    """."""\n') == [
        ("f", 2, 1)
    ]
