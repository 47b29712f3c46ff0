"""Sphinx extension: links from plain words: in Jupyter the roles of Sphinx would show as such.

Code in a text, such as `losses.elbo` or `vae.encode(x)`, becomes a link where the reference
documents an object of that name. The number of an equation, such as (6.3), becomes a link to it:
formulas with a `\\tag` carry the anchors that `mathematics.py` gives them. A cited work, such as
Kingma and Welling (2014), becomes a link to its entry in `chapters/references.md`.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

from mathematics import TAG, anchor

CODE = re.compile(r"([A-Za-z_][\w.]*)(?:\(.*\))?")
NUMBER = re.compile(r"\((\d{1,2})\.(\d{1,2})\)")
REFERENCES = "chapters/references"
WORK = re.compile(r"^## (((?:Le )?[\w-]+).*\((\d{4})\))$", re.MULTILINE)
NAME = r"(?:Le\s)?[A-Z][\w-]+"
MONTH = "|".join(calendar.month_name[1:])  # "May 2024" is a date
CITATION = re.compile(
    rf"\b(?!(?:{MONTH})\b)({NAME})"
    rf"(?:\s+et\s+al\.|(?:,\s+{NAME})*,?\s+and\s+{NAME})?,?\s+\(?(\d{{4}})\)?"
)
INSTANCES = {"vae": "VAE", "detector": "AnomalyDetector", "split": "Split"}  # names of the chapters
UNLINKED = (nodes.literal, nodes.math, nodes.reference, nodes.title, nodes.literal_block)


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


def note_equations(app: Sphinx, doctree: nodes.document) -> None:
    """Remember on which page each numbered formula stands."""
    places = app.env.__dict__.setdefault("equation_places", {})
    for formula in doctree.findall(nodes.math_block):
        if match := TAG.search(formula.astext()):
            places[match.groups()] = (app.env.docname, anchor(formula.astext()))


def link_code(app: Sphinx, doctree: nodes.document, page: str) -> None:
    objects = app.env.domains["py"].objects
    for literal in list(doctree.findall(nodes.literal)):
        match = CODE.fullmatch(literal.astext())
        if not match or isinstance(literal.parent, (nodes.reference, nodes.title)):
            continue
        if name := find(match[1], objects):
            there = objects[name]
            link = make_refnode(app.builder, page, there.docname, there.node_id, literal.deepcopy())
            literal.replace_self(link)


def links(app: Sphinx, page: str) -> list[tuple[re.Pattern, Callable]]:
    """What to look for in a text, and how to find the page and the place that it leads to."""
    equations = app.env.__dict__.get("equation_places", {})
    page_of_works = (Path(app.srcdir) / REFERENCES).with_suffix(".md").read_text(encoding="utf-8")
    works = {(name, year): nodes.make_id(head) for head, name, year in WORK.findall(page_of_works)}

    def work(match: re.Match) -> tuple[str, str] | None:
        place = works.get(match.groups())
        return (REFERENCES, place) if place else None

    found = [(NUMBER, lambda match: equations.get(match.groups()))]
    return found if page == REFERENCES else [*found, (CITATION, work)]


def link_texts(app: Sphinx, doctree: nodes.document, page: str) -> None:
    for pattern, place in links(app, page):
        for text in list(doctree.findall(nodes.Text)):
            if any(isinstance(up, UNLINKED) for up in ancestors(text)):
                continue
            parts, start = [], 0
            for match in pattern.finditer(text):
                if target := place(match):
                    words = nodes.inline("", match[0])
                    parts.append(nodes.Text(text[start : match.start()]))
                    parts.append(make_refnode(app.builder, page, *target, words))
                    start = match.end()
            if parts:
                text.parent.replace(text, [*parts, nodes.Text(text[start:])])


def ancestors(node: nodes.Node) -> list[nodes.Node]:
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


def link(app: Sphinx, doctree: nodes.document, page: str) -> None:
    link_code(app, doctree, page)
    link_texts(app, doctree, page)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", note_equations)
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
