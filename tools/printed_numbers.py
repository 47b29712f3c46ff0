"""Numbers in what a chapter prints, and how far each may move: nbval compares letters.

- Decimal numbers may differ by `atol + rtol * |committed|`; numbers printed as integers may not
  differ at all, unless the cell has a tag `int-atol=…`.
- A number glued to letters (`28x28`, `mnist-5k`, `z1`) or part of a version (`2.21.0`) is text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

NUMBER = re.compile(
    r"(?<![\w.])[-+−]?"  # the sign belongs to the number, but not in "a-5" or "1-5"
    r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)"
    r"(?!\w|\.\d|,\d{3}\b)"
)
DECIMAL = re.compile(r"\.\d|[eE]|nan|inf")  # "10." ends a sentence as often as it is a float


@dataclass(frozen=True)
class Tolerance:
    """How far a number may move; `CONTRIBUTING.md` says how the defaults were chosen."""

    rtol: float = 1e-3
    atol: float = 1e-3
    int_atol: float = 0.0

    def allowed(self, committed: str, computed: str) -> float:
        """The largest accepted difference between two numbers as they are printed."""
        if DECIMAL.search(committed) or DECIMAL.search(computed):
            return self.atol + self.rtol * abs(value(committed))
        return self.int_atol


def tolerance_of(cell: Mapping, notebook: Mapping) -> Tolerance:
    """The cell's tags (`rtol=0.05`), else the notebook's metadata `tolerance`, else defaults."""
    chosen = {key: float(value) for key, value in notebook.get("tolerance", {}).items()}
    for tag in cell.get("metadata", {}).get("tags", []):
        name, equals, value = tag.partition("=")
        if equals:
            chosen[name.strip().replace("-", "_")] = float(value)
    if unknown := chosen.keys() - {"rtol", "atol", "int_atol"}:
        raise ValueError(f"unknown tolerance {sorted(unknown)}: expected rtol, atol or int-atol")
    return replace(Tolerance(), **chosen)


def numbers(text: str) -> list[str]:
    """The numbers of a text, as they are printed."""
    return NUMBER.findall(text)


def value(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-"))
