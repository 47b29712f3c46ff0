"""Sphinx extension: "Kingma and Welling (2014)" leads to its entry: a role would show in Jupyter.

The entries are the headings of `chapters/references.md`.
"""

from __future__ import annotations

import calendar
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from text_links import make_links

REFERENCES = "chapters/references"
WORK = re.compile(r"^## (((?:Le )?[\w-]+).*\((\d{4})\))$", re.MULTILINE)
NAME = r"(?:Le\s)?[A-Z][\w-]+"
MONTH = "|".join(calendar.month_name[1:])  # "May 2024" is a date
CITATION = re.compile(
    rf"\b(?!(?:{MONTH})\b)({NAME})"
    rf"(?:\s+et\s+al\.|(?:,\s+{NAME})*,?\s+and\s+{NAME})?,?\s+\(?(\d{{4}})\)?"
)


def entries(root: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """The page and the anchor of each author's work of a year."""
    words = (root / REFERENCES).with_suffix(".md").read_text(encoding="utf-8")
    found = WORK.findall(words)
    return {(name, year): (REFERENCES, nodes.make_id(head)) for head, name, year in found}


def link(app: Sphinx, doctree: nodes.document, page: str) -> None:
    if page != REFERENCES:
        make_links(app, doctree, page, CITATION, entries(Path(app.srcdir)))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
