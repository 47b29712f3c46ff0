"""Sphinx extension: pictures attached to Markdown cells, which MyST-NB does not know.

Jupyter, Colab and GitHub show `![…](attachment:result.png)`. The page gets the picture itself in
its place. A page such as the landing page shows the result of a chapter, with
the chapter's own words for it, at `<!-- result 06_one_class -->`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from sphinx.application import Sphinx

RESULT = re.compile(r"<!-- result (\w+) -->")
PICTURE = re.compile(r"!\[[^\]]*\]\(attachment:result\.png\)")


def inline_cell(cell: dict) -> str:
    """The text of a cell with its attached pictures inside; they are taken out of the cell."""
    text = "".join(cell["source"])
    for name, data in cell.pop("attachments", {}).items():
        ((kind, content),) = data.items()
        text = text.replace(f"(attachment:{name})", f"(data:{kind};base64,{content.strip()})")
    return text


def result(chapter: Path) -> str:
    """The picture of a chapter's opening, as Markdown with the picture inside."""
    for cell in json.loads(chapter.read_text(encoding="utf-8"))["cells"]:
        if picture := PICTURE.search("".join(cell["source"])):
            return inline_cell({**cell, "source": picture[0]})
    raise ValueError(f"{chapter.name} has no picture attachment:result.png")


def inline(app: Sphinx, docname: str, source: list[str]) -> None:
    if not app.env.doc2path(docname).endswith(".ipynb"):
        chapters = Path(app.srcdir, "chapters")
        source[0] = RESULT.sub(lambda match: result(chapters / f"{match[1]}.ipynb"), source[0])
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        cell["source"] = inline_cell(cell)
    source[0] = json.dumps(notebook)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", inline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
