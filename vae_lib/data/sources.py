"""One way in: a data set, a table, a series, an array or a folder in four disjoint parts."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np

from .. import series
from ..checks import check_count, check_seed, plain_array
from ..frames import is_frame, listed, names_of, pandas
from .datasets import NAMES, Classes, groups_of, list_folder, load, sides_of
from .parts import Labelled, Split, assemble, check_shares, cut, divide
from .pictures import Background, as_images, read_images
from .tables import (
    TABLE_SUFFIXES,
    TableEncoder,
    check_is_no_row_number,
    check_numbers,
    read_column,
    read_table,
)

FORMS = (
    "a DataFrame, an array, or a path: a .csv, a .parquet, an .npz or a folder of pictures, or one "
    f"of {NAMES}"
)
TAKES = {  # what each kind of source takes beside shares and a seed
    "a data set": {"normal", "anomaly"},
    "a table": {"anomaly", "group", "time", "drop"},
    "a series": {"anomaly", "time", "drop", "window", "stride"},
    "an array": {"anomaly"},
    "a series in an array": {"anomaly", "window", "stride"},
    "a folder": {"normal", "anomaly", "group", "size", "channels", "resize", "background"},
}


def split(
    source,
    *,
    normal: int | str | Sequence[int | str] | None = None,
    anomaly: int | str | Sequence[int | str] | dict | np.ndarray | None = None,
    group: str | Callable[[Path], Hashable] | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    window: int | None = None,
    stride: int = 1,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    resize: str = "stretch",
    background: Background = None,
    calibration: float = 0.25,
    validation: float = 0.15,
    test: float = 0.2,
    seed: int = 0,
) -> Split:
    """Split data into four disjoint parts: anomalies to judge by, none to learn from.

    `train` and `calibration` are normal. `calibration`, `validation` and `test` are shares of the
    normal examples, and the rest is `train`; anomalies go to validation and test in proportion to
    their shares. What `source` is says how the other arguments are read:

    **A data set**: "mnist-5k", "mnist", "fashion-mnist", or an `.npz` file in Keras's layout (see
    `load`). `normal` and `anomaly` are classes, one or a list of several: with `normal=3` all
    others are anomalies, with `anomaly=1` all others are normal, and with both the rest is left
    out. The shares hold for each class. The data set's own test set is the test part, so `test` has
    no effect, and of its anomalous training images the share `validation` is used.

    **A table**: a DataFrame, or a .csv (with commas, and a first line of names) or .parquet file.
    The parts are DataFrames of rows as they came, with their index; a `TableEncoder`, fitted on
    `train`, is tried on all of them, so that a column that cannot be an input is named at once.
    `anomaly` is the column of labels (bool, or 0 and 1), or {column: anomalous value or values};
    without it all rows are normal. With `group`, a column, such as a customer or a machine, the
    rows of a group stay in one part. With `time`, a column of dates or numbers, nothing is drawn:
    `train` has the first rows, `test` the last. `drop` names columns to leave out; the columns of
    the other arguments are left out, too.

    **A series**: a DataFrame, a file, or an array (time,) or (time, channels), and `window`, the
    number of points in a window. Rows are points in time, columns are channels; `time` names the
    column of times, else a DatetimeIndex has them, else steps are equal. Of an array, `anomaly` is
    bool (time,). Parts are cut by time and then into windows, float32 (n, window, channels): every
    `stride` points in `train`, side by side in the others. Windows with NaN or a jump in time are
    left out, and so are windows with an anomalous point in `train` and `calibration`; in the others
    they are anomalies. The `Split` has `starts` and `columns`.

    **An array** (n, ...) of rows or of images; `anomaly` is bool (n,), or None if all are normal.
    Images of uint8, uint16 or bool are read as by `as_images`; other numbers become float32.

    **A folder** of PNG and JPEG files: all normal, or in sub-folders that `normal` (by default
    "normal" and "good") and `anomaly` (by default "anomaly") name, one or several; or in folders
    `train/` and `test/`, each with such sub-folders, as MVTec AD has them. Then `test/` is the test
    part and `test` has no effect; every folder in it that is not normal is a kind of anomaly.
    `group` says which pictures must stay in one part, such as shots of one object: a function of
    the path, or a regular expression whose first group (or whole match) in a file's name is the
    same for them. `size`, `channels`, `resize` and `background` are those of `read_images`. The
    `Split` has `files` and `class_names`: class 0, called as the first of `normal`, then the kinds
    of anomaly.

    Groups are divided as examples are, and shares are then shares of groups: one with an anomaly
    goes to validation or test as a whole. Where at least half of the groups with normal examples
    have an anomaly, too, they are divided as normal ones, and their anomalies in `train` and
    `calibration` are left out.

    The same source and `seed` give the same parts. A UserWarning names a part for validation or
    test that has no normal example, or no anomalous one although the source has some: of a
    recording whose only anomaly comes late, say.

    Raises:
        ValueError: a source of no such kind, or one that cannot be read; an argument that the
            source does not use; an unknown class or column; labels or times that are missing or not
            understood; only anomalies; shares that leave nothing to train on; an empty `train` or
            `calibration`; and what `as_images`, `read_images` or a `TableEncoder` refuse.
    """
    arguments = {**locals()}
    check_seed("seed", seed)
    kind = _kind_of(source, window)
    for name in sorted(set().union(*TAKES.values()) - TAKES[kind]):
        value, default = arguments[name], split.__kwdefaults__[name]
        if not (value is default or (isinstance(value, type(default)) and value == default)):
            raise ValueError(f"{name} is {value!r}; expected none, since source is {kind}")
    shares = {"calibration": calibration, "validation": validation, "test": test}
    if kind == "a data set":
        return split_data_set(source, normal, anomaly, shares, seed)
    if kind == "a folder":
        reading = {"size": size, "channels": channels, "resize": resize, "background": background}
        return split_folder(source, normal, anomaly, group, reading, shares, seed)
    if kind == "a table":
        return split_table(source, anomaly, group, time, drop, shares, seed)
    if kind == "an array":
        return split_array(source, anomaly, shares, seed)
    return split_series(source, anomaly, time, drop, window, stride, shares)


def _kind_of(source, window: int | None) -> str:
    """A key of `TAKES`."""
    if isinstance(source, np.ndarray):
        return "an array" if window is None else "a series in an array"
    path = Path(source) if isinstance(source, (str, Path)) else None
    if is_frame(source) or (path and path.suffix.lower() in TABLE_SUFFIXES):
        return "a table" if window is None else "a series"
    if path is None:
        raise ValueError(f"source is a {type(source).__name__}; expected {FORMS}")
    if source in NAMES or path.suffix == ".npz":
        return "a data set"
    if str(source) and path.is_dir():
        return "a folder"
    problem = "a file of another kind" if path.is_file() else "not there"
    raise ValueError(f"source is {str(source)!r}, which is {problem}; expected {FORMS}")


# Data sets


def split_data_set(
    source: str | Path, normal: Classes, anomaly: Classes, shares: Mapping[str, float], seed: int
) -> Split:
    """`split` of a data set with classes and a test set of its own."""
    x, y, x_test, y_test = load(source)
    normal, anomaly = sides_of(normal, anomaly, y, y_test)
    drawn, tested = (np.flatnonzero(np.isin(c, normal + anomaly)) for c in (y, y_test))
    is_anomaly = np.isin(y, anomaly)
    shares = {part: share for part, share in shares.items() if part != "test"}
    parts = divide(is_anomaly[drawn], y[drawn], shares, seed)
    parts = {part: drawn[index] for part, index in parts.items()}
    test = Labelled(x_test[tested], np.isin(y_test[tested], anomaly), y_test[tested])
    return assemble(x, is_anomaly, y, parts, test)


# Folders and arrays


def split_folder(
    source: str | Path,
    normal,
    anomaly,
    group: str | Callable[[Path], Hashable] | None,
    reading: dict[str, object],
    shares: Mapping[str, float],
    seed: int,
) -> Split:
    """`split` of a folder; `reading` has the arguments of `read_images`."""
    listing = list_folder(source, normal, anomaly)
    files, classes, n = listing.files, listing.classes, listing.drawn
    groups = groups_of(listing, group)
    has_test = n < len(files)
    if has_test:
        shares = {part: share for part, share in shares.items() if part != "test"}
        groups = None if groups is None else np.unique(groups[:n], return_inverse=True)[1]
    parts = divide(classes[:n] > 0, classes[:n], shares, seed, groups)
    images = read_images(files, **reading)
    test = Labelled(images[n:], classes[n:] > 0, classes[n:]) if has_test else None
    by_part = {part: tuple(files[i] for i in index) for part, index in parts.items()}
    if has_test:
        by_part["test"] = tuple(files[n:])
    described = {"files": by_part, "class_names": listing.class_names}
    return assemble(images[:n], classes[:n] > 0, classes[:n], parts, test, **described)


def split_array(
    source: np.ndarray, anomaly: np.ndarray | None, shares: Mapping[str, float], seed: int
) -> Split:
    """`split` of rows or images in an array."""
    x = plain_array(source, "source")
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(
            f"source has shape {x.shape}; expected (n, ...) of rows or images, or window=… for a "
            "series"
        )
    if x.ndim > 2 and (x.dtype == bool or x.dtype.type in (np.uint8, np.uint16)):
        x = as_images(x, "source")
    elif x.dtype.kind not in "fiub":
        raise ValueError(f"source has dtype {x.dtype}; expected numbers")
    with np.errstate(over="ignore"):
        x = x.astype("float32")
    if not np.isfinite(x).all():
        row = np.argwhere(~np.isfinite(x))[0][0]
        raise ValueError(
            f"source has a value at {row} that is NaN, infinite or too large for float32; expected "
            "finite numbers"
        )
    is_anomaly = _flags_of(anomaly, "anomaly", len(x))
    classes = is_anomaly.astype("int64")
    return assemble(x, is_anomaly, classes, divide(is_anomaly, classes, shares, seed))


# Tables and series


def split_table(
    source,
    anomaly: str | dict | None,
    group: str | None,
    time: str | None,
    drop: Sequence[str],
    shares: Mapping[str, float],
    seed: int,
) -> Split:
    """`split` of rows with names."""
    if group is not None and time is not None:
        raise ValueError(f"group is {group!r} and time is {time!r}; expected one of them")
    rows, is_anomaly, special = _columns(source, anomaly, {"group": group, "time": time}, drop)
    groups = times = None
    if group is not None:
        groups = pandas().factorize(_complete(special["group"], "group"), sort=True)[0]
    if time is not None:
        times = _times(special["time"])
    classes = is_anomaly.astype("int64")
    parts = divide(is_anomaly, classes, shares, seed, groups, times)
    result = assemble(rows, is_anomaly, classes, parts)
    encoder = TableEncoder().fit(result.train)
    for part in (result.calibration, result.validation.items, result.test.items):
        if len(part):
            encoder.transform(part)
    return result


def split_series(
    source,
    anomaly: str | dict | np.ndarray | None,
    time: str | None,
    drop: Sequence[str],
    window: int,
    stride: int,
    shares: Mapping[str, float],
) -> Split:
    """`split` of points in time, in windows."""
    check_count("window", window)
    check_count("stride", stride)
    check_shares(shares)
    times = columns = None
    if isinstance(source, np.ndarray):
        x = series.as_series(source, "source")
        is_anomaly = _flags_of(anomaly, "anomaly", len(x))
    else:
        points, is_anomaly, special = _columns(source, anomaly, {"time": time}, drop)
        if time is not None:
            times = _times(special["time"])
        elif isinstance(points.index, pandas().DatetimeIndex):
            times = _times(points.index.to_series(name="the index"))
        columns = names_of(points)
        channels = [read_column(points[name], name, "number") for name in points]
        for name, values in zip(columns, channels, strict=True):
            check_numbers(values, name)
        x = series.as_series(np.column_stack(channels), "source")
    if len(x) < window:
        raise ValueError(f"source has {len(x)} points; expected window = {window} or more")

    broken, jumps = np.isnan(x).any(axis=1), series.jumps_of(times, len(x))
    before = np.concatenate([[0], np.cumsum(is_anomaly)])
    of_window = before[window:] > before[:-window]  # whether the one from here on is an anomaly
    parts = {}
    for part, places in cut(np.arange(len(x)), is_anomaly, shares).items():
        step = stride if part == "train" else window
        starts = places[series.whole_starts(broken[places], jumps[places], window, step)]
        parts[part] = starts[~of_window[starts]] if part in ("train", "calibration") else starts
    views = np.lib.stride_tricks.sliding_window_view(x, window, axis=0)  # of each place, no copy
    stamps = np.arange(len(x)) if times is None else times
    return assemble(
        np.moveaxis(views, 1, 2),
        of_window,
        of_window.astype("int64"),
        parts,
        starts={part: stamps[starts] for part, starts in parts.items()},
        columns=columns,
    )


def _columns(source, anomaly: str | dict | None, special: dict[str, str | None], drop) -> tuple:
    """The columns of inputs, whether each row is an anomaly, and special columns by argument."""
    table = read_table(source, "source")
    names = names_of(table, "source")
    drop = [drop] if isinstance(drop, str) else drop
    if not isinstance(drop, (list, tuple)):
        raise ValueError(f"drop is {drop!r}; expected a list of columns")
    if isinstance(anomaly, dict) and len(anomaly) != 1:
        raise ValueError(f"anomaly has {len(anomaly)} columns; expected one")
    label = next(iter(anomaly)) if isinstance(anomaly, dict) else anomaly
    wanted = [*{"anomaly": label, **special}.items(), *(("drop", name) for name in drop)]
    wanted = [(argument, name) for argument, name in wanted if name is not None]
    for argument, name in wanted:
        if not isinstance(name, str) or name not in names:
            raise ValueError(f"{argument} is {name!r}; expected one of {listed(names)}")
    columns = {name: table.iloc[:, names.index(name)] for _, name in wanted}
    rows = table.iloc[:, [name not in columns for name in names]]
    if 0 in rows.shape:
        raise ValueError(f"source has {len(rows)} rows and {rows.shape[1]} inputs; expected some")
    for name in rows:
        check_is_no_row_number(rows[name], str(name))
    is_anomaly = _labels(None if label is None else columns[label], anomaly, len(table))
    return rows, is_anomaly, {k: columns[name] for k, name in special.items() if name is not None}


def _labels(column, anomaly: str | dict | None, n: int) -> np.ndarray:
    """Whether the label in each of n rows is that of an anomaly; without a column none is."""
    if column is None:
        return np.zeros(n, bool)
    labels = _complete(column, "label").astype(object)  # == and isin fail on categories of bool
    name = f"column {column.name!r}"
    if not isinstance(anomaly, dict):
        advice = f", or anomaly={{{column.name!r}: …}} with what is anomalous"
        return _flags_of(labels.to_numpy(), name, n, advice)
    (values,) = anomaly.values()
    values = list(values) if isinstance(values, (list, tuple, set, np.ndarray)) else [values]
    if strange := [value for value in values if value not in set(labels)]:
        known = listed(sorted(map(str, labels.unique())))
        raise ValueError(f"anomaly is {strange[0]!r} in {name}; expected some of {known}")
    return _flags_of(labels.isin(values).to_numpy(), name, n)


def _flags_of(labels, name: str, n: int, advice: str = "") -> np.ndarray:
    """Labels (n,), bool or 0 and 1 of any type, as bool; None makes all normal."""
    if labels is None:
        return np.zeros(n, bool)
    labels = plain_array(labels, name)
    expected = f"expected bool, or 0 and 1{advice}"
    if labels.shape != (n,):
        raise ValueError(f"{name} has shape {labels.shape}; expected ({n},) of bool, or of 0 and 1")
    for label in labels.tolist():
        if not isinstance(label, (bool, np.bool_, numbers.Number)) or label not in (0, 1):
            raise ValueError(f"{name} has the label {label!r}; {expected}")
    flags = labels.astype(bool)
    if flags.all():
        raise ValueError(f"{name} makes all {n} examples anomalies; expected normal ones, too")
    return flags


def _complete(column, what: str):
    """The column, if no cell is missing."""
    if column.isna().any():
        row = column.index[column.isna()][0]
        name = f"column {column.name!r}"
        raise ValueError(f"{name} has no {what} in row {row}; expected one in each row")
    return column


def _times(column) -> np.ndarray:
    """The column as numbers, or as datetime64 (those with a time zone in UTC)."""
    column = _complete(column, "time").infer_objects()
    types = pandas().api.types
    if types.is_numeric_dtype(column.dtype):
        return column.to_numpy("int64" if types.is_integer_dtype(column.dtype) else "float64")
    try:
        times = pandas().to_datetime(column, format="ISO8601", utc=True)
    except (ValueError, TypeError) as error:
        expected = "expected numbers, pandas' times, or texts such as 2024-05-31 12:00"
        raise ValueError(f"column {column.name!r} is not a time: {error}; {expected}") from error
    return times.dt.tz_localize(None).to_numpy()
