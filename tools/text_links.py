"""Make links of words in a text: for `equation_links.py` and `citation_links.py`."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

UNLINKED = (nodes.literal, nodes.math, nodes.reference, nodes.title, nodes.literal_block)


def make_links(
    app: Sphinx, doctree: nodes.document, page: str, pattern: re.Pattern, places: dict
) -> None:
    """Make a link of each match whose groups have a place, a page and an anchor."""
    for text in list(doctree.findall(nodes.Text)):
        if unlinked(text):
            continue
        parts, start = [], 0
        for match in pattern.finditer(text):
            if target := places.get(match.groups()):
                parts.append(nodes.Text(text[start : match.start()]))
                parts.append(make_refnode(app.builder, page, *target, nodes.inline("", match[0])))
                start = match.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text[start:])])


def unlinked(node: nodes.Node) -> bool:
    above = node.parent
    return above is not None and (isinstance(above, UNLINKED) or unlinked(above))
