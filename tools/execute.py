"""Run chapters anew and write their outputs back: `make execute CHAPTER=04`.

What is written is stable: only what the chapter's code, and no run of it, decides. Outputs that
say the same as the old ones, within nbval's tolerance, are kept as they were, pictures included,
unless the chapter's code has changed since or `--fresh` is given. A chapter that fails, or is
interrupted, stays as it was.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import logging
import math
import os
import platform
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from notebook_compare import coalesce, differences, tolerance_of, without_stderr
from notebook_files import (
    LANGUAGE,
    PACKAGES,
    ROOT,
    code_cells,
    find,
    fingerprint,
    read,
    tags,
    write_text,
)

LONGEST = 90  # seconds that a chapter may take on two cores
RUN_TIME = re.compile(r"(\*\*Run time:\*\* under )\d+( s)")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
KERNEL_LOG = ROOT / ".work" / "kernel.log"  # what the kernel says of itself


class ChapterError(Exception):
    """A chapter that could not be executed; the text names its cell and the error."""


def run(notebook: NotebookNode, folder: Path) -> float:
    """Execute all cells in place, with a line for each; return the seconds it took.

    Cell by cell, since nbclient's own loop hides Ctrl-C.
    """
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources=resources, record_timing=False
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


def normalise(notebook: NotebookNode) -> None:
    """Take out what would change from run to run or machine to machine."""
    notebook.metadata |= {"kernelspec": dict(KERNEL), "language_info": dict(LANGUAGE)}
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


def execute(path: Path, fresh: bool) -> None:
    """Run one chapter and write it back."""
    old = read(path)
    new = copy.deepcopy(old)
    print(path.stem, flush=True)
    seconds = run(new, path.parent)
    if seconds > LONGEST:
        raise ChapterError(f"it took {seconds:.0f} s, and {LONGEST} s are allowed")

    normalise(new)
    code = fingerprint(new)
    same_code = old.metadata.get("executed") == code
    changed = keep_old_outputs(new, old) if same_code and not fresh else len(code_cells(new))
    new.metadata["executed"] = code
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    new.metadata["versions"] = {"python": platform.python_version()} | packages
    attach_result(new)
    record_run_time(new, seconds)
    text = nbformat.writes(new, indent=1) + "\n"
    if text == path.read_text(encoding="utf-8"):
        print(f"  {seconds:5.1f} s  done, nothing changed", flush=True)
    else:
        write_text(path, text)
        print(f"  {seconds:5.1f} s  written, with new outputs in {changed} cells", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="numbers, such as 04; all when none is given")
    parser.add_argument("--fresh", action="store_true", help="take every new output and figure")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    failed = 0
    for path in find(options.chapters):
        try:
            execute(path, options.fresh)
        except ChapterError as error:
            failed += 1
            print(f"{path.stem} failed and stays as it was: {error}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            # asyncio would report the abandoned cell, whose kernel is dead by now
            logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
            print(f"\nInterrupted: {path.stem} stays as it was.", file=sys.stderr)
            return 130
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
