"""Sphinx extension: the tables of `chapters/status.md`, from the notebooks and the oldest lock."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement
from sphinx.application import Sphinx

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
        number = str(int(path.stem[:2]))
        seconds = f"under {notebook.metadata['run_seconds']} s"
        rows.append((number, f"[{title}]({path.name})", seconds, str(len(cells)), str(figures)))
    return table(("number", "chapter", "run time", "code cells", "figures"), rows)


def locked(lock: Path, name: str, python: str) -> str:
    """The version of a package that a lock has for a Python."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}=="):
            pin = Requirement(line.rstrip("\\ "))
            if pin.marker is None or pin.marker.evaluate(environment):
                return str(pin.specifier).removeprefix("==")
    return "–"


def versions(root: Path) -> str:
    measured = [read(path).metadata.get("versions", {}) for path in find([], root)]
    oldest = root / "requirements-oldest.txt"
    here = {
        name: ", ".join(sorted({found.get(name, "–") for found in measured}))
        for name in ("python", *PACKAGES)
    }
    rows = [("Python", here["python"], OLDEST_PYTHON)]
    rows += [(name, here[name], locked(oldest, name, OLDEST_PYTHON)) for name in PACKAGES]
    return table(("package", "these pages", "oldest tested"), rows)


def fill_in(app: Sphinx, page: str, source: list[str]) -> None:
    if page == "chapters/status":
        root = Path(app.srcdir)
        source[0] = source[0].replace("<!-- chapters -->", chapters(root))
        source[0] = source[0].replace("<!-- versions -->", versions(root))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
