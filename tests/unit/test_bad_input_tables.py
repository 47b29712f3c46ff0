"""Wrong tables, and wrong arguments of what takes them, end in a ValueError that names the column.

No model is trained here: all of it is told before.
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


def changed(column: str, value: object, rows=7) -> pd.DataFrame:
    """The table with one cell of another value."""
    found = table().astype({column: object})
    found.loc[rows, column] = value
    return found


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
    "names": (
        table(colour=[f"customer {i}" for i in range(N)]),
        "column 'colour' has",
    ),
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


@functools.cache
def folder() -> SimpleNamespace:
    keep = tempfile.TemporaryDirectory()
    path = Path(keep.name)
    for name, text in {
        "empty.csv": "",
        "names.csv": "age,colour\n",
        "twice.csv": "age,age\n1,2\n",
        "semicolons.csv": "age;colour\n1;red\n",
        "index.csv": ",age\n0,1\n1,2\n",
        "shifted.csv": "age,colour\n0,1,red\n1,2,blue\n",
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
    data.from_table(table() if rows is None else rows, **arguments)


def split_file(name: str) -> None:
    data.from_table(folder().path / name)


def cases(subject: str, values: dict, call) -> Cases:
    return {
        f"{subject}: {kind}": (functools.partial(call, value), (told,))
        for kind, (value, told) in values.items()
    }


NO_SHARE = (0, 1, -0.1, 2, NAN, "0.2", None, True, [0.1])
NO_NAMES = ("Age", 3, ["age"], b"age")
FILES = {
    "nowhere.csv": "which is not there",
    "empty.csv": "No columns",
    "names.csv": "0 rows",
    "twice.csv": "two columns have the name 'age'",
    "semicolons.csv": "its one column is 'age;colour'",
    "index.csv": "column 1 has no name",
    "shifted.csv": "Expected 2 fields in line 2, saw 3",
    "binary.csv": "cannot be read",
    "rows.txt": "expected a DataFrame",
}
ALL: Cases = {
    **cases("encoder", NO_TABLES | NO_FRAMES, encode),
    **cases("transform", NO_ROWS, transform),
    **each("encoder", "max_categories", NO_COUNT, lambda v: data.TableEncoder(v).fit(table())),
    **cases("from_table", NO_FRAMES, split),
    **cases("from_table", {k: v for k, v in NO_TABLES.items() if k == "an array"}, split),
    **{
        f"from_table: {name}": (functools.partial(split_file, name), (told, "expected"))
        for name, told in FILES.items()
    },
    **each("from_table", "seed", NO_SEED, lambda v: split(seed=v)),
    **each("from_table", "calibration", NO_SHARE, lambda v: split(calibration=v)),
    **each("from_table", "validation", NO_SHARE, lambda v: split(validation=v)),
    **each("from_table", "test", NO_SHARE, lambda v: split(test=v)),
    **each("from_table", "anomaly", NO_NAMES, lambda v: split(anomaly=v)),
    **each("from_table", "groups", NO_NAMES, lambda v: split(groups=v)),
    **each("from_table", "time", NO_NAMES, lambda v: split(time=v)),
    **each("from_table", "drop", (None, 3, {"age"}), lambda v: split(drop=v)),
    "from_table: a drop of no column": (
        lambda: split(drop=["size"]),
        ("drop is 'size'", "expected"),
    ),
    "from_table: both": (
        lambda: split(groups="colour", time="age"),
        ("groups", "time", "expected one"),
    ),
    "from_table: shares": (lambda: split(test=0.7), ("leave nothing to train", "below 1")),
    "from_table: no anomaly named": (
        lambda: split(anomaly={}),
        ("anomaly has 0 columns", "expected"),
    ),
    "from_table: labels of text": (
        lambda: split(anomaly="colour"),
        ("column 'colour'", "'red'", "0 and 1"),
    ),
    "from_table: labels 1 and 2": (
        lambda: split(table(label=2), anomaly="label"),
        ("the label 2", "0 and 1"),
    ),
    "from_table: a label missing": (
        lambda: split(changed("label", None), anomaly="label"),
        ("column 'label' has no label in row 7", "expected"),
    ),
    "from_table: all anomalies": (
        lambda: split(table(label=1), anomaly="label"),
        ("all 40 rows", "normal"),
    ),
    "from_table: an unknown value": (
        lambda: split(anomaly={"colour": "green"}),
        ("anomaly is 'green' in 'colour'", "'blue', 'red'"),
    ),
    "from_table: few rows": (lambda: split(table().iloc[:2]), ("table has", "expected more")),
    "from_table: one group": (
        lambda: split(table(g="a"), groups="g"),
        ("1 groups in 'g'", "expected more"),
    ),
    "from_table: a group missing": (
        lambda: split(changed("colour", None), groups="colour"),
        ("column 'colour' has no group in row 7", "expected"),
    ),
    "from_table: a time missing": (
        lambda: split(changed("age", None), time="age"),
        ("column 'age' has no time in row 7", "expected"),
    ),
    "from_table: text that is no time": (
        lambda: split(time="colour"),
        ("column 'colour' is no time", "expected"),
    ),
    "from_table: one time": (
        lambda: split(table(age=1.0), time="age"),
        ("part has no normal row", "expected"),
    ),
    **cases(
        "detector",
        NO_FRAMES
        | {"no row": (table().iloc[:0], "0 sample"), "few rows": (table().iloc[:7], "7 sample")},
        lambda v: VAEDetector().fit(v),
    ),
    **each("detector", "false_alarm_rate", NO_RATE, lambda v: VAEDetector(v).fit(table())),
    **each(
        "detector",
        "random_state",
        NO_SEED,
        lambda v: VAEDetector(random_state=v).fit(table()),
    ),
    **{
        name: case
        for argument in ("n_models", "latent_dim")
        for name, case in each(
            "detector", argument, NO_COUNT, lambda v, a=argument: VAEDetector(**{a: v}).fit(table())
        ).items()
    },
    **{
        name: case
        for argument in ("epochs", "batch_size")
        for name, case in each(
            "detector",
            argument,
            [v for v in NO_COUNT if v is not None],
            lambda v, a=argument: VAEDetector(**{a: v}).fit(table()),
        ).items()
    },
    **each(
        "detector",
        "learning_rate",
        (0, -1, NAN, INF, "1", None, True),
        lambda v: VAEDetector(learning_rate=v).fit(table()),
    ),
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
def test_is_told(complains, name):
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
