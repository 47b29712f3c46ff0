"""Sphinx extension: make each built page light, still and tidy.

Out goes what the theme puts in and the book does not use: Thebe (declared twice, it throws on every
page), Font Awesome's 1.5 MB of script, toggle buttons, tabs, preloads. Scripts wait for the page,
all style sheets become one (`style_sheet.py`), icons become SVG, and each image gets its size, so
that nothing moves while it loads. Pictures attached to a notebook become files.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from PIL import Image
from sphinx.application import Sphinx

from style_sheet import bundle

UNUSED = re.compile(
    r"<script>const THEBE_JS_URL.*?</script>\s*"
    r"|<script [^>]*(?:sphinx-thebe|togglebutton|design-tabs|fontawesome)[^>]*></script>\s*"
    r'|<script type="text/x-thebe-config">.*?</script>\s*'
    r"|<script>(?:kernelName = |(?:let|var) toggle|DOCUMENTATION_OPTIONS)[^<]*</script>\s*"
    r'|<link rel="preload"[^>]*/>\s*'
    r'|<meta name="viewport"[^>]*initial-scale=1"\s*/>\s*'  # the second and third of three
    r'|<div id="jb-print-docs-body".*?(?=<div id="searchbox">)',  # a second title and contents
    re.DOTALL,
)
SUMMARY = '<summary><span class="toctree-toggle"'
SIDEBAR = '<div class="bd-sidebar-primary bd-sidebar'
NAMED = SUMMARY.replace("<summary", '<summary aria-label="Pages of this part"')
LANDMARK = SIDEBAR.replace("<div", '<div role="complementary" aria-label="Book"')
SCRIPT = re.compile(r"<script (?=[^>]*\bsrc=)(?![^>]*\b(?:defer|async)\b)")
ICON = re.compile(
    r'<(i|span) class="([^"]*)\b(?:fas|fab|fa-solid|fa-brands) fa-([\w-]+)([^>]*)></\1>'
)
IMAGE = re.compile(r"<img\b(?P<attributes>[^>]*?)\s*/?>", re.DOTALL)
EMBEDDED = re.compile(r'src="data:image/png;base64,([^"]+)"')


def set_default_mode(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    context["default_mode"] = "auto"  # without it the theme logs an error


@cache
def shapes(static: Path) -> dict[str, tuple[str, str, str]]:
    """Width, height and outline of each icon, from the script that would draw them."""
    (script,) = static.glob("vendor/fontawesome/*/js/all.min.js")
    found = re.findall(
        r'"?([\w-]+)"?:\[(\d+),(\d+),\[[^\]]*\],"[0-9a-f]+","([^"]+)"\]', script.read_text("utf-8")
    )
    return {name: (width, height, path) for name, width, height, path in found}  # solid comes last


def draw_icons(html: str, static: Path) -> str:
    def draw(match: re.Match) -> str:
        _, before, name, after = match.groups()
        width, height, path = shapes(static)[name]
        return (
            f'<svg class="{before}svg-icon{after} viewBox="0 0 {width} {height}" '
            f'aria-hidden="true"><path fill="currentColor" d="{path}"/></svg>'
        )

    return ICON.sub(draw, html)


def single_search(html: str) -> str:
    """The search page has the theme's two search fields, under one name."""
    first, name, rest = html.partition('id="search-input"')
    return first + name + rest.replace('id="search-input"', 'id="search-again"')


def store_pictures(html: str, page: Path, site: Path) -> str:
    """Each picture that a page carries inside becomes a file, as those of the outputs are."""

    def store(match: re.Match) -> str:
        content = base64.b64decode(match[1])
        target = site / "_images" / f"{hashlib.sha256(content).hexdigest()}.png"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
        depth = len(page.relative_to(site).parts) - 1
        return f'src="{"../" * depth}_images/{target.name}"'

    return EMBEDDED.sub(store, html)


def size_images(html: str, page: Path) -> str:
    """State the size of each image, and load those further down when they come near."""
    seen = 0

    def size(match: re.Match) -> str:
        nonlocal seen
        attributes = match["attributes"]
        source = re.search(r'src="([^"]+)"', attributes)
        file = page.parent / unquote(urlsplit(source[1]).path) if source else None
        if file is None or file.suffix != ".png" or " width=" in attributes:
            return match[0]
        with Image.open(file) as picture:
            width, height = picture.size
        if "logo" not in file.name:
            seen += 1
        waiting = ' loading="lazy"' if seen > 1 else ""
        return f'<img{attributes} width="{width}" height="{height}"{waiting} decoding="async"/>'

    return IMAGE.sub(size, html)


def tidy(app: Sphinx, exception: Exception | None) -> None:
    site = Path(app.outdir)
    static = site / "_static"
    if exception or app.builder.format != "html":
        return
    pages = [page for page in site.rglob("*.html") if static not in page.parents]
    for page in pages:
        html = UNUSED.sub("", page.read_text(encoding="utf-8"))
        html = html.replace(SIDEBAR, LANDMARK).replace(SUMMARY, NAMED)
        html = html.replace("<th></th>", "<td></td>")  # the empty corner of a table heads nothing
        html = draw_icons(html, static)
        html = single_search(html)
        html = store_pictures(html, page, site)
        html = size_images(html, page)
        page.write_text(SCRIPT.sub("<script defer ", html), encoding="utf-8")
    bundle(site, pages)
    for folder in static.glob("vendor/fontawesome/*/*/"):
        shutil.rmtree(folder)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", set_default_mode)
    app.connect("build-finished", tidy, priority=900)  # after the theme has written its colours
    return {"parallel_read_safe": True, "parallel_write_safe": True}
