"""Sphinx extension: the tables of `chapters/status.md`, from the notebooks and the two locks."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

from notebook_files import code_cells, find, read

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "matplotlib", "mlxtend")


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
        number = str(int(path.stem[:2]))
        seconds = f"under {notebook.metadata['run_seconds']} s"
        rows.append((number, f"[{title}]({path.name})", seconds, str(len(cells)), str(figures)))
    return table(("number", "chapter", "run time", "code cells", "figures"), rows)


def locked(lock: Path, name: str) -> str:
    """The version of a package in a lock; where it depends on Python's, the newest."""
    found = re.findall(rf"^{name}==([\d.]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return max(found, key=lambda version: [int(part) for part in version.split(".")], default="–")


def versions(root: Path) -> str:
    locks = root / "requirements.txt", root / "requirements-oldest.txt"
    rows = [(name, *(locked(lock, name) for lock in locks)) for name in PACKAGES]
    return table(("package", "newest", "oldest"), rows)


def fill_in(app: Sphinx, page: str, source: list[str]) -> None:
    if page == "chapters/status":
        root = Path(app.srcdir)
        source[0] = source[0].replace("<!-- chapters -->", chapters(root))
        source[0] = source[0].replace("<!-- versions -->", versions(root))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
