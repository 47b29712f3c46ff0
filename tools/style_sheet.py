"""Sphinx extension: one style sheet for the site, without the rules that no page can use.

The theme has half a megabyte of them, most for components that the book does not have, and Sphinx
links each sheet by itself. lightningcss bundles, minifies, and takes out the rules that name a
class or an id of a set: here those that stand in no page and in no script.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import lightningcss
from sphinx.application import Sphinx

SHEETS = (  # in the order in which the theme links them; the book's own last
    *("styles/theme.css", "styles/bootstrap.css", "styles/pydata-sphinx-theme.css"),
    *("pygments.css", "styles/sphinx-book-theme.css", "mystnb.*.css", "copybutton.css"),
    *("sphinx-design.min.css", "icons.css", "book.css"),
)
NAMED = re.compile(r"[.#](-?[A-Za-z_](?:[\w-]|\\.)*)")
WORD = re.compile(r"[A-Za-z_-][\w-]*")
NAME = "book-all.css"


def bundle(site: Path) -> None:
    """Write `_static/book-all.css`, which `_templates/layout.html` links."""
    static = site / "_static"
    sheets = [sheet for pattern in SHEETS for sheet in static.glob(pattern)]
    if len(sheets) != len(SHEETS):
        raise FileNotFoundError(f"{SHEETS} stand for one sheet each; there are {sheets}")
    pages = [*site.rglob("*.html"), *static.rglob("*.js")]
    known = {word for file in pages for word in WORD.findall(file.read_text(encoding="utf-8"))}
    named = {name for sheet in sheets for name in NAMED.findall(sheet.read_text(encoding="utf-8"))}
    unused = {name.replace("\\", "") for name in named} - known
    result = static / NAME
    imports = (f'@import "./{sheet.relative_to(static).as_posix()}";\n' for sheet in sheets)
    result.write_text("".join(imports), encoding="utf-8")
    result.write_text(lightningcss.bundle_css(str(result), unused_symbols=unused), "utf-8")


def finish(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.name == "html":
        bundle(Path(app.outdir))
        shutil.rmtree(Path(app.outdir, "_static", "vendor"))  # Font Awesome: see icons.css


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", finish, priority=900)  # after the theme has written its colours
    return {"parallel_read_safe": True, "parallel_write_safe": True}
