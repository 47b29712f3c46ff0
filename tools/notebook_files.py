"""Where the chapters are, and how a notebook is read and written."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "matplotlib", "mlxtend")
# What a Python kernel says of itself, less its versions: `nbconvert --to script` needs it for a .py
LANGUAGE = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}


def find(names: list[str], root: Path = ROOT) -> list[Path]:
    """The chapters called for by number (`04`), by name or by path; all when none is named."""
    chapters = sorted(root.glob("chapters/[0-9][0-9]_*.ipynb"))
    if not names:
        return chapters
    found = []
    for name in names:
        stem = Path(name).stem
        matches = [
            path for path in chapters if path.stem == stem or path.stem.startswith(stem + "_")
        ]
        if not matches:
            known = ", ".join(path.stem for path in chapters) or "none"
            raise SystemExit(f"There is no chapter '{name}': there are {known}.")
        found += matches
    return found


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step, so that an interruption leaves the old one whole."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        if path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells that hold code: an empty one is never run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def fingerprint(notebook: NotebookNode) -> str:
    """A digest of the code that outputs were made by; the repository's address is no part of it."""
    code = "\0".join(cell.source for cell in code_cells(notebook))
    code = re.sub(r"git\+https://[\w./-]+", "git+ADDRESS", code)
    return hashlib.sha256(code.encode()).hexdigest()[:16]
