"""Sphinx extension: HTML of outputs for screen readers and EPUBs: Sphinx leaves it as it is.

The corner of pandas' tables is an empty heading, which heads nothing. In an EPUB, whose pages are
XML and run no scripts, a live figure is its still picture, a file as all pictures there.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

ACTIVE = re.compile(r"<(script|style)\b.*?</\1>\s*", re.DOTALL)
EMBEDDED = re.compile(r'src="data:image/png;base64,([^"]+)"')
VOID = re.compile(r"<(br|hr|img|col|wbr)\b([^>]*?)\s*/?>", re.DOTALL)


class Mended(SphinxPostTransform):
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


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(Mended)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
