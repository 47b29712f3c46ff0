"""MathJax in a JavaScript engine, for `mathematics.py`: no Python package runs it without node.

The MathJax files are those that `sphinx-mathjax-offline` carries; it is used for them alone.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from py_mini_racer import MiniRacer

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


class MathJax:
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
