"""Sphinx extension: take out of each page what its theme puts in and the book does not use.

Thebe (live code in the browser) is declared twice, which throws on every page; the font preloads
are refused when a page is opened from disk; without a default mode the theme logs an error.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

UNUSED = re.compile(
    r"<script>const THEBE_JS_URL.*?</script>\s*"
    r"|<script [^>]*sphinx-thebe\.js[^>]*></script>\s*"
    r'|<script type="text/x-thebe-config">.*?</script>\s*'
    r"|<script>kernelName = [^<]*</script>\s*"
    r"|<link [^>]*sphinx-thebe\.css[^>]*/>\s*"
    r'|<link rel="preload" as="font"[^>]*/>\s*',
    re.DOTALL,
)


def set_default_mode(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    context["default_mode"] = "auto"


def tidy(app: Sphinx, exception: Exception | None) -> None:
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(UNUSED.sub("", text), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", set_default_mode)
    app.connect("build-finished", tidy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
