"""Sphinx extension: links from the words of a text, where a role would show in Jupyter.

- `losses.elbo` or `vae.encode(x)` leads to the reference, if it has one object of that name.
- (6.3) leads to the formula with that `\\tag`.
- "Kingma and Welling (2014)" leads to its entry, a heading of `chapters/references.md`.
"""

from __future__ import annotations

import calendar
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

from mathematics import TAG, anchor

CODE = re.compile(r"([A-Za-z_][\w.]*)(?:\(.*\))?")
INSTANCES = {"vae": "VAE", "detector": "AnomalyDetector", "split": "Split"}  # names of the chapters
NUMBER = re.compile(r"\((\d{1,2})\.(\d{1,2})\)")
REFERENCES = "chapters/references"
WORK = re.compile(r"^## (((?:Le )?[\w-]+).*\((\d{4})\))$", re.MULTILINE)
NAME = r"(?:Le\s)?[A-Z][\w-]+"
MONTH = "|".join(calendar.month_name[1:])  # "May 2024" is a date
CITATION = re.compile(
    rf"\b(?!(?:{MONTH})\b)({NAME})"
    rf"(?:\s+et\s+al\.|(?:,\s+{NAME})*,?\s+and\s+{NAME})?,?\s+\(?(\d{{4}})\)?"
)
UNLINKED = (nodes.literal, nodes.math, nodes.reference, nodes.title, nodes.literal_block)


def documented(name: str, objects: dict) -> str | None:
    """The full name of the one documented object that a chapter calls `name`."""
    first, dot, rest = name.removeprefix("vae_lib.").partition(".")
    if not dot and not first[:1].isupper():
        return None  # `score` or `mean` is a variable more often than a function
    ending = f".{INSTANCES.get(first, first)}{dot}{rest}"
    matches = [
        full  # a class that its package re-exports stands there once more, as an alias
        for full, place in objects.items()
        if full.startswith("vae_lib.") and full.endswith(ending) and not place.aliased
    ]
    return matches[0] if len(matches) == 1 else None


def works(root: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """The page and the anchor of each author's work of a year."""
    text = (root / REFERENCES).with_suffix(".md").read_text(encoding="utf-8")
    return {(w[2], w[3]): (REFERENCES, nodes.make_id(w[1])) for w in WORK.finditer(text)}


def note_equations(app: Sphinx, document: nodes.document) -> None:
    """Remember on which page each numbered formula stands."""
    places = app.env.__dict__.setdefault("equation_places", {})
    for formula in document.findall(nodes.math_block):
        if match := TAG.search(formula.astext()):
            places[match.groups()] = (app.env.docname, anchor(formula))


def link(app: Sphinx, document: nodes.document, page: str) -> None:
    link_code(app, document, page)
    link_words(app, document, page, NUMBER, app.env.__dict__.get("equation_places", {}))
    if page != REFERENCES:
        link_words(app, document, page, CITATION, works(Path(app.srcdir)))


def link_code(app: Sphinx, document: nodes.document, page: str) -> None:
    objects = app.env.domains["py"].objects
    for literal in list(document.findall(nodes.literal)):
        match = CODE.fullmatch(literal.astext())
        if not match or isinstance(literal.parent, (nodes.reference, nodes.title)):
            continue
        if name := documented(match[1], objects):
            target = objects[name].docname, objects[name].node_id
            literal.replace_self(make_refnode(app.builder, page, *target, literal.deepcopy()))


def link_words(
    app: Sphinx, document: nodes.document, page: str, pattern: re.Pattern, places: dict
) -> None:
    """Make a link of each match whose groups have a place, a page and an anchor."""
    for text in list(document.findall(nodes.Text)):
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
    """Whether it stands inside of a link, or of anything else that gets none."""
    above = node.parent
    return above is not None and (isinstance(above, UNLINKED) or unlinked(above))


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", note_equations)
    app.connect("doctree-resolved", link)
