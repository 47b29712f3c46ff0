"""pytest plugin: nbval compares numbers with a tolerance, and never passes a cell that was not run.

`conftest.py` loads it, so it holds for `make test` and for `pytest chapters/01_anomalies.ipynb`.
"""

from __future__ import annotations

import os

import pytest
from nbval.plugin import IPyNbCell

from notebook_compare import differences, tolerance_of, without_stderr

# TensorFlow's greetings on stderr differ between machines and would fail every first cell.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def compare_outputs(self: IPyNbCell, test: list, ref: list, **_: object) -> bool:
    """Take the place of `IPyNbCell.compare_outputs`: `test` is computed, `ref` is committed."""
    tolerance = tolerance_of(self.cell, self.parent.nb.metadata)
    if "setup" in self.cell.metadata.get("tags", []):  # warnings while libraries load
        test, ref = without_stderr(test), without_stderr(ref)
    self.comparison_traceback = differences(ref, test, tolerance)
    return not self.comparison_traceback


def pytest_configure() -> None:
    IPyNbCell.compare_outputs = compare_outputs


def pytest_runtest_setup(item: pytest.Item) -> None:
    """nbval passes a code cell that has no execution count; here it fails."""
    if isinstance(item, IPyNbCell) and item.cell.source.strip() and not item.cell.execution_count:
        item.raise_cell_error("The committed notebook has this cell unexecuted: run make execute")
