"""Sphinx extension: pictures as lossless WebP with their size, where Sphinx has PNG and none.

The same pixels are half the bytes, and nothing moves while they load. (A size that Sphinx is told
becomes style, of which a browser makes no room in proportion.) An EPUB keeps its PNG.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms.images import ImageConverter
from sphinx.writers.html5 import HTML5Translator


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


def let_wait(app: Sphinx, document: nodes.document, page: str) -> None:
    if app.builder.name == "html":
        for picture in [*document.findall(nodes.image)][1:]:  # the first is in sight at once
            picture["loading"] = "lazy"


def visit(translator: HTML5Translator, node: nodes.image) -> None:
    file = Path(translator.builder.srcdir, node["uri"])
    HTML5Translator.visit_image(translator, node)
    if file.suffix in (".png", ".webp"):
        with Image.open(file) as picture:
            size = 'width="{}" height="{}"'.format(*picture.size)
        translator.body[-1] = translator.body[-1].replace("<img", f"<img {size}", 1)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(Lossless)
    app.add_node(nodes.image, override=True, html=(visit, HTML5Translator.depart_image))
    app.connect("builder-inited", refuse_png)
    app.connect("doctree-resolved", let_wait)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
