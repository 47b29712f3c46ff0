"""Run all cells of a chapter, a line for each; Ctrl-C ends it, which nbclient hides in its loop."""

from __future__ import annotations

import time
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from notebook_files import ROOT, code_cells

KERNEL_LOG = ROOT / ".work" / "kernel.log"  # what the kernel says of itself


class ChapterError(Exception):
    """A chapter that could not be executed; the text names its cell and the error."""


def run(notebook: NotebookNode, folder: Path) -> float:
    """Execute all cells in place; return the seconds it took."""
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
    )
    KERNEL_LOG.parent.mkdir(exist_ok=True)
    cells = code_cells(notebook)
    start = time.perf_counter()
    with KERNEL_LOG.open("w") as log, client.setup_kernel(stderr=log):
        for count, cell in enumerate(cells, start=1):
            first_line = cell.source.strip().splitlines()[0][:60]
            seconds = time.perf_counter() - start
            print(f"  {seconds:5.1f} s  cell {count}/{len(cells)}  {first_line}", flush=True)
            index = next(i for i, other in enumerate(notebook.cells) if other is cell)
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as error:
                raise ChapterError(f"cell {count}: {error.ename}: {error.evalue}") from error
            except (CellTimeoutError, DeadKernelError) as error:
                raise ChapterError(f"cell {count}: {str(error).splitlines()[0]}") from error
    return time.perf_counter() - start
