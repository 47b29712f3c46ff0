"""Sphinx extension: the site's pictures as lossless WebP, the same pixels in half the bytes of PNG.

An EPUB keeps its PNG, since readers of e-books need not know WebP; so do the still pictures of
live figures, which stand in raw HTML.
"""

from __future__ import annotations

from typing import ClassVar

from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms.images import ImageConverter


class Lossless(ImageConverter):
    conversion_rules: ClassVar[list[tuple[str, str]]] = [("image/png", "image/webp")]

    def is_available(self) -> bool:
        return True

    def convert(self, source: str, target: str) -> bool:
        with Image.open(source) as picture:
            picture.save(target, lossless=True)
        return True


def refuse_png(app: Sphinx) -> None:
    """Sphinx converts what a builder does not take, pictures inside Markdown included."""
    if app.builder.name == "html":
        others = [kind for kind in app.builder.supported_image_types if kind != "image/png"]
        app.builder.supported_image_types = [*others, "image/webp"]
        app.builder.supported_data_uri_images = False


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(Lossless)
    app.connect("builder-inited", refuse_png)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
