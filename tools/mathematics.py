"""Sphinx extension: formulas as pictures: Sphinx's renderers need scripts in pages, or LaTeX.

MathJax runs while the site is built, in V8, and turns each formula into an SVG picture with MathML
beside it for screen readers. A page needs no script, font or network for its formulas, and nothing
moves while it loads. A formula that MathJax cannot read is a warning, which fails the build.
"""

from __future__ import annotations

from functools import cache
from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from equation_links import anchor
from mathjax import MathJax

LOGGER = logging.getLogger(__name__)


@cache
def mathjax() -> MathJax:  # started at the first formula
    return MathJax()


def convert(node: nodes.Element, tex: str, display: bool) -> str:
    try:
        return mathjax().typeset(tex, display)
    except ValueError as error:
        LOGGER.warning(str(error), location=node)
        return f"<code>{escape(tex)}</code>"


def inline(self, node: nodes.math) -> None:
    html = convert(node, node.astext(), display=False)
    self.body.append(f'<span class="math">{html}</span>')
    raise nodes.SkipNode


def block(self, node: nodes.math_block) -> None:
    tex = node.astext()
    identity = f' id="{name}"' if (name := anchor(tex)) else ""
    self.body.append(f'<div class="math"{identity}>{convert(node, tex, display=True)}</div>\n')
    raise nodes.SkipNode


def close(app: Sphinx, exception: Exception | None) -> None:
    """Stop the engine: its thread would keep the program from ending."""
    if mathjax.cache_info().currsize:
        mathjax().engine.close()
        mathjax.cache_clear()


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("typeset", (inline, None), (block, None))
    app.connect("build-finished", close)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
