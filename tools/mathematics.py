"""Sphinx extension: formulas as pictures: Sphinx's renderers need scripts in pages, or LaTeX.

MathJax runs while the site is built, in V8, and turns each formula into an SVG picture with MathML
beside it for screen readers. A page needs no script, font or network for its formulas, and nothing
moves while it loads. A formula that MathJax cannot read is a warning, which fails the build.

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
TAG = re.compile(r"\\tag\{(\d+)\.(\d+)\}")
FILES = (
    *("loader.js", "core.js", "adaptors/liteDOM.js", "input/tex-full.js", "output/svg.js"),
    *("output/svg/fonts/tex.js", "a11y/assistive-mml.js"),
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


@cache
def engine() -> MiniRacer:
    """V8 with MathJax in it, started at the first formula."""
    origin = importlib.util.find_spec("sphinx-mathjax-offline").origin
    files = [Path(origin).parent / "static" / "mathjax" / name for name in FILES]
    racer = MiniRacer()
    racer.eval("const window = globalThis, global = globalThis;")
    for code in [*(file.read_text(encoding="utf-8") for file in files), START]:
        racer.eval(code + ";0")
    return racer


def stop_engine(app: Sphinx, exception: Exception | None) -> None:
    """Its thread would keep the program from ending."""
    if engine.cache_info().currsize:
        engine().close()
        engine.cache_clear()


def typeset(node: nodes.Element, display: bool) -> str:
    """The HTML of a formula; a warning and its source where MathJax cannot read it."""
    tex = node.astext()
    html = engine().call("typeset", tex, display, timeout_sec=PATIENCE)
    if error := re.search(r'data-mjx-error="([^"]*)"', html):
        LOGGER.warning(f"{error[1]} in the formula {tex!r}", location=node)
        return f"<code>{escape(tex)}</code>"
    return html


def anchor(formula: nodes.Element) -> str:
    """The anchor of a formula that carries a number: `equation-6-3` for `\\tag{6.3}`."""
    match = TAG.search(formula.astext())
    return f"equation-{match[1]}-{match[2]}" if match else ""


def visit_inline(self, node: nodes.math) -> None:
    self.body.append(f'<span class="math">{typeset(node, display=False)}</span>')
    raise nodes.SkipNode


def visit_block(self, node: nodes.math_block) -> None:
    identity = f' id="{name}"' if (name := anchor(node)) else ""
    self.body.append(f'<div class="math"{identity}>{typeset(node, display=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("typeset", (visit_inline, None), (visit_block, None))
    app.connect("build-finished", stop_engine)
