"""A table from a file or a DataFrame, in four parts: anomalies are in the last two alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit

from ..checks import check_seed
from ..frames import in_order, listed, names_of, pandas
from .cells import check_is_no_row_number
from .splits import Labelled, Split
from .table_files import table_of
from .tables import TableEncoder


def from_table(
    table,
    anomaly: str | dict | None = None,
    groups: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    seed: int = 0,
    calibration: float = 0.2,
    validation: float = 0.15,
    test: float = 0.25,
) -> Split:
    """Split a table; its parts are DataFrames of rows as they came, with their index.

    A `TableEncoder` makes floats of them: one that learns from `train` alone is tried on all parts,
    so that what cannot be a feature is told at once. `VAEDetector` has its own.

    Args:
        table: a DataFrame, or the path of a .csv (with commas, and a first line of names) or a
            .parquet file.
        anomaly: the column of labels, bool or 0 and 1, or {column: value or values that are
            anomalous}. None: all rows are normal, in all parts.
        groups: a column, such as a customer or a machine, whose rows may be in one part only.
        time: a column of dates, times or numbers: `train` has the first rows, `test` the last, and
            rows of one time are in one part.
        drop: columns to leave out. `anomaly`, `groups` and `time` are left out, too.
        seed: of the draw; with `time` nothing is drawn.
        calibration, validation, test: shares of the normal rows (of the groups; of all rows in the
            order of `time`). The rest is `train`.

    Without `groups` and `time` all anomalies go into `validation` and `test`, in proportion to
    their shares. With one of them an anomaly stays in its part, and is left out of `train` and
    `calibration`. `classes` of a part are 1 for an anomaly and 0 for a normal row.

    A UserWarning tells of a test part without an anomaly, where the table has some.

    Raises:
        ValueError: a file that cannot be read as a table; a column that is not there, or that
            numbers the rows; labels that are missing, of other values or all anomalous; shares that
            leave a part empty; both groups and time; what a `TableEncoder` does not take.
    """
    check_seed("seed", seed)
    shares = _shares(calibration, validation, test)
    table = table_of(table)
    names = names_of(table)
    if groups is not None and time is not None:
        raise ValueError(f"groups is {groups!r} and time is {time!r}; expected one of them")
    drop = [drop] if isinstance(drop, str) else drop
    if not isinstance(drop, (list, tuple)):
        raise ValueError(f"drop is {drop!r}; expected a list of columns")
    if isinstance(anomaly, dict) and len(anomaly) != 1:
        raise ValueError(f"anomaly has {len(anomaly)} columns; expected one")
    special = {"anomaly": next(iter(anomaly)) if isinstance(anomaly, dict) else anomaly}
    special |= {"groups": groups, "time": time}
    wanted = [*((k, v) for k, v in special.items() if v is not None), *(("drop", d) for d in drop)]
    for argument, name in wanted:
        if name not in names:
            raise ValueError(f"{argument} is {name!r}; expected one of {listed(names)}")
    if len(table) == 0:
        raise ValueError(f"table has 0 rows and {len(names)} columns; expected some")
    column = {k: None if v is None else table.iloc[:, names.index(v)] for k, v in special.items()}
    flags = _flags(column["anomaly"], anomaly, len(table))
    out = {name for _, name in wanted}
    rows = in_order(
        table.iloc[:, [n not in out for n in names]], [n for n in names if n not in out]
    )

    for name in rows.columns:
        check_is_no_row_number(rows[name], name)
    if time is not None:
        parts = _by_time(_times(column["time"], time), shares)
    else:
        parts = _drawn(flags, column["groups"], groups, shares, seed)
    train, calibrate = (part[~flags[part]] for part in parts[:2])
    for name, part in zip(Split._fields, (train, calibrate, *parts[2:]), strict=False):
        if (~flags[part]).sum() == 0:
            found = f"the {name} part has no normal row of {len(table)}"
            raise ValueError(f"{found}; expected more rows or groups, or other shares")
    split = Split(
        train=rows.iloc[train],
        calibration=rows.iloc[calibrate],
        validation=_labelled(rows, flags, parts[2]),
        test=_labelled(rows, flags, parts[3]),
        train_classes=np.zeros(len(train), int),
        calibration_classes=np.zeros(len(calibrate), int),
    )
    if flags.any() and not split.test.is_anomaly.any():
        by = groups or time or "the draw"
        told = f"the test part has none of the {flags.sum()} anomalies: {by!r} has them"
        warnings.warn(f"{told} in other parts; `evaluate` needs some", stacklevel=2)
    encoder = TableEncoder().fit(split.train)
    for part in (split.calibration, split.validation.images, split.test.images):
        encoder.transform(part)
    return split


def _labelled(rows, flags: np.ndarray, part: np.ndarray) -> Labelled:
    return Labelled(rows.iloc[part], flags[part], flags[part].astype(int))


def _flags(labels, anomaly, n: int) -> np.ndarray:
    """Whether each row is an anomaly."""
    if labels is None:
        return np.zeros(n, bool)
    name = labels.name
    if labels.isna().any():
        row = labels.index[labels.isna()][0]
        raise ValueError(f"column {name!r} has no label in row {row}; expected one in each row")
    if isinstance(anomaly, dict):
        (values,) = anomaly.values()
        values = list(values) if isinstance(values, (list, tuple, set, np.ndarray)) else [values]
        if strange := [value for value in values if value not in set(labels)]:
            known = listed(sorted(map(str, labels.unique())))
            raise ValueError(f"anomaly is {strange[0]!r} in {name!r}; expected some of {known}")
        flags = labels.isin(values)
    else:
        if strange := [value for value in labels.unique().tolist() if value not in (0, 1)]:
            told = f"column {name!r} has the label {strange[0]!r}"
            expected = (
                f"expected bool, or 0 and 1, or anomaly={{{name!r}: …}} with what is anomalous"
            )
            raise ValueError(f"{told}; {expected}")
        flags = labels == 1
    flags = flags.to_numpy(bool)
    if flags.all():
        raise ValueError(f"column {name!r} makes all {n} rows anomalies; expected normal ones, too")
    return flags


def _shares(calibration: float, validation: float, test: float) -> list[float]:
    """Those of all four parts."""
    shares = {"calibration": calibration, "validation": validation, "test": test}
    for name, share in shares.items():
        real = isinstance(share, (float, np.floating))
        if not (real and 0 < share < 1):
            raise ValueError(f"{name} is {share!r}; expected a share between 0 and 1")
    if sum(shares.values()) >= 1:
        raise ValueError(
            f"shares are {shares}, which leave nothing to train; expected a sum below 1"
        )
    return [1 - sum(shares.values()), *shares.values()]


def _drawn(flags: np.ndarray, groups, name: str | None, shares, seed: int) -> list[np.ndarray]:
    """Positions of the rows of each part, by chance; of all groups, or of the normal rows."""
    draw = ShuffleSplit if groups is None else GroupShuffleSplit
    rest, parts = np.arange(len(flags)) if groups is not None else np.flatnonzero(~flags), []
    if groups is not None and groups.isna().any():
        row = groups.index[groups.isna()][0]
        raise ValueError(f"column {name!r} has no group in row {row}; expected one in each row")
    for i in (3, 2, 1):  # what is left is to train
        share = shares[i] / sum(shares[: i + 1])
        within = None if groups is None else groups.iloc[rest]
        try:
            left, taken = next(
                draw(1, test_size=share, random_state=seed).split(rest, groups=within)
            )
        except ValueError as error:
            kind = "normal rows" if groups is None else f"groups in {name!r}"
            some = len(rest) if groups is None else within.nunique()
            raise ValueError(
                f"table has {some} {kind} left for {i + 1} parts; expected more"
            ) from error
        parts.append(rest[taken])
        rest = rest[left]
    parts = [rest, *parts[::-1]]
    if groups is None and flags.any():
        strange = np.random.RandomState(seed).permutation(np.flatnonzero(flags))
        cut = round(len(strange) * shares[2] / (shares[2] + shares[3]))
        for i, some in ((2, strange[:cut]), (3, strange[cut:])):
            parts[i] = np.random.RandomState(seed).permutation(np.concatenate([parts[i], some]))
    return parts


def _times(column, name: str) -> np.ndarray:
    """The column as numbers whose order is that of time."""
    if column.isna().any():
        row = column.index[column.isna()][0]
        raise ValueError(f"column {name!r} has no time in row {row}; expected one in each row")
    types = pandas().api.types
    if types.is_numeric_dtype(column.dtype) or types.is_datetime64_any_dtype(column.dtype):
        return column.rank(method="dense").to_numpy()
    try:
        return (
            pandas().to_datetime(column, format="ISO8601", utc=True).rank(method="dense").to_numpy()
        )
    except (ValueError, TypeError) as error:
        expected = "expected numbers, pandas' times, or texts such as 2024-05-31 12:00"
        raise ValueError(f"column {name!r} is no time: {error}; {expected}") from error


def _by_time(times: np.ndarray, shares: Sequence[float]) -> list[np.ndarray]:
    """Positions of the rows of each part, in the order of time."""
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    ends = (np.cumsum(shares[:-1]) * len(order)).round().astype(int)
    # rows of the time at a border all go into the earlier part
    ends = np.searchsorted(ordered, ordered[np.maximum(ends - 1, 0)], side="right")
    return np.split(order, ends)
