"""How items become arrays and shares become frames: columns are known by their names."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import saving, series
from ..batches import Form
from ..checks import plain_array
from ..data import TableEncoder
from ..data.tables import FINEST
from ..frames import is_frame, listed, pandas, plain

ENCODER = saving.object_of(
    max_categories=saving.COUNT,
    rows=saving.SIZE,
    columns=saving.NAMES,
    medians={"type": "object", "additionalProperties": {"type": "number"}},
    had_missing=saving.NAMES,
    far={"type": "array", "items": {"type": "number"}},
    categories={"type": "object", "additionalProperties": saving.NAMES},
)
SCHEMA = saving.object_of(names=saving.maybe(saving.NAMES), encoder=saving.maybe(ENCODER))


class Inputs(NamedTuple):
    """What a detector knows of its items.

    `names` are those of the columns of a table, or of a series' channels; `encoder` makes floats of
    a table with categories and missing values. Without both, items are arrays, or frames of numbers
    in an order that nobody knows.
    """

    names: tuple[str, ...] | None = None
    encoder: TableEncoder | None = None

    def plain(self, items, form: Form):
        """The items as the model takes them: an array, or batches.

        Of a window's detector a frame of points is all of its windows, from the first on. Raises a
        ValueError for columns that are missing, new or of another kind, and for an array in the
        place of a table whose columns have names.
        """
        if is_frame(items):
            if self.encoder is not None:
                return self.encoder.transform(items).to_numpy()
            points = plain(items, self.names, form.name)
            windows = len(form.data_shape) == 2
            return series.windows(points, form.data_shape[0]).values if windows else points
        if self.names is not None and len(form.data_shape) == 1 and hasattr(items, "shape"):
            expected = f"expected a DataFrame with the columns {listed(self.names)}"
            raise ValueError(f"{form.name} is a {type(items).__name__} without names; {expected}")
        return items

    def sources(self, n: int) -> np.ndarray:
        """The column (n,) that each of a row's n numbers comes from."""
        if self.encoder is not None:
            return self.encoder.sources_
        names = [f"x{i}" for i in range(n)] if self.names is None else self.names
        return np.array(names, dtype=object)

    def framed(self, shares: np.ndarray, frame):
        """Shares of a frame's rows (n, columns), or of its windows, by its index and columns."""
        names = list(self.names or frame.columns)
        if shares.ndim == 3:
            shares = series.overlap_mean(shares, len(frame))
            return pandas().DataFrame(shares, frame.index, names)
        sources = list(dict.fromkeys(self.sources(shares.shape[1]))) if self.encoder else names
        return pandas().DataFrame(shares, frame.index, sources)[names]

    def state(self) -> dict:
        """Names, and what the encoder has learned."""
        names = None if self.names is None else list(self.names)
        return {"names": names, "encoder": None if self.encoder is None else self.encoder.state()}

    @classmethod
    def from_state(cls, state: dict, data_shape: tuple[int, ...]) -> Inputs:
        """The inputs of this state. Raises a ValueError where they do not fit the model's data."""
        names, encoder = state["names"], state["encoder"]
        encoder = None if encoder is None else TableEncoder.from_state(encoder)
        columns = len(names or ()) if encoder is None else len(encoder.sources_)
        if (names or encoder) and (columns != data_shape[-1] or len(data_shape) == 3):
            raise ValueError(f"it has {columns} columns for data of shape {data_shape}")
        return cls(None if names is None else tuple(names), encoder)


def as_numbers(items, name: str):
    """Items to train on: a frame as it is, or an array, whose rows of integers become floats.

    Columns must differ by more than float32 rounds them, or scores would be blind to them.
    """
    if is_frame(items):
        return items
    array = plain_array(items, name)
    if array.ndim == 2 and array.dtype.kind in "iub":
        array = array.astype("float64")
    if array.ndim == 2 and array.dtype.kind == "f" and len(array) and np.isfinite(array).all():
        steps = np.spacing(np.abs(array).max(axis=0).astype("float32"))
        deviations = array.std(axis=0)
        fine = np.flatnonzero((deviations > 0) & (deviations < FINEST * steps))
        if len(fine):
            values = f"values near {array[:, fine[0]].mean():.10g} that differ by little"
            expected = "expected them less their mean, since float32 rounds the differences away"
            raise ValueError(f"{name} has in column {fine[0]} {values}; {expected}")
    return array
