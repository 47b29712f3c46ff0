"""Sphinx extension: show the pictures that are attached to a notebook's Markdown cells.

Jupyter, Colab and GitHub know `![…](attachment:result.png)`; MyST-NB does not, so the page gets
the picture itself in its place.
"""

from __future__ import annotations

import json

from sphinx.application import Sphinx


def inline(app: Sphinx, docname: str, source: list[str]) -> None:
    if not app.env.doc2path(docname).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        for name, data in cell.pop("attachments", {}).items():
            ((kind, content),) = data.items()
            uri = f"(data:{kind};base64,{content.strip()})"
            cell["source"] = "".join(cell["source"]).replace(f"(attachment:{name})", uri)
    source[0] = json.dumps(notebook)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", inline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
