"""A table from a file: CSV with commas and a line of names, or Parquet."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..frames import is_frame, pandas

SUFFIXES = (".csv", ".parquet")
FORMS = "a DataFrame, or the name of a .csv or .parquet file"


def table_of(table):
    """The DataFrame, read from its file if need be.

    Raises a ValueError for what is neither, and for a file that cannot be read as a table.
    """
    if is_frame(table):
        return table
    if not isinstance(table, (str, os.PathLike)):
        raise ValueError(f"table is a {type(table).__name__}; expected {FORMS}")
    path = Path(table)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"table is {str(path)!r}; expected {FORMS}")
    if not path.is_file():
        raise ValueError(f"table is {str(path)!r}, which is not there; expected {FORMS}")
    is_csv = path.suffix.lower() == ".csv"
    read = pandas().read_csv if is_csv else pandas().read_parquet
    try:
        if is_csv:  # refuses a second line that is longer, which would shift the columns
            _check_header(read(path, header=None, nrows=2, dtype=str).iloc[0])
        return read(path)
    except ImportError:  # nothing that reads Parquet is installed
        raise
    except Exception as error:  # the readers fail in many ways
        raise ValueError(f"{path.name} cannot be read: {error}; expected {FORMS}") from error


def _check_header(names) -> None:
    """What pandas changes without a word: names that are missing, or there twice."""
    if names.isna().any():
        column = int(np.flatnonzero(names.isna())[0]) + 1
        raise ValueError(f"column {column} has no name (is it an index that was saved?)")
    if names.duplicated().any():
        raise ValueError(f"two columns have the name {names[names.duplicated()].iloc[0]!r}")
    if len(names) == 1 and any(mark in names.iloc[0] for mark in ";\t"):
        raise ValueError(f"its one column is {names.iloc[0]!r}: give pandas.read_csv its sep=…")
