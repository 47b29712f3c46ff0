"""pytest plugin: what nbval and pytest lack for this book.

- Numbers are compared with a tolerance (`notebook_compare.py`).
- A cell that was never run fails; nbval would pass it.
- The Python code in the exercises' solutions runs too, in the chapter's kernel after its last cell.
- The last line of a run is a plain count, `N passed, N failed`.

`conftest.py` loads it, so it holds for `make test` and for `pytest chapters/01_anomalies.ipynb`.
"""

from __future__ import annotations

import atexit
import os
import re
from collections import defaultdict
from collections.abc import Iterator

import pytest
from nbformat.v4 import new_code_cell
from nbval.plugin import IPyNbCell, IPyNbFile

from notebook_compare import differences, tolerance_of, without_stderr

# TensorFlow's greetings on stderr differ between machines and would fail every first cell.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SOLUTION = re.compile(r"<details>.*?</details>", re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)

KEEP_HISTORY = {"store_history": True}
COUNTS = pytest.StashKey[str]()
collect_cells, start_kernel = IPyNbFile.collect, IPyNbFile.setup


def compare_outputs(self: IPyNbCell, test: list, ref: list, **_: object) -> bool:
    """Take the place of `IPyNbCell.compare_outputs`: `test` is computed, `ref` is committed."""
    tolerance = tolerance_of(self.cell, self.parent.nb.metadata)
    if "setup" in self.cell.metadata.get("tags", []):  # warnings while libraries load
        test, ref = without_stderr(test), without_stderr(ref)
    self.comparison_traceback = differences(ref, test, tolerance)
    return not self.comparison_traceback


def collect(self: IPyNbFile) -> Iterator[IPyNbCell]:
    """Take the place of `IPyNbFile.collect`: the cells, then the solutions' code."""
    cells = list(collect_cells(self))
    yield from cells
    prose = "\n\n".join(cell.source for cell in self.nb.cells if cell.cell_type == "markdown")
    for number, solution in enumerate(SOLUTION.findall(prose), start=1):
        if code := "\n".join(PYTHON.findall(solution)):
            yield IPyNbCell.from_parent(
                self,
                name=f"Solution {number}",
                cell_num=len(cells) + number - 1,
                cell=new_code_cell(code),
                options=defaultdict(bool),  # run it, compare nothing
            )


def setup(self: IPyNbFile) -> None:
    """Take the place of `IPyNbFile.setup`: run a cell as Jupyter does."""
    # With the backend that the unit tests choose, a kernel would show no figure.
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("MPLBACKEND", raising=False)
        start_kernel(self)
    # nbval keeps no history, and without it IPython shows what a `;` at the end of a cell hides.
    execute = self.kernel.kc.execute
    self.kernel.kc.execute = lambda *given, **named: execute(*given, **named | KEEP_HISTORY)


def pytest_configure() -> None:
    IPyNbCell.compare_outputs = compare_outputs
    IPyNbFile.collect = collect
    IPyNbFile.setup = setup


def pytest_runtest_setup(item: pytest.Item) -> None:
    never_run = isinstance(item, IPyNbCell) and item.cell.execution_count is None
    if never_run and item.cell.source.strip() and not item.name.startswith("Solution"):
        item.raise_cell_error("This cell was never run: run make execute")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    stats = {name: len(reports) for name, reports in terminalreporter.stats.items()}
    failed = stats.get("failed", 0) + stats.get("error", 0)
    line = f"{stats.get('passed', 0)} passed, {failed} failed"
    line += f", {stats['skipped']} skipped" if stats.get("skipped") else ""
    terminalreporter.config.stash[COUNTS] = line


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if line := config.stash.get(COUNTS, None):
        # At exit, since pytest then still hands on what it captured while loading conftest.py.
        atexit.register(print, line, flush=True)
