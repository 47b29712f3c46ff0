"""Sphinx extension: HTML that is lighter, and that screen readers and EPUBs can read.

- Pictures are lossless WebP with their size, where Sphinx has PNG and none: the same pixels in
  half the bytes, and nothing moves while they load. An EPUB keeps its PNG.
- Highlighted code has half the elements: Pygments makes one of each comma, and a phone lays out
  each. Here only what has a colour of its own is a `<span>`.
- Folded cells say what they show: a screen reader reads MyST-NB's "Toggle hidden content" out in
  place of the button's words; and these were paragraphs, which a summary of HTML may not hold.
- The corner of pandas' tables is no heading, since it heads nothing. In an EPUB, whose pages are
  XML and run no scripts, a live figure is its still picture, a file as all pictures there.
- No line breaks between a number and its %, which nobody would write by hand.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from typing import ClassVar, TextIO

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput
from PIL import Image
from pygments.formatters import HtmlFormatter
from pygments.styles import get_style_by_name
from pygments.token import Text
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.highlighting import PygmentsBridge
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.transforms.post_transforms.images import ImageConverter
from sphinx.writers.html5 import HTML5Translator

LIGHT, DARK = "a11y-high-contrast-light", "a11y-high-contrast-dark"
STYLES = [get_style_by_name(name) for name in (LIGHT, DARK)]
ACTIVE = re.compile(r"<(script|style)\b.*?</\1>\s*", re.DOTALL)
EMBEDDED = re.compile(r'src="data:image/png;base64,([^"]+)"')
VOID = re.compile(r"<(br|hr|img|col|wbr)\b([^>]*?)\s*/?>", re.DOTALL)
APART = re.compile(r"(?<=\d) (?=%)")


class Lossless(ImageConverter):
    conversion_rules: ClassVar[list[tuple[str, str]]] = [("image/png", "image/webp")]

    def is_available(self) -> bool:
        return True

    def convert(self, source: str, target: str) -> bool:
        with Image.open(source) as picture:
            picture.save(target, lossless=True)
        return True


def refuse_png(app: Sphinx) -> None:
    """Sphinx converts what a builder does not take; pictures inside Markdown become files."""
    app.builder.supported_data_uri_images = False
    if app.builder.name == "html":
        others = [kind for kind in app.builder.supported_image_types if kind != "image/png"]
        app.builder.supported_image_types = [*others, "image/webp"]


def load_lazily(app: Sphinx, document: nodes.document, page: str) -> None:
    if app.builder.name == "html":
        for picture in [*document.findall(nodes.image)][1:]:  # the first is in sight at once
            picture["loading"] = "lazy"


def visit_image(translator: HTML5Translator, node: nodes.image) -> None:
    """State the size: one that Sphinx is given becomes style, for which no browser makes room."""
    file = Path(translator.builder.srcdir, node["uri"])
    HTML5Translator.visit_image(translator, node)
    if file.suffix in (".png", ".webp"):
        with Image.open(file) as picture:
            size = 'width="{}" height="{}"'.format(*picture.size)
        translator.body[-1] = translator.body[-1].replace("<img", f"<img {size}", 1)


@cache
def coloured(kind: tuple) -> bool:
    """Whether one of the two styles draws it unlike plain text."""
    return any(style.style_for_token(kind) != style.style_for_token(Text) for style in STYLES)


class LightFormatter(HtmlFormatter):
    def format_unencoded(self, tokens: Iterable[tuple[tuple, str]], file: TextIO) -> None:
        plain = ((kind if coloured(kind) else Text, text) for kind, text in tokens)
        super().format_unencoded(plain, file)


def choose_styles(app: Sphinx, config: Config) -> None:
    config.pygments_style = LIGHT
    # The theme declares its option later than this, and before it looks at it.
    app.connect("builder-inited", lambda _: setattr(config, "pygments_dark_style", DARK), 400)


def visit_folded(translator: HTML5Translator, node: HideCodeCellNode) -> None:
    classes = " ".join(["admonition", "hide", *node["classes"]])
    names = (("collapsed", node["prompt_show"]), ("expanded", node["prompt_hide"]))
    words = (f'<span class="{kind} admonition-title">{escape(name)}</span>' for kind, name in names)
    translator.body.append(f'<details class="{classes}"><summary>{"".join(words)}</summary>\n')


class ReadableOutput(SphinxPostTransform):
    default_priority = 900
    formats = ("html",)

    def run(self, **options: object) -> None:
        for node in self.document.findall(nodes.raw):
            html = node.astext().replace("<th></th>", "<td></td>")
            if self.app.builder.name == "epub":
                html = EMBEDDED.sub(self.store, VOID.sub(r"<\1\2/>", ACTIVE.sub("", html)))
            node[0:] = [nodes.Text(html)]

    def store(self, match: re.Match) -> str:
        content = base64.b64decode(match[1])
        file = Path(self.app.outdir, "_images", f"{hashlib.sha256(content).hexdigest()}.png")
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        return f'src="{"../" * self.env.docname.count("/")}_images/{file.name}"'


def keep_together(app: Sphinx, document: nodes.document) -> None:
    for text in list(document.findall(nodes.Text)):
        if not isinstance(text.parent, (nodes.literal, nodes.literal_block, nodes.raw)):
            joined = APART.sub("\N{NO-BREAK SPACE}", text)
            if joined != text:
                text.parent.replace(text, nodes.Text(joined))


def setup(app: Sphinx) -> None:
    PygmentsBridge.html_formatter = LightFormatter
    app.add_node(nodes.image, override=True, html=(visit_image, HTML5Translator.depart_image))
    app.add_node(HideCodeCellNode, override=True, html=(visit_folded, depart_HideCellInput))
    app.add_post_transform(Lossless)
    app.add_post_transform(ReadableOutput)
    app.connect("config-inited", choose_styles)
    app.connect("builder-inited", refuse_png)
    app.connect("doctree-read", keep_together)
    app.connect("doctree-resolved", load_lazily)
