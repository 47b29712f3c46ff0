"""Tables of numbers, booleans and categories as rows of floats, which a VAE can learn."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..checks import check_count
from ..frames import in_order, is_frame, names_of, pandas

TABLE_SUFFIXES = (".csv", ".parquet")
MISSING = "missing"  # the category of a missing value
NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "boolean")  # pandas' own words
TEXTS = ("string", "empty")
DATES = ("datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period")
FEWEST_NAMES = 10  # from so many rows on, values that are all different may be the rows' names
FINEST = 16  # steps of float32 that the standard deviation of a column must have


def read_table(table, name: str = "table"):
    """The DataFrame, read from a .csv or .parquet file if `table` is a path.

    Raises:
        ValueError: neither of them, a file that is not there, or one that cannot be read.
    """
    if is_frame(table):
        return table
    forms = "expected a DataFrame, or the path of a .csv or .parquet file"
    if not isinstance(table, (str, os.PathLike)):
        raise ValueError(f"{name} is a {type(table).__name__}; {forms}")
    path = Path(table)
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise ValueError(f"{name} is {str(path)!r}; {forms}")
    if not path.is_file():
        raise ValueError(f"{name} is {str(path)!r}, which is not there; {forms}")
    read = pandas().read_csv if path.suffix.lower() == ".csv" else pandas().read_parquet
    try:
        return read(path)
    except ImportError:  # no package that reads Parquet is installed
        raise
    except Exception as error:  # the readers fail in many ways
        raise ValueError(f"{path.name} cannot be read: {error}; {forms}") from error


class TableEncoder(TransformerMixin, BaseEstimator):
    """A DataFrame as a DataFrame of float32, with the same index.

    Numbers pass, since a `VAE(standardise=True)` brings them to one scale; booleans are 0 and 1. A
    missing number becomes the median, and a column `age=missing` says where, if any was missing in
    `fit`. A column of text or of pandas' dtype "category" becomes one column of 0 and 1 for each of
    its categories, `colour=red`; a missing one is the category `colour=missing`.

    What no row of `fit` had is unusual. An unseen category, or a missing one where none was, is
    sqrt(n) in a column `colour=other`, which is 0 in all n rows of `fit`: what this column would be
    after standardisation if one row in n had it. A missing number, where none was, stands sqrt(n)
    standard deviations above the mean: farther out than any of n values can.

    Args:
        max_categories: the most that a column may have. More than these, or texts that are all
            different, are taken for names.

    Attributes (after `fit`):
        ``sources_``: for each column of the result, the one that it is made from.

    Raises:
        ValueError: no row or no column; two columns of one name; a column without a value, or one
            of dates, lists, infinities, text among numbers, numbers as text, names, or values that
            float32 cannot hold or distinguish. In `transform`: a new column or one that is missing
            (another order is put right, by name), text where `fit` had numbers, an array.
    """

    def __init__(self, max_categories: int = 50):
        self.max_categories = max_categories

    def fit(self, X, y=None) -> TableEncoder:
        """Learn names, medians and categories from the rows of a DataFrame; y is ignored."""
        check_count("max_categories", self.max_categories)
        _check_frame(X)
        names = names_of(X)
        if X.shape[1] == 0 or len(X) == 0:
            raise ValueError(f"table has {len(X)} rows and {X.shape[1]} columns; expected some")
        kinds = {name: _kind_of(X.iloc[:, i], name) for i, name in enumerate(names)}
        table = _read(X, kinds)
        for i, name in enumerate(names):
            _check_column(X.iloc[:, i], table[name], name, kinds[name], self.max_categories)
        numbers = [name for name in names if kinds[name] == "number"]
        self._learn(
            {
                "columns": list(names),
                "rows": len(table),
                "medians": {name: float(table[name].median()) for name in numbers},
                "had_missing": [name for name in numbers if table[name].isna().any()],
                "categories": {
                    name: sorted(table[name].unique()) for name in names if name not in numbers
                },
            }
        )
        values = self._filled(table)
        deviations = np.where(np.ptp(values, axis=0) == 0, 1, values.std(axis=0))
        self._state["far"] = (values.mean(axis=0) + math.sqrt(len(X)) * deviations).tolist()
        return self

    def transform(self, X):
        """The DataFrame of float32 for rows as those of `fit`."""
        check_is_fitted(self)
        _check_frame(X)
        state, columns = self._state, self._state["columns"]
        kinds = {name: "number" if name in state["medians"] else "category" for name in columns}
        table = _read(in_order(X, columns), kinds)
        values = self._filled(table)
        for i, name in enumerate(state["medians"]):
            if name not in state["had_missing"]:
                values[table[name].isna(), i] = state["far"][i]
        known, far = state["categories"], math.sqrt(state["rows"])
        parts = [table[name].isna() for name in state["had_missing"]]
        parts += [table[name] == category for name in known for category in known[name]]
        parts += [far * ~table[name].isin(known[name]) for name in known]
        return pandas().DataFrame(
            np.column_stack([values, *parts]).astype("float32"),
            index=X.index,
            columns=self.get_feature_names_out(),
        )

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of the result."""
        check_is_fitted(self)
        return self._names.copy()

    def state(self) -> dict:
        """What `fit` has learned, as values that JSON has."""
        check_is_fitted(self)
        return {"max_categories": int(self.max_categories), **self._state}

    @classmethod
    def from_state(cls, state: dict) -> TableEncoder:
        """The encoder whose `state` this is."""
        new = cls(state["max_categories"])
        new._learn({key: value for key, value in state.items() if key != "max_categories"})
        return new

    def _learn(self, state: dict) -> None:
        """Take over medians and categories, and name the columns that they make."""
        self._state, known = state, state["categories"]
        pairs = [(name, name) for name in state["medians"]]
        pairs += [(f"{name}={MISSING}", name) for name in state["had_missing"]]
        pairs += [(f"{name}={value}", name) for name in known for value in known[name]]
        pairs += [(f"{name}=other", name) for name in known]
        names, sources = zip(*pairs, strict=True)
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"table makes the column {twice[0]!r} twice; expected other names")
        self._names, self.sources_ = np.array(names, dtype=object), np.array(sources, dtype=object)
        self.feature_names_in_ = np.array(state["columns"], dtype=object)
        self.n_features_in_ = len(state["columns"])

    def _filled(self, table) -> np.ndarray:
        """The numbers (n, numbers) of a table as `_read` gives it, medians in place of NaN."""
        medians = self._state["medians"]
        return table[list(medians)].fillna(medians).to_numpy("float64").copy()


