"""Wrong tables, and wrong arguments of what takes them, end in a ValueError that names the column.

No model is trained here: all of it is refused before.
"""

from __future__ import annotations

import datetime
import functools
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_bad_input import INF, NAN, NO_COUNT, NO_RATE, NO_SEED, Cases, each

from vae_lib import VAEDetector, data, frames

N = 40


def table(**columns) -> pd.DataFrame:
    """Rows of numbers and text, with other columns in place of them or beside them."""
    rng = np.random.RandomState(0)
    good = {
        "age": rng.randn(N),
        "colour": np.resize(["red", "blue"], N),
        "label": np.arange(N) % 9 == 0,
    }
    return pd.DataFrame(good | columns)


def changed(column: str, value: object) -> pd.DataFrame:
    """The table with one cell of another value."""
    rows = table().astype({column: object})
    rows.loc[7, column] = value
    return rows


DATES = pd.date_range("2024-05-31", periods=N)
# What nothing can be learned from: the table, and what its message says
NO_TABLES = {
    "an array": (np.ones((3, 2)), "table is a ndarray"),
    "a list": ([[1.0, 2.0]], "table is a list"),
    "a dict": ({"a": [1.0]}, "table is a dict"),
    "None": (None, "table is a NoneType"),
    "a series": (table()["age"], "table is a Series"),
}
NO_FRAMES = {
    "no row": (table().iloc[:0], "0 rows"),
    "two of one name": (pd.concat([table(), table()[["age"]]], axis=1), "the name 'age'"),
    "two that become one name": (pd.DataFrame({1: [1.0], "1": [2.0]}), "the name '1'"),
    "levels": (pd.concat({"a": table()}, axis=1), "columns of 2 levels"),
    "all missing": (table(age=NAN), "column 'age' has no value"),
    "nothing but None": (table(age=None), "column 'age' has no value"),
    "infinity": (changed("age", INF), "column 'age' has an infinite value: inf in row 7"),
    "minus infinity": (changed("age", -INF), "column 'age' has an infinite value: -inf in row 7"),
    "too large": (changed("age", 1e39), "column 'age' has a value that float32 cannot hold"),
    "too fine": (table(age=1.7e9 + np.arange(N)), "column 'age' has values near 17000000"),
    "text in numbers": (
        changed("age", "old"),
        "column 'age' has text among other values: 'old' in row 7",
    ),
    "numbers as text": (table(age=table()["age"].astype(str)), "column 'age' has numbers as text"),
    "numbers and a dash as text": (
        table(age=["-", *table()["age"].astype(str)[1:]]),
        "column 'age' has numbers as text",
    ),
    "dates": (table(age=DATES), "column 'age' holds datetime64"),
    "dates with a zone": (table(age=DATES.tz_localize("UTC")), "column 'age' holds datetime64"),
    "dates of Python": (table(age=[datetime.date(2024, 5, 31)] * N), "column 'age' holds date"),
    "dates as text": (table(age=DATES.astype(str)), "column 'age' holds dates such as"),
    "durations": (
        table(age=pd.to_timedelta(np.arange(N), unit="h")),
        "column 'age' holds timedelta",
    ),
    "periods": (table(age=DATES.to_period("M")), "column 'age' holds period"),
    "names": (table(colour=[f"customer {i}" for i in range(N)]), "column 'colour' has"),
    "lists": (table(age=[[1]] * N), "column 'age' holds mixed values such as [1]"),
    "dicts": (table(age=[{"a": 1}] * N), "column 'age' holds mixed values such as {'a': 1}"),
    "bytes": (table(age=[b"a"] * N), "column 'age' holds bytes"),
    "complex": (table(age=np.ones(N, "complex64")), "column 'age' holds complex"),
    "a name that is made": (table(**{"colour=red": 1.0}), "'colour=red' twice"),
}
# What does not fit the rows that were learned
NO_ROWS = {
    "a new column": (table(size=1.0), "has new columns 'size'"),
    "a column gone": (table().drop(columns="age"), "lacks the columns 'age'"),
    "another name": (table().rename(columns={"age": "Age"}), "lacks the columns 'age' and has new"),
    "text where numbers were": (
        table(age="old"),
        "column 'age' has text where numbers were: 'old'",
    ),
    "a date": (table(age=DATES), "column 'age' holds datetime64"),
    "infinity": (changed("age", INF), "column 'age' has an infinite value"),
    "an array": (table().to_numpy(), "table is a ndarray"),
    "two of one name": (pd.concat([table(), table()[["age"]]], axis=1), "the name 'age'"),
}


def points(**columns) -> pd.DataFrame:
    """The table without its text."""
    return table(**columns).drop(columns=["colour"])


