"""One column of a table: whether it holds numbers or categories, and its values as such."""

from __future__ import annotations

import numpy as np

from ..frames import pandas

MISSING = "missing"  # the category of a missing value
NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "boolean")  # pandas' own words
TEXTS = ("string", "empty")
DATES = ("datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period")
FEWEST_NAMES = 10  # rows, from which on what is all different may be a row's name
FINEST = 16  # steps of float32 that the deviation of a column must have


def kind_of(column, name: str) -> str:
    """ "number" or "category". A ValueError for anything else in a column (a pandas Series)."""
    types = pandas().api.types
    if isinstance(column.dtype, pandas().CategoricalDtype):
        return "category"
    if types.is_bool_dtype(column.dtype) or getattr(column.dtype, "kind", "O") in "iuf":
        return "number"
    found = types.infer_dtype(column, skipna=True)
    if found in NUMBERS:
        return "number"
    if found in TEXTS:
        return "category"
    if found in DATES:
        raise _of_dates(name, found)
    is_text = column.map(lambda cell: isinstance(cell, str))
    if found in ("mixed-integer", "mixed") and is_text.any():
        told = f"column {name!r} has text among other values: {_shown(column, is_text)}"
        raise ValueError(f"{told}; expected numbers alone, or text alone")
    told = f"column {name!r} holds {found} values such as {_shown(column, column.notna())}"
    raise ValueError(f"{told}; expected numbers, booleans or categories")


def read(column, name: str, kind: str):
    """The column as float64 with NaN, or as text with `MISSING`; its index counts from 0."""
    found = kind_of(column, name)
    if kind == "category":
        return _texts(column)
    if found == "category" and column.notna().any():
        told = f"column {name!r} has text where numbers were: {_shown(column, column.notna())}"
        raise ValueError(f"{told}; expected numbers")
    values = pandas().Series(column.to_numpy("float64", na_value=np.nan))
    for wrong, told in (
        (np.isinf(values), "an infinite value"),
        (values.abs() > np.finfo("float32").max, "a value that float32 cannot hold"),
    ):
        if wrong.any():
            found = f"column {name!r} has {told}: {_shown(column, wrong)}"
            raise ValueError(f"{found}; expected finite numbers, or missing ones")
    return values


def check_numbers(values, name: str) -> None:
    """The numbers, as `read` gives them, must differ by more than float32 rounds them."""
    step = np.spacing(np.float32(values.abs().max()))
    if 0 < values.std(ddof=0) < FINEST * step:
        told = f"column {name!r} has values near {values.mean():.10g} that differ by little"
        raise ValueError(f"{told}, which float32 rounds away; expected them less their mean")


def check_is_no_row_number(column, name: str) -> None:
    """Whole numbers, each once and without a gap, tell where a row stood and nothing about it."""
    if pandas().api.types.is_integer_dtype(column.dtype) and column.notna().all():
        low, high, n = column.min(), column.max(), len(column)
        if n >= FEWEST_NAMES and high - low == n - 1 and column.is_unique:
            told = f"column {name!r} numbers the rows, {low} to {high}, each once"
            raise ValueError(f"{told}; expected a measurement: leave it out (drop)")


def check_categories(texts, name: str, most: int) -> None:
    """The texts, as `read` gives them, must be categories and not names."""
    n, different = len(texts), texts.nunique()
    if different > most or different == n >= FEWEST_NAMES:
        told = f"column {name!r} has {different} different texts in {n} rows"
        expected = f"expected at most {most} (max_categories), and some of them twice"
        raise ValueError(f"{told}; {expected}: leave names and free text out (drop)")


def check_texts(column, name: str) -> None:
    """A column of text, and not of the dtype "category", must hold neither numbers nor dates."""
    different = pandas().Series(column.dropna().unique())
    numbers = pandas().to_numeric(different, errors="coerce").notna()
    if 2 * numbers.sum() > len(different):
        told = f"column {name!r} has numbers as text, such as {different[numbers].iloc[0]!r}"
        if not numbers.all():
            told += f", beside {different[~numbers].iloc[0]!r}"
        expected = "expected numbers (pandas.to_numeric), or the dtype 'category' if it is meant"
        raise ValueError(f"{told}; {expected}")
    if pandas().to_datetime(different, errors="coerce", format="ISO8601", utc=True).notna().all():
        raise _of_dates(name, f"dates such as {different.iloc[0]!r}")


def _texts(column):
    """Categories by their names: 1 and 1.0 are "1"."""
    cells = zip(column, column.isna(), strict=True)
    texts = [MISSING if absent else _text(cell) for cell, absent in cells]
    return pandas().Series(texts, dtype=object)


def _text(value: object) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _shown(column, which) -> str:
    """The first of these cells, and its row, for a message."""
    at = int(np.flatnonzero(which)[0])
    cell = column.iloc[at]
    cell = cell.item() if isinstance(cell, np.generic) else cell
    return f"{cell!r} in row {column.index[at]}"


def _of_dates(name: str, found: str) -> ValueError:
    expected = "expected numbers, such as the hour, the weekday or the days since something"
    return ValueError(f"column {name!r} holds {found}; {expected}, or leave it out (drop, or time)")
