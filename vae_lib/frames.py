"""DataFrames: columns are known by their names, whatever their order. pandas is imported late."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np

SHOWN = 5  # names in a message


def pandas() -> ModuleType:
    """pandas, which only tables with names need."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("tables with names need pandas: pip install pandas") from error
    return pandas


def is_frame(x: object) -> bool:
    """Whether x is a pandas DataFrame."""
    return hasattr(x, "columns") and hasattr(x, "iloc")


def names_of(frame, name: str = "table") -> tuple[str, ...]:
    """The columns' names; numbers become their digits. Each must be there once, on one level."""
    if getattr(frame.columns, "nlevels", 1) > 1:
        raise ValueError(f"{name} has columns of {frame.columns.nlevels} levels; expected one")
    names = tuple(map(str, frame.columns))
    if twice := sorted({column for column in names if names.count(column) > 1}):
        raise ValueError(
            f"{name} has two columns or more of the name {listed(twice)}; expected one"
        )
    return names


def in_order(frame, columns: Sequence[str], name: str = "table"):
    """The frame with these columns in this order; a ValueError for one more or one less."""
    names = names_of(frame, name)
    lacking = [column for column in columns if column not in names]
    foreign = [column for column in names if column not in columns]
    if lacking or foreign:
        parts = (("lacks the columns", lacking), ("has new columns", foreign))
        problem = " and ".join(f"{verb} {listed(which)}" for verb, which in parts if which)
        raise ValueError(f"{name} {problem}; expected {listed(columns)}")
    if names == tuple(columns):
        return frame
    return frame.iloc[:, [names.index(column) for column in columns]]


def as_floats(frame, name: str = "table") -> np.ndarray:
    """The values (n, columns) of a frame of finite numbers and booleans."""
    for column, kind in zip(names_of(frame, name), frame.dtypes, strict=True):
        if getattr(kind, "kind", "O") not in "fiub":
            problem = f"{name} has a column {column!r} of dtype {kind}"
            raise ValueError(f"{problem}; expected numbers or booleans (see data.TableEncoder)")
    values = frame.to_numpy("float64", na_value=np.nan)
    for row, column in np.argwhere(~np.isfinite(values)):
        cell = f"{values[row, column]} in column {str(frame.columns[column])!r}"
        problem = f"{name} has {cell}, row {frame.index[row]}"
        raise ValueError(f"{problem}; expected finite numbers (see data.TableEncoder)")
    return values


def columns_of(x) -> tuple[str, ...] | None:
    """The names of a frame's columns, if x is a frame and they are names."""
    named = is_frame(x) and all(isinstance(column, str) for column in x.columns)
    return names_of(x) if named else None


def plain(x, columns: Sequence[str] | None, name: str = "table"):
    """What x holds: of a frame an array, its columns by name where `columns` are known."""
    if not is_frame(x):
        return x
    return as_floats(x if columns is None else in_order(x, columns, name), name)


def listed(names: Sequence[str]) -> str:
    """Names for a message, the first few of many."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, list(names)[:SHOWN])) + more