def _read(frame, kinds: dict[str, str]):
    columns = {
        name: read_column(frame.iloc[:, i], name, kind)
        for i, (name, kind) in enumerate(kinds.items())
    }
    return pandas().DataFrame(columns, index=range(len(frame)))


def _check_frame(table) -> None:
    if not is_frame(table):
        given = f"table is a {type(table).__name__}"
        raise ValueError(f"{given}; expected a pandas DataFrame, whose columns have names")


# One column, a pandas Series


def _kind_of(column, name: str) -> str:
    """ "number" or "category". A ValueError for any other column."""
    types = pandas().api.types
    if isinstance(column.dtype, pandas().CategoricalDtype):
        return "category"
    if types.is_bool_dtype(column.dtype) or getattr(column.dtype, "kind", "O") in "iuf":
        return "number"
    kind = types.infer_dtype(column, skipna=True)
    if kind in NUMBERS:
        return "number"
    if kind in TEXTS:
        return "category"
    if kind in DATES:
        raise _dates_error(name, kind)
    is_text = column.map(lambda cell: isinstance(cell, str))
    if kind in ("mixed-integer", "mixed") and is_text.any():
        problem = f"has text among other values: {_first(column, is_text)}"
        raise ValueError(f"column {name!r} {problem}; expected only numbers, or only text")
    problem = f"holds {kind} values such as {_first(column, column.notna())}"
    raise ValueError(f"column {name!r} {problem}; expected numbers, booleans or categories")


