"""Tables of numbers, booleans and categories as rows of floats, which a VAE can learn."""

from __future__ import annotations

import math

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_is_fitted

from ..checks import check_count
from ..frames import in_order, is_frame, names_of, pandas
from .cells import MISSING, check_categories, check_numbers, check_texts, kind_of, read


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
            different, are names and not categories.

    Attributes (after `fit`):
        ``sources_``: for each column that comes out, the one that it comes from.

    Raises:
        ValueError: no row or no column; two columns of one name; a column that is all missing, or
            that holds dates, lists, infinities, text among numbers, numbers as text, names, or
            values that float32 cannot hold or tell apart. In `transform`: a new column or one that
            is gone (another order is put right, by name), text where `fit` had numbers, an array.
    """

    def __init__(self, max_categories: int = 50):
        self.max_categories = max_categories

    def fit(self, X, y=None) -> TableEncoder:
        """Learn names, medians and categories from the rows of a DataFrame. y is not looked at."""
        check_count("max_categories", self.max_categories)
        _check_frame(X)
        names = names_of(X)
        if X.shape[1] == 0 or len(X) == 0:
            raise ValueError(f"table has {len(X)} rows and {X.shape[1]} columns; expected some")
        kinds = {name: kind_of(X.iloc[:, i], name) for i, name in enumerate(names)}
        table = _read(X, kinds)
        for i, name in enumerate(names):
            self._check_column(X.iloc[:, i], table[name], name, kinds[name])
        self.feature_names_in_ = np.array(names, dtype=object)
        self.n_features_in_ = len(names)
        self._learn(table, kinds, len(table))
        rows = self._parts.transform(table)[:, : len(self._of_kind("number"))]
        deviations = rows.std(axis=0)
        deviations[deviations == 0] = 1
        self.far_ = rows.mean(axis=0) + math.sqrt(len(rows)) * deviations
        return self

    def transform(self, X):
        """The DataFrame of float32 for rows as those of `fit`."""
        check_is_fitted(self)
        _check_frame(X)
        table = _read(in_order(X, self.feature_names_in_), self.kinds_)
        rows = self._parts.transform(table)
        for i, name in enumerate(self._of_kind("number")):
            if not self.had_missing_[name]:
                rows[table[name].isna(), i] = self.far_[i]
        other = [~table[name].isin(found) for name, found in self.categories_.items()]
        rows = np.column_stack([rows, *(math.sqrt(self.n_rows_) * column for column in other)])
        names = self.get_feature_names_out()
        return pandas().DataFrame(rows.astype("float32"), index=X.index, columns=names)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns that come out."""
        check_is_fitted(self)
        return self._names.copy()

    def state(self) -> dict:
        """All that `fit` has learned, as JSON knows it."""
        check_is_fitted(self)
        numbers = self._of_kind("number")
        medians = self._parts.named_transformers_["numbers"].statistics_ if numbers else []
        return {
            "max_categories": int(self.max_categories),
            "rows": self.n_rows_,
            "columns": self.feature_names_in_.tolist(),
            "medians": dict(zip(numbers, map(float, medians), strict=True)),
            "had_missing": [name for name in numbers if self.had_missing_[name]],
            "far": self.far_.tolist(),
            "categories": self.categories_,
        }

    @classmethod
    def from_state(cls, state: dict) -> TableEncoder:
        """The encoder whose `state` this is; it learns from a small table that teaches as much."""
        new = cls(state["max_categories"])
        categories, medians = state["categories"], state["medians"]
        kinds = {name: "number" if name in medians else "category" for name in state["columns"]}
        length = max([2, *map(len, categories.values())])
        table = {name: np.full(length, median) for name, median in medians.items()}
        for name in state["had_missing"]:
            table[name][0] = np.nan
        table |= {name: np.resize(np.array(c, object), length) for name, c in categories.items()}
        new.feature_names_in_ = np.array(state["columns"], dtype=object)
        new.n_features_in_ = len(state["columns"])
        new._learn(pandas().DataFrame(table)[state["columns"]], kinds, state["rows"])
        new.far_ = np.array(state["far"])
        return new

    def _learn(self, table, kinds: dict[str, str], rows: int) -> None:
        """Medians and categories from a table that was read."""
        self.kinds_, self.n_rows_ = kinds, rows
        numbers, categories = self._of_kind("number"), self._of_kind("category")
        self.had_missing_ = {name: bool(table[name].isna().any()) for name in numbers}
        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype="float64")
        parts = [
            ("numbers", SimpleImputer(strategy="median", add_indicator=True), numbers),
            ("categories", one_hot, categories),
        ]
        self._parts = ColumnTransformer([part for part in parts if part[2]])
        self._parts.set_output(transform="default").fit(table)
        found = self._parts.named_transformers_["categories"].categories_ if categories else []
        self.categories_ = {n: some.tolist() for n, some in zip(categories, found, strict=True)}
        pairs = [(name, name) for name in numbers]
        pairs += [(f"{name}={MISSING}", name) for name in numbers if self.had_missing_[name]]
        pairs += [(f"{n}={value}", n) for n, some in self.categories_.items() for value in some]
        pairs += [(f"{name}=other", name) for name in categories]
        names, sources = zip(*pairs, strict=True)
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"table makes the column {twice[0]!r} twice; expected other names")
        self._names, self.sources_ = np.array(names, dtype=object), np.array(sources, dtype=object)

    def _of_kind(self, kind: str) -> list[str]:
        return [name for name, found in self.kinds_.items() if found == kind]

    def _check_column(self, column, values, name: str, kind: str) -> None:
        """Raise a ValueError for what nothing can be learned from."""
        if column.isna().all():
            raise ValueError(f"column {name!r} has no value in {len(column)} rows; expected some")
        if kind == "number":
            check_numbers(values, name)
        else:
            if not isinstance(column.dtype, pandas().CategoricalDtype):
                check_texts(column, name)
            check_categories(values, name, self.max_categories)


def _read(frame, kinds: dict[str, str]):
    columns = {
        name: read(frame.iloc[:, i], name, kind) for i, (name, kind) in enumerate(kinds.items())
    }
    return pandas().DataFrame(columns, index=range(len(frame)))


def _check_frame(table) -> None:
    if not is_frame(table):
        found = f"table is a {type(table).__name__}"
        raise ValueError(f"{found}; expected a pandas DataFrame, whose columns have names")