NO_SOURCES = {
    **{k: (v, "source is a") for k, (v, _) in NO_TABLES.items() if k != "an array"},
    "an empty name": ("", "source is '', which is not there; expected a DataFrame, an array"),
    "an unknown name": ("cifar", "source is 'cifar', which is not there"),
    "a file of Python": (Path(__file__), "which is a file of another kind"),
    "numbers in a row": (np.ones(9), "source has shape (9,); expected (n, ...)"),
    "no row": (np.ones((0, 3)), "source has shape (0, 3)"),
    "text": (np.full((9, 2), "a"), "source has dtype <U1"),
    "objects": (np.full((9, 2), None), "source has dtype object"),
    "NaN": (np.full((9, 2), NAN), "source has a value at 0 that is NaN"),
    "too large": (np.full((9, 2), 1e39), "too large for float32"),
    "a mask": (np.ma.masked_less(np.ones((9, 2)), 2), "source is a masked array"),
    "images or one": (np.ones((9, 8, 3), "uint8"), "which may be one picture or many"),
}
NO_POINTS = {
    "text": (table(), "column 'colour' has text where numbers were: 'red'"),
    "dates": (points(age=DATES), "column 'age' holds datetime64"),
    "infinity": (points(age=INF), "column 'age' has an infinite value"),
    "too fine": (points(age=1.7e9 + np.arange(N) / 9), "column 'age' has values near 17000000"),
    "row numbers": (points(age=np.arange(N)), "column 'age' numbers the rows"),
    "too few": (points().iloc[:3], "source has 3 points; expected window = 4 or more"),
    "no column": (points()[[]], "40 rows and 0 inputs"),
    "missing": (points(age=NAN), "the train part has no normal example"),
    "falling times": (points().set_index(DATES[::-1]), "times does not rise"),
    "pictures": (np.ones((9, 4, 4)), "source has shape (9, 4, 4); expected (time,)"),
}
NOT_USED = {
    f"{name} for {kind}": ((source, {name: value}), f"{name} is {value!r}; expected none, since")
    for kind, source, arguments in (
        ("a table", table(), {"normal": "a", "stride": 2, "size": (8, 8), "channels": 3}),
        ("a data set", "mnist-5k", {"group": "a", "time": "a", "drop": ["a"], "window": 3}),
        ("an array", np.ones((9, 2)), {"group": "a", "resize": "pad", "background": "white"}),
        ("a folder", Path(__file__).parent, {"drop": ["a"], "window": 3, "time": "a"}),
    )
    for name, value in arguments.items()
}


@functools.cache
def folder() -> SimpleNamespace:
    keep = tempfile.TemporaryDirectory()
    path = Path(keep.name)
    for name, text in {
        "empty.csv": "",
        "names.csv": "age,colour\n",
        "no.parquet": "age",
        "rows.txt": "age,colour\n1,red\n",
    }.items():
        (path / name).write_text(text)
    (path / "binary.csv").write_bytes(bytes(range(256)) * 4)
    return SimpleNamespace(keep=keep, path=path)


def encode(rows: object) -> None:
    data.TableEncoder().fit(rows)


def transform(rows: object) -> None:
    data.TableEncoder().fit(table()).transform(rows)


def split(rows: object = None, **arguments) -> None:
    data.split(table() if rows is None else rows, **arguments)


def series(window: object, **arguments) -> None:
    data.split(points(), window=window, **arguments)


def split_file(name: str) -> None:
    data.split(folder().path / name)


def cases(subject: str, values: dict, call) -> Cases:
    return {
        f"{subject}: {kind}": (functools.partial(call, value), (message,))
        for kind, (value, message) in values.items()
    }


