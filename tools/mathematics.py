"""Sphinx extension: formulas as pictures: Sphinx's renderers need scripts in pages, or LaTeX.

MathJax runs here while the site is built, in V8, and turns each formula into an SVG picture with
MathML beside it for screen readers. A page thus needs no script, no font and no network for its
formulas, and nothing moves while it loads. A formula that MathJax cannot read is a warning, which
fails the build.

The MathJax files are those that `sphinx-mathjax-offline` carries; it is used for them alone.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from html import escape
from pathlib import Path

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
FILES = (
    "loader.js",
    "core.js",
    "adaptors/liteDOM.js",
    "input/tex-full.js",
    "output/svg.js",
    "output/svg/fonts/tex.js",
    "a11y/assistive-mml.js",
)
START = """
const parts = MathJax._, adaptor = parts.adaptors.liteAdaptor.liteAdaptor();
parts.a11y["assistive-mml"].AssistiveMmlHandler(
  parts.handlers.html_ts.RegisterHTMLHandler(adaptor));
const page = parts.mathjax.mathjax.document("", {
  InputJax: new parts.input.tex_ts.TeX({packages: ["base", "ams"]}),
  OutputJax: new parts.output.svg_ts.SVG({
    fontCache: "none",  // each formula is whole in itself, wherever a theme repeats it
    font: new parts.output.svg.fonts.tex_ts.TeXFont(),
  }),
});
function typeset(tex, display) {
  return adaptor.outerHTML(page.convert(tex, {display, em: 16, ex: 8}));
}
"""
PATIENCE = 60  # seconds for a formula: an engine that hangs becomes an error
TAG = re.compile(r"\\tag\{(\d+)\.(\d+)\}")


class MathJax:
    """MathJax in a JavaScript engine of its own, started at the first formula."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("sphinx-mathjax-offline")
        folder = Path(spec.origin).parent / "static" / "mathjax"
        self.engine = MiniRacer()
        self.engine.eval("const window = globalThis, global = globalThis;")
        for name in FILES:
            self.engine.eval((folder / name).read_text(encoding="utf-8") + ";0")
        self.engine.eval(START + ";0")

    def typeset(self, tex: str, display: bool) -> str:
        """The HTML of a formula; a ValueError when MathJax cannot read it."""
        html = self.engine.call("typeset", tex, display, timeout_sec=PATIENCE)
        if error := re.search(r'data-mjx-error="([^"]*)"', html):
            raise ValueError(f"{error[1]} in the formula {tex!r}")
        return html


@cache
def mathjax() -> MathJax:
    return MathJax()


def anchor(tex: str) -> str:
    """The anchor of a formula that carries a number: `equation-6-3` for `\\tag{6.3}`."""
    match = TAG.search(tex)
    return f"equation-{match[1]}-{match[2]}" if match else ""


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
    name = anchor(tex)
    identity = f' id="{name}"' if name else ""
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
