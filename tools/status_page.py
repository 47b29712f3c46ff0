"""Sphinx extension: the tables of `chapters/status.md`: MyST-NB's has no versions."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

from locked_version import locked
from notebook_files import PACKAGES, code_cells, find, read

OLDEST_PYTHON = "3.10"  # with which `make test-oldest` is run


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def chapters(root: Path) -> str:
    rows = []
    for path in find([], root):
        notebook = read(path)
        title = re.search(r"^# +(.+?) *$", notebook.cells[0].source, re.MULTILINE)[1]
        cells = code_cells(notebook)
        figures = sum("image/png" in out.get("data", {}) for cell in cells for out in cell.outputs)
        link, seconds = f"[{title}]({path.name})", f"under {notebook.metadata['run_seconds']} s"
        rows.append((str(int(path.stem[:2])), link, seconds, str(len(cells)), str(figures)))
    return table(("number", "chapter", "run time", "code cells", "figures"), rows)


def versions(root: Path) -> str:
    measured = [read(path).metadata.get("versions", {}) for path in find([], root)]

    def here(name: str) -> str:
        return ", ".join(sorted({found.get(name, "–") for found in measured}))

    oldest = root / "requirements-oldest.txt"
    rows = [(name, here(name), locked(oldest, name, OLDEST_PYTHON)) for name in PACKAGES]
    python = ("Python", here("python"), OLDEST_PYTHON)
    return table(("package", "these pages", "oldest tested"), [python, *rows])


def fill_in(app: Sphinx, page: str, source: list[str]) -> None:
    if page == "chapters/status":
        for name, make in {"chapters": chapters, "versions": versions}.items():
            source[0] = source[0].replace(f"<!-- {name} -->", make(Path(app.srcdir)))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
