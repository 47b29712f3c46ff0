"""Sphinx extension: what a page takes from the notebooks before Sphinx reads it.

- Pictures attached to Markdown cells, `![…](attachment:result.png)`, which Jupyter, Colab and
  GitHub show and MyST-NB does not know: the page gets the picture itself.
- `<!-- result 06_one_class -->` on another page: that chapter's result, in the chapter's words.
- `<!-- chapters -->` and `<!-- versions -->` on the status page: MyST-NB's table has no versions.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from packaging.requirements import Requirement
from sphinx.application import Sphinx

from notebook_files import PACKAGES, code_cells, find, read

RESULT = re.compile(r"<!-- result (\w+) -->")
PICTURE = re.compile(r"!\[[^\]]*\]\(attachment:result\.png\)")
OLDEST_PYTHON = "3.10"  # with which `make test-oldest` is run


def with_pictures(cell: dict) -> str:
    """The text of a cell with its attached pictures inside; they are taken out of the cell."""
    text = "".join(cell["source"])
    for name, data in cell.pop("attachments", {}).items():
        ((kind, content),) = data.items()
        text = text.replace(f"(attachment:{name})", f"(data:{kind};base64,{content.strip()})")
    return text


def result(chapter: Path) -> str:
    """The picture of a chapter's opening, as Markdown with the picture inside."""
    for cell in read(chapter).cells:
        if picture := PICTURE.search(cell.source):
            return with_pictures({**cell, "source": picture[0]})
    raise ValueError(f"{chapter.name} has no picture attachment:result.png")


def table(*rows: tuple[str, ...]) -> str:
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *body))


def chapters(root: Path) -> str:
    rows = [("number", "chapter", "run time", "code cells", "figures")]
    for path in find([], root):
        notebook = read(path)
        title = re.search(r"^# +(.+?) *$", notebook.cells[0].source, re.MULTILINE)[1]
        cells = code_cells(notebook)
        figures = sum("image/png" in out.get("data", {}) for cell in cells for out in cell.outputs)
        link, seconds = f"[{title}]({path.name})", f"under {notebook.metadata['run_seconds']} s"
        rows.append((str(int(path.stem[:2])), link, seconds, str(len(cells)), str(figures)))
    return table(*rows)


def versions(root: Path) -> str:
    noted = [read(path).metadata.get("versions", {}) for path in find([], root)]
    lock = root / "requirements-oldest.txt"
    oldest = {name: locked(lock, name, OLDEST_PYTHON) for name in PACKAGES}
    rows = [("package", "these pages", "oldest tested")]
    for name, version in {"Python": OLDEST_PYTHON, **oldest}.items():
        here = ", ".join(sorted({each.get(name.lower(), "–") for each in noted}))
        rows.append((name, here, version))
    return table(*rows)


def locked(lock: Path, name: str, python: str) -> str:
    """The version of a package that a lock has for a Python."""
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    lines = lock.read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line.rstrip("\\ ")) for line in lines if line.startswith(f"{name}==")]
    valid = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(here)]
    return str(valid[0].specifier).removeprefix("==") if valid else "–"


def fill_in(app: Sphinx, page: str, source: list[str]) -> None:
    root = Path(app.srcdir)
    if app.env.doc2path(page).endswith(".ipynb"):
        notebook = json.loads(source[0])
        for cell in notebook["cells"]:
            cell["source"] = with_pictures(cell)
        source[0] = json.dumps(notebook)
        return
    source[0] = RESULT.sub(lambda match: result(root / f"chapters/{match[1]}.ipynb"), source[0])
    if page == "chapters/status":
        for name, make in {"chapters": chapters, "versions": versions}.items():
            source[0] = source[0].replace(f"<!-- {name} -->", make(root))


def setup(app: Sphinx) -> None:
    app.connect("source-read", fill_in)
