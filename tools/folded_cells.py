"""Sphinx extension: folded cells that say what they show: MyST-NB says "Toggle hidden content".

A screen reader reads that out in place of the button's words; and these were paragraphs, which a
summary of HTML may not hold.
"""

from __future__ import annotations

from html import escape

from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def visit(translator: HTML5Translator, node: HideCodeCellNode) -> None:
    classes = " ".join(["admonition", "hide", *node["classes"]])
    names = (("collapsed", node["prompt_show"]), ("expanded", node["prompt_hide"]))
    words = (f'<span class="{kind} admonition-title">{escape(name)}</span>' for kind, name in names)
    translator.body.append(f'<details class="{classes}"><summary>{"".join(words)}</summary>\n')


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(HideCodeCellNode, override=True, html=(visit, depart_HideCellInput))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