NO_SHARE = (0, 1, -0.1, 2, NAN, "0.2", None, True, [0.1])
NO_NAMES = ("Age", 3, ["age"], b"age")
FILES = {
    "nowhere.csv": "which is not there",
    "empty.csv": "No columns",
    "names.csv": "0 rows",
    "binary.csv": "cannot be read",
    "rows.txt": "a file of another kind",
}
# Arguments of `split`, and what its message says
NO_SPLITS = {
    "a drop of no column": ({"drop": ["size"]}, "drop is 'size'", "expected"),
    "both": ({"group": "colour", "time": "age"}, "group", "time", "expected one"),
    "shares": ({"test": 0.7}, "leave nothing to train", "below 1"),
    "no anomaly named": ({"anomaly": {}}, "anomaly has 0 columns", "expected"),
    "labels of text": ({"anomaly": "colour"}, "column 'colour'", "'red'", "0 and 1"),
    "labels 1 and 2": ({"rows": table(label=2), "anomaly": "label"}, "the label 2", "0 and 1"),
    "a label missing": (
        {"rows": changed("label", None), "anomaly": "label"},
        "column 'label' has no label in row 7",
    ),
    "all anomalies": (
        {"rows": table(label=1), "anomaly": "label"},
        "makes all 40 examples anomalies",
        "normal",
    ),
    "an unknown value": (
        {"anomaly": {"colour": "green"}},
        "anomaly is 'green' in column 'colour'",
        "'blue', 'red'",
    ),
    "few rows": ({"rows": table().iloc[:2]}, "calibration part", "expected more"),
    "one group": ({"rows": table(g="a"), "group": "g"}, "part has no normal example", "groups"),
    "a group missing": (
        {"rows": changed("colour", None), "group": "colour"},
        "column 'colour' has no group in row 7",
    ),
    "a time missing": (
        {"rows": changed("age", None), "time": "age"},
        "column 'age' has no time in row 7",
    ),
    "text that is no time": ({"time": "colour"}, "column 'colour' is not a time", "expected"),
    "one time": ({"rows": table(age=1.0), "time": "age"}, "part has no normal example"),
}
GIVEN_COUNT = [v for v in NO_COUNT if v is not None]
NO_ARGUMENTS = {  # of a detector
    "false_alarm_rate": NO_RATE,
    "random_state": NO_SEED,
    "n_models": NO_COUNT,
    "latent_dim": NO_COUNT,
    "epochs": GIVEN_COUNT,
    "batch_size": GIVEN_COUNT,
    "learning_rate": (0, -1, NAN, INF, "1", None, True),
}
ALL: Cases = {
    **cases("encoder", NO_TABLES | NO_FRAMES, encode),
    **cases("transform", NO_ROWS, transform),
    **each("encoder", "max_categories", NO_COUNT, lambda v: data.TableEncoder(v).fit(table())),
    **cases("split", NO_FRAMES, split),
    **cases("split", NO_SOURCES, data.split),
    **cases("series", NO_POINTS, lambda v: data.split(v, window=4)),
    **each("series", "window", GIVEN_COUNT, series),
    **each("series", "stride", NO_COUNT, lambda v: series(4, stride=v)),
    **each("series", "time", NO_NAMES, lambda v: series(4, time=v)),
    **cases("split: an unused argument", NOT_USED, lambda v: data.split(v[0], **v[1])),
    **{
        f"split: {name}": (functools.partial(split_file, name), (told, "expected"))
        for name, told in FILES.items()
    },
    **each("split", "seed", NO_SEED, lambda v: split(seed=v)),
    **each("split", "calibration", NO_SHARE, lambda v: split(calibration=v)),
    **each("split", "validation", NO_SHARE, lambda v: split(validation=v)),
    **each("split", "test", NO_SHARE, lambda v: split(test=v)),
    **each("split", "anomaly", NO_NAMES, lambda v: split(anomaly=v)),
    **each("split", "group", NO_NAMES, lambda v: split(group=v)),
    **each("split", "time", NO_NAMES, lambda v: split(time=v)),
    **each("split", "drop", (None, 3, {"age"}), lambda v: split(drop=v)),
    **{
        f"split: {kind}": (functools.partial(split, **arguments), words)
        for kind, (arguments, *words) in NO_SPLITS.items()
    },
    **cases(
        "detector",
        NO_FRAMES
        | {"no row": (table().iloc[:0], "0 sample"), "few rows": (table().iloc[:7], "7 sample")},
        lambda v: VAEDetector().fit(v),
    ),
    **{
        name: case
        for argument, values in NO_ARGUMENTS.items()
        for name, case in each(
            "detector", argument, values, lambda v, a=argument: VAEDetector(**{a: v}).fit(table())
        ).items()
    },
    **each(
        "detector", "score", ("nonsense", 3), lambda v: VAEDetector(anomaly_score=v).fit(table())
    ),
    "detector: a score of images": (
        lambda: VAEDetector(anomaly_score="largest").fit(table()),
        ("'largest'", "expected images"),
    ),
    "detector: hidden": (
        lambda: VAEDetector(hidden=(0,)).fit(table()),
        ("hidden is (0,)", "expected"),
    ),
    "detector: NaN in an array": (lambda: VAEDetector().fit(np.full((N, 2), NAN)), ("NaN",)),
}


@pytest.mark.parametrize("name", ALL)
def test_it_is_refused(complains, name):
    call, words = ALL[name]
    complains(call, *words)


def test_the_table_is_good(complains):
    encode(table())
    transform(table())
    split()
    assert frames.names_of(table()) == ("age", "colour", "label")


def test_a_file_of_no_parquet(complains):
    pytest.importorskip("pyarrow")
    complains(lambda: split_file("no.parquet"), "no.parquet", "cannot be read", "expected")
