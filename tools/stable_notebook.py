"""What `execute.py` writes back: only what the chapter's code, and no run of it, decides."""

from __future__ import annotations

import math
import re

import nbformat
from nbformat import NotebookNode

from notebook_compare import differences
from notebook_files import LANGUAGE, code_cells, tags
from output_texts import coalesce, without_stderr
from printed_numbers import tolerance_of

LONGEST = 90  # seconds that a chapter may take on two cores
RUN_TIME = re.compile(r"(\*\*Run time:\*\* under )\d+( s)")


def normalise(notebook: NotebookNode) -> None:
    """Take out what would change from run to run or machine to machine."""
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = dict(LANGUAGE)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for key in ("execution", "collapsed", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            outputs = without_stderr(cell.outputs) if "setup" in tags(cell) else cell.outputs
            cell.outputs = [nbformat.from_dict(output) for output in coalesce(outputs)]


def keep_old_outputs(notebook: NotebookNode, old: NotebookNode) -> int:
    """Put the old outputs back where they agree with the new; return how many cells differ."""
    changed = 0
    for cell, before in zip(code_cells(notebook), code_cells(old), strict=True):
        tolerance = tolerance_of(before, old.metadata)
        if differences(before.outputs, cell.outputs, tolerance):
            changed += 1
        else:
            cell.outputs = before.outputs
    return changed


def attach_result(notebook: NotebookNode) -> None:
    """Show the figure of the cell tagged `result` where the opening asks for it."""
    for opening in notebook.cells:
        if opening.cell_type == "markdown" and "(attachment:result.png)" in opening.source:
            (figure,) = (
                output.data["image/png"]
                for cell in code_cells(notebook)
                for output in cell.outputs
                if "result" in tags(cell) and "image/png" in output.get("data", {})
            )
            opening["attachments"] = {"result.png": {"image/png": figure}}


def record_run_time(notebook: NotebookNode, seconds: float) -> None:
    """State the run time with room to spare; restate it only when it has become wrong."""
    stated = notebook.metadata.get("run_seconds", 0)
    if seconds > stated or seconds < stated / 3:
        stated = min(LONGEST, 10 * math.ceil(seconds * 1.25 / 10))
    notebook.metadata["run_seconds"] = stated
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = RUN_TIME.sub(rf"\g<1>{stated}\g<2>", cell.source)
