"""Sphinx extension: descriptions of pages: others know the first words, none the landing page.

A chapter is described by its card on the landing page; any other page by its first paragraph.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

CARD = re.compile(r"card\n\[.+\]\((?P<page>[\w/]+)\.\w+\)\n\n(?P<words>.+)\n:::")
MADE = {
    "search": "Search the chapters and the reference of the book.",
    "genindex": "Every function and class of vae_lib, in alphabetical order.",
    "404": "There is no page of the book at this address.",
}
SHORTEST, LONGEST = 40, 300  # characters of a description


def cards(landing_page: str) -> dict[str, str]:
    """What the landing page says about each chapter."""
    found = CARD.finditer(landing_page)
    return {match["page"]: match["words"].replace("`", "").replace("\n", " ") for match in found}


def first_paragraph(doctree: nodes.document) -> str:
    """The first that says something: no cell of a table, no mere pointer to a chapter."""
    for paragraph in doctree.findall(nodes.paragraph):
        words = " ".join(paragraph.astext().split())
        if not isinstance(paragraph.parent, nodes.entry) and len(words) >= SHORTEST:
            return words
    return ""


def describe(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document) -> None:
    landing_page = (Path(app.srcdir) / "index.md").read_text(encoding="utf-8")
    words = cards(landing_page).get(page) or MADE.get(page) or first_paragraph(doctree)
    if len(words) > LONGEST:
        words = words[:LONGEST].rpartition(" ")[0] + " …"
    tag = f'<meta name="description" content="{escape(words)}" />\n'
    context["metatags"] = context.get("metatags", "") + tag
    context["meta"] = {**(context.get("meta") or {}), "og:description": escape(words)}


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", describe, priority=100)  # before sphinxext-opengraph looks
    return {"parallel_read_safe": True, "parallel_write_safe": True}
