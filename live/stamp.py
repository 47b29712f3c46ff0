"""Do the committed live figures belong to the code? A digest of what makes them, and its check."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import nbformat

from benchmarks.record import bare
from notebook_files import ROOT, code_cells, find, read, write_text
from vae_lib import live

# What decides the weights, the scores and the thresholds. A change of words alone counts for none.
SOURCES = (
    "live/export.py",
    "vae_lib/data/datasets.py",
    "vae_lib/data/parts.py",
    "vae_lib/data/pictures.py",
    "vae_lib/data/sources.py",
    "vae_lib/networks.py",
    "vae_lib/likelihoods.py",
    "vae_lib/losses.py",
    "vae_lib/model.py",
    "vae_lib/scores/errors.py",
)
FILE = "made_by.txt"
CALL = re.compile(r'\blive\.show\("(\w+)"\)')


def fingerprint(root: Path = ROOT) -> str:
    """A digest of the code of all SOURCES."""
    texts = [bare((root / name).read_text(encoding="utf-8")) for name in SOURCES]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def write(assets: Path) -> None:
    """Note beside the assets which code they were made by."""
    write_text(assets / FILE, fingerprint() + "\n")


def stale_outputs() -> list[tuple[Path, str]]:
    """Each committed output of `live.show` that is not what it would give now: chapter, figure."""
    return [
        (path, name)
        for path in find([])
        for name, html in shown(read(path))
        if html != live.show(name)._repr_html_()
    ]


def shown(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """The figures that a notebook calls for, and the HTML that it holds for each."""
    return [
        (name, "".join(output.get("data", {}).get("text/html", "")))
        for cell in code_cells(notebook)
        for name in CALL.findall(cell.source)
        for output in cell.outputs
    ]


def refresh_notebooks() -> list[Path]:
    """Put the present figures into the chapters. Their words stay, so no cell has to run."""
    changed = sorted({path for path, _ in stale_outputs()})
    for path in changed:
        notebook = read(path)
        for cell in code_cells(notebook):
            for name in CALL.findall(cell.source):
                for output in cell.outputs:
                    output.data["text/html"] = live.show(name)._repr_html_()
        write_text(path, nbformat.writes(notebook, indent=1) + "\n")
    return changed


if __name__ == "__main__":
    for chapter in refresh_notebooks():
        print(f"{chapter.name}: the live figure's output is the new one")
