"""Sphinx extension: links from code in a text: a role would show in Jupyter.

`losses.elbo` or `vae.encode(x)` becomes a link where the reference has one object of that name.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

CODE = re.compile(r"([A-Za-z_][\w.]*)(?:\(.*\))?")
INSTANCES = {"vae": "VAE", "detector": "AnomalyDetector", "split": "Split"}  # names of the chapters


def find(name: str, objects: dict) -> str | None:
    """The full name of the one documented object that a chapter calls `name`."""
    first, dot, rest = name.removeprefix("vae_lib.").partition(".")
    if not dot and not first[:1].isupper():
        return None  # `score` or `mean` is a variable more often than a function
    first = INSTANCES.get(first, first)
    ending = f".{first}{dot}{rest}"
    found = [
        full  # a class that its package re-exports stands there once more, as an alias
        for full, place in objects.items()
        if full.startswith("vae_lib.") and full.endswith(ending) and not place.aliased
    ]
    return found[0] if len(found) == 1 else None


def link(app: Sphinx, doctree: nodes.document, page: str) -> None:
    objects = app.env.domains["py"].objects
    for literal in list(doctree.findall(nodes.literal)):
        match = CODE.fullmatch(literal.astext())
        if not match or isinstance(literal.parent, (nodes.reference, nodes.title)):
            continue
        if name := find(match[1], objects):
            there = objects[name]
            found = make_refnode(
                app.builder, page, there.docname, there.node_id, literal.deepcopy()
            )
            literal.replace_self(found)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
