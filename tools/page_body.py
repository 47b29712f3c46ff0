"""Sphinx extension: what Sphinx and MyST-NB leave out of a page's body and no other extension adds.

Each image states its size, so that nothing moves while it loads, and all but the first wait until
they come near. Pictures inside raw HTML become files. The button of a folded cell is named by its
own words, and the empty corner of a table heads nothing. In an EPUB, whose pages are XML and run
no scripts, a live figure is its still picture.
"""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx

IMAGE = re.compile(r"<img\b(?P<attributes>[^>]*?)\s*/?>", re.DOTALL)
SOURCE = re.compile(r'\bsrc="([^"]+)"')
EMBEDDED = re.compile(r'src="data:image/png;base64,([^"]+)"')
ACTIVE = re.compile(r"<(script|style)\b.*?</\1>\s*", re.DOTALL)
VOID = re.compile(r"<(br|hr|img|col|wbr)\b([^>]*?)\s*/?>", re.DOTALL)
FOLDED = re.compile(
    r'<summary aria-label="Toggle hidden content">\s*'
    r'<p (class="collapsed[^>]*>[^<]*)</p>\s*<p (class="expanded[^>]*>[^<]*)</p>'
)


def stored(html: str, page: str, site: Path) -> str:
    """The same with each picture that its raw HTML carries inside as a file."""

    def store(match: re.Match) -> str:
        content = base64.b64decode(match[1])
        target = site / "_images" / f"{hashlib.sha256(content).hexdigest()}.png"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
        return f'src="{"../" * page.count("/")}_images/{target.name}"'

    return EMBEDDED.sub(store, html)


def sized(html: str, page: str, folders: list[Path], copied: dict[str, Path]) -> str:
    """The same with the size of each picture that is in a folder, or will be `copied` there."""
    seen = 0

    def size(match: re.Match) -> str:
        nonlocal seen
        address = unquote(urlsplit(SOURCE.search(match["attributes"])[1]).path)
        place = posixpath.normpath(posixpath.join(posixpath.dirname(page), address))
        files = [copied.get(place), *(folder / place for folder in folders)]
        file = next((file for file in files if file and file.is_file()), None)
        if file is None or file.suffix not in (".png", ".webp") or " width=" in match["attributes"]:
            return match[0]
        with Image.open(file) as picture:
            width, height = picture.size
        seen += 1
        waiting = ' loading="lazy"' if seen > 1 else ""
        words = match["attributes"]
        return f'<img{words} width="{width}" height="{height}"{waiting} decoding="async"/>'

    return IMAGE.sub(size, html)


def finish(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document) -> None:
    if "body" not in context:
        return
    source, site = Path(app.srcdir), Path(app.outdir)
    copied = {f"_images/{name}": source / path for path, name in app.builder.images.items()}
    folders = [site, *(source / folder for folder in app.config.html_extra_path)]
    html = context["body"].replace("<th></th>", "<td></td>")
    html = FOLDED.sub(r"<summary><span \1</span><span \2</span>", html)
    html = sized(stored(html, page, site), page, folders, copied)
    if app.builder.name == "epub":
        html = VOID.sub(r"<\1\2/>", ACTIVE.sub("", html))
    context["body"] = html


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
