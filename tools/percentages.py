"""Sphinx extension: no line breaks between a number and its %, which nobody would write by hand."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

APART = re.compile(r"(?<=\d) (?=%)")


def keep_together(app: Sphinx, document: nodes.document) -> None:
    for text in list(document.findall(nodes.Text)):
        if not isinstance(text.parent, (nodes.literal, nodes.literal_block, nodes.raw)):
            joined = APART.sub("\N{NO-BREAK SPACE}", text)
            if joined != text:
                text.parent.replace(text, nodes.Text(joined))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