def read_column(column, name: str, kind: str):
    """The column as float64 with NaN ("number"), or as text with `MISSING`; its index is 0, 1, ...

    Raises:
        ValueError: dates, lists, text among numbers or instead of them, infinite values, and what
            float32 cannot hold.
    """
    own_kind = _kind_of(column, name)
    if kind == "category":
        cells = zip(column, column.isna(), strict=True)
        texts = [MISSING if absent else _text(cell) for cell, absent in cells]
        return pandas().Series(texts, dtype=object)
    if own_kind == "category" and column.notna().any():
        cell = _first(column, column.notna())
        raise ValueError(f"column {name!r} has text where numbers were: {cell}; expected numbers")
    values = pandas().Series(column.to_numpy("float64", na_value=np.nan))
    for wrong, what in (
        (np.isinf(values), "an infinite value"),
        (values.abs() > np.finfo("float32").max, "a value that float32 cannot hold"),
    ):
        if wrong.any():
            problem = f"column {name!r} has {what}: {_first(column, wrong)}"
            raise ValueError(f"{problem}; expected finite numbers, or missing ones")
    return values


def check_numbers(values, name: str) -> None:
    """Numbers, as `read_column` gives them, must differ by more than float32 rounds them."""
    step = np.spacing(np.float32(values.abs().max()))
    if values.min() < values.max() and values.std(ddof=0) < FINEST * step:
        problem = f"column {name!r} has values near {values.mean():.10g} that differ by little"
        raise ValueError(f"{problem}, which float32 rounds away; expected them less their mean")


def check_is_no_row_number(column, name: str) -> None:
    """Whole numbers, each once and without a gap, say where a row stood and nothing about it."""
    if pandas().api.types.is_integer_dtype(column.dtype) and column.notna().all():
        low, high, n = column.min(), column.max(), len(column)
        if n >= FEWEST_NAMES and high - low == n - 1 and column.is_unique:
            problem = f"column {name!r} numbers the rows, {low} to {high}, each once"
            raise ValueError(f"{problem}; expected a measurement: leave it out (drop)")


def _check_column(column, values, name: str, kind: str, max_categories: int) -> None:
    """Something must be learned from it: `values` are those of `read_column`."""
    if column.isna().all():
        raise ValueError(f"column {name!r} has no value in {len(column)} rows; expected some")
    if kind == "number":
        check_numbers(values, name)
        return
    if not isinstance(column.dtype, pandas().CategoricalDtype):
        _check_texts(column, name)
    n, different = len(values), values.nunique()
    if different > max_categories or different == n >= FEWEST_NAMES:
        expected = f"expected at most {max_categories} (max_categories), and some of them twice"
        raise ValueError(
            f"column {name!r} has {different} different texts in {n} rows; {expected}: leave names "
            "and free text out (drop)"
        )


def _check_texts(column, name: str) -> None:
    """Text, unless its dtype is "category", must be neither numbers nor dates."""
    different = pandas().Series(column.dropna().unique())
    numbers = pandas().to_numeric(different, errors="coerce").notna()
    if 2 * numbers.sum() > len(different):
        problem = f"column {name!r} has numbers as text, such as {different[numbers].iloc[0]!r}"
        if not numbers.all():
            problem += f", beside {different[~numbers].iloc[0]!r}"
        expected = "expected numbers (pandas.to_numeric), or the dtype 'category' if it is meant"
        raise ValueError(f"{problem}; {expected}")
    if pandas().to_datetime(different, errors="coerce", format="ISO8601", utc=True).notna().all():
        raise _dates_error(name, f"dates such as {different.iloc[0]!r}")


def _text(value: object) -> str:
    """A category by its name: 1 and 1.0 are "1"."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _first(column, which) -> str:
    """The first of these cells, and its row, for a message."""
    at = int(np.flatnonzero(which)[0])
    cell = column.iloc[at]
    cell = cell.item() if isinstance(cell, np.generic) else cell
    return f"{cell!r} in row {column.index[at]}"


def _dates_error(name: str, dates: str) -> ValueError:
    expected = "expected numbers, such as the hour, the weekday or the days since something"
    return ValueError(f"column {name!r} holds {dates}; {expected}, or leave it out (drop, or time)")
