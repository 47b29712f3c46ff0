"""Sphinx extension: (6.3) leads to the formula with that `\\tag`: a role would show in Jupyter."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

from text_links import make_links

TAG = re.compile(r"\\tag\{(\d+)\.(\d+)\}")
NUMBER = re.compile(r"\((\d{1,2})\.(\d{1,2})\)")


def anchor(tex: str) -> str:
    """The anchor of a formula that carries a number: `equation-6-3` for `\\tag{6.3}`."""
    match = TAG.search(tex)
    return f"equation-{match[1]}-{match[2]}" if match else ""


def note_equations(app: Sphinx, doctree: nodes.document) -> None:
    """Remember on which page each numbered formula stands."""
    places = app.env.__dict__.setdefault("equation_places", {})
    for formula in doctree.findall(nodes.math_block):
        if match := TAG.search(formula.astext()):
            places[match.groups()] = (app.env.docname, anchor(formula.astext()))


def link(app: Sphinx, doctree: nodes.document, page: str) -> None:
    make_links(app, doctree, page, NUMBER, app.env.__dict__.get("equation_places", {}))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", note_equations)
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
