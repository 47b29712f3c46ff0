"""Tables with names: how they become floats, and how they are split."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

import vae_lib
from vae_lib import AnomalyDetector, data, frames

ROWS = 60


@pytest.fixture
def frame() -> pd.DataFrame:
    """Sixty rows of every kind of column that has a meaning."""
    rng = np.random.RandomState(0)
    found = pd.DataFrame(
        {
            "age": rng.randint(18, 90, ROWS),
            "colour": rng.choice(["red", "green", "blue"], ROWS),
            "income": rng.randn(ROWS) * 1000,
            "member": rng.rand(ROWS) > 0.5,
            "grade": pd.Categorical(rng.choice([1, 2], ROWS)),
            "always": 0.1,  # whose deviation is not 0 in floats
        },
        index=[f"row {i}" for i in range(ROWS)],
    )
    found.loc[found.index[::9], "income"] = np.nan
    return found


def test_numbers_pass_and_categories_are_zero_and_one(frame):
    encoder = data.TableEncoder()
    rows = encoder.fit_transform(frame)
    assert list(rows.index) == list(frame.index) and set(rows.dtypes) == {np.dtype("float32")}
    assert list(rows) == list(encoder.get_feature_names_out())
    np.testing.assert_array_equal(rows["age"], frame["age"])
    np.testing.assert_array_equal(rows["member"], frame["member"].astype(int))
    np.testing.assert_array_equal(rows["always"], np.float32(0.1))
    for value in ("red", "green", "blue"):
        np.testing.assert_array_equal(rows[f"colour={value}"], frame["colour"] == value)
    np.testing.assert_array_equal(rows["grade=2"], frame["grade"] == 2)
    assert not rows["colour=other"].any() and not rows["grade=other"].any()
    sources = dict(zip(rows, encoder.sources_, strict=True))
    assert sources["colour=red"] == sources["colour=other"] == "colour" and sources["age"] == "age"


def test_a_missing_number_is_the_median_and_is_told(frame):
    rows = data.TableEncoder().fit_transform(frame)
    missing = frame["income"].isna()
    assert (rows.loc[missing, "income"] == np.float32(frame["income"].median())).all()
    np.testing.assert_array_equal(rows["income=missing"], missing)
    assert "age=missing" not in rows


def test_a_missing_category_is_a_category(frame):
    frame.loc["row 3", "colour"] = None
    rows = data.TableEncoder().fit_transform(frame)
    np.testing.assert_array_equal(rows["colour=missing"], np.arange(ROWS) == 3)


@pytest.mark.parametrize("value", ["violet", None])
def test_what_no_row_had_is_farther_out_than_any_row_can_be(frame, value):
    encoder = data.TableEncoder().fit(frame)
    new = frame.iloc[:2].copy()
    new.loc["row 0", "colour"] = value
    rows = encoder.transform(new)
    assert rows.loc["row 0", "colour=other"] == pytest.approx(ROWS**0.5)
    assert not rows.loc["row 0", ["colour=red", "colour=green", "colour=blue"]].any()
    assert rows.loc["row 1", "colour=other"] == 0
    # one row in n with the indicator would stand as far out, if columns are standardised
    indicator = (np.arange(ROWS) == 0).astype(float)[:, None]
    assert StandardScaler().fit_transform(indicator)[0] == pytest.approx(ROWS**0.5, rel=0.02)


@pytest.mark.parametrize("column", ["age", "member", "always"])
def test_a_number_that_was_never_missing_is_farther_out_than_any_row_can_be(frame, column):
    encoder = data.TableEncoder().fit(frame)
    new = frame.iloc[:2].astype({column: object})
    new.loc["row 0", column] = None
    values = frame[column].astype(float)
    scale = values.std(ddof=0) if column != "always" else 1
    far = (encoder.transform(new).loc["row 0", column] - values.mean()) / scale
    assert far == pytest.approx(ROWS**0.5, rel=1e-3)
    worst = np.r_[np.zeros(ROWS - 1), 1.0]  # no value of n stands farther out than this one
    assert (worst.max() - worst.mean()) / worst.std() < far


def test_columns_are_put_in_order_by_name(frame):
    encoder = data.TableEncoder().fit(frame)
    shuffled = frame[list(frame)[::-1]]
    pd.testing.assert_frame_equal(encoder.transform(shuffled), encoder.transform(frame))


def test_kinds_of_numbers_are_numbers(frame):
    nullable = frame.convert_dtypes()
    assert str(nullable["age"].dtype) == "Int64"
    a, b = (data.TableEncoder().fit_transform(one) for one in (frame, nullable))
    pd.testing.assert_frame_equal(a, b)
    assert list(data.TableEncoder().fit_transform(pd.DataFrame(np.eye(3)))) == ["0", "1", "2"]


def test_a_category_is_known_by_its_name(frame):
    encoder = data.TableEncoder().fit(frame)
    for kind in ("int64", "float64", "str"):
        same = encoder.transform(frame.astype({"grade": kind}))
        pd.testing.assert_frame_equal(same, encoder.transform(frame))


def test_the_state_is_all_that_was_learned(frame):
    encoder = data.TableEncoder(max_categories=7).fit(frame)
    again = data.TableEncoder.from_state(json.loads(json.dumps(encoder.state())))
    new = frame.iloc[:4].astype({"age": float})
    new.iloc[0, 0], new.iloc[1, 1], new.iloc[2, 2] = np.nan, "violet", np.nan
    pd.testing.assert_frame_equal(again.transform(new), encoder.transform(new))
    assert again.state() == encoder.state() and again.max_categories == 7


def test_it_is_scikit_learns(frame):
    encoder = clone(data.TableEncoder(max_categories=9))
    assert encoder.get_params() == {"max_categories": 9}
    with pytest.raises(NotFittedError):
        encoder.transform(frame)
    assert list(encoder.fit(frame).feature_names_in_) == list(frame)


def test_pandas_is_not_needed_to_import_the_library():
    code = "import sys; sys.modules['pandas'] = None; import vae_lib; vae_lib.data.split('a.csv')"
    folder = Path(vae_lib.__file__).parents[1]
    with_a_file = "import vae_lib, pathlib; pathlib.Path.is_file = lambda path: True;"
    for run, message in (
        (code, "is not there"),
        (code.replace("import vae_lib;", with_a_file), "pip install pandas"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", run], cwd=folder, capture_output=True, text=True, check=False
        )
        assert message in done.stderr


# Splits


@pytest.fixture
def labelled(frame) -> pd.DataFrame:
    """Four times as many, a tenth of them anomalies, with a machine and a time."""
    frame = pd.concat([frame] * 4, ignore_index=True)
    rng = np.random.RandomState(1)
    frame["fault"] = rng.rand(len(frame)) < 0.1
    frame["machine"] = rng.randint(0, 20, len(frame))
    frame["when"] = pd.Timestamp("2024-05-31") + pd.to_timedelta(rng.permutation(240), unit="h")
    return frame


def parts_of(split: data.Split) -> list[pd.DataFrame]:
    return [split.train, split.calibration, split.validation.items, split.test.items]


def test_anomalies_are_in_the_last_two_parts_and_all_rows_in_one(labelled):
    split = data.split(labelled, anomaly="fault", drop=["machine", "when"])
    indices = np.concatenate([part.index for part in parts_of(split)])
    assert sorted(indices) == list(range(len(labelled)))
    assert not labelled.loc[split.train.index, "fault"].any()
    assert not labelled.loc[split.calibration.index, "fault"].any()
    for part in (split.validation, split.test):
        np.testing.assert_array_equal(part.is_anomaly, labelled.loc[part.items.index, "fault"])
        np.testing.assert_array_equal(part.classes, part.is_anomaly)
        assert part.is_anomaly.any() and not part.is_anomaly.all()
    normal = (~labelled["fault"]).sum()
    shares = [len(split.train) / normal, len(split.calibration) / normal]
    assert shares == pytest.approx([0.4, 0.25], abs=0.01)
    assert list(split.train) == ["age", "colour", "income", "member", "grade", "always"]
    pd.testing.assert_frame_equal(split.train, labelled.loc[split.train.index, list(split.train)])


def test_the_rows_of_a_group_stay_together(labelled):
    split = data.split(labelled, anomaly="fault", group="machine", drop=["when"])
    groups = [set(labelled.loc[part.index, "machine"]) for part in parts_of(split)]
    assert all(groups) and sum(map(len, groups)) == len(set.union(*groups)) == 20
    assert not labelled.loc[[*split.train.index, *split.calibration.index], "fault"].any()
    lost = set(labelled.index) - set(np.concatenate([part.index for part in parts_of(split)]))
    assert lost and labelled.loc[sorted(lost), "fault"].all()


@pytest.mark.parametrize("kind", ["dates", "text", "numbers"])
def test_what_comes_later_is_tested_later(labelled, kind):
    if kind == "text":
        labelled["when"] = labelled["when"].astype(str)
    if kind == "numbers":
        labelled["when"] = labelled["when"].rank() // 10  # ten rows at one time
    split = data.split(labelled, anomaly="fault", time="when", drop=["machine"])
    times = [labelled.loc[part.index, "when"] for part in parts_of(split)]
    assert all(a.max() < b.min() for a, b in itertools.pairwise(times))
    assert "when" not in split.train


@pytest.mark.parametrize("rare", [False, True])
def test_groups_with_an_anomaly_judge_unless_most_have_one(labelled, rare):
    if rare:
        labelled["fault"] &= labelled["machine"] < 5
    split = data.split(labelled, anomaly="fault", group="machine", drop=["when"])
    used = np.concatenate([part.index for part in parts_of(split)])
    faulty = set(labelled.loc[labelled["fault"], "machine"])
    trained = set(labelled.loc[split.train.index, "machine"])
    assert (len(used) == len(labelled)) == rare and bool(faulty & trained) != rare


def test_anomalies_that_all_came_early_are_said_to_be_missing(labelled):
    first = labelled["when"].rank() < 10
    labelled["fault"] = first & labelled["fault"] | (labelled["when"].rank() == 1)
    with pytest.warns(UserWarning, match="no anomalous example") as caught:
        data.split(labelled, anomaly="fault", time="when", drop=["machine"])
    assert [str(w.message).split()[1] for w in caught] == ["validation", "test"]
    assert {w.filename for w in caught} == {__file__}


@pytest.mark.parametrize(
    "as_type",
    ["bool", "int8", "float64", "boolean", "Int64", "object", "category", "int64 category"],
)
def test_labels_of_any_type_are_understood(labelled, as_type):
    drop = ["machine", "when"]
    expected = data.split(labelled, anomaly="fault", drop=drop)
    typed = labelled
    for kind in as_type.split():
        typed = typed.astype({"fault": kind})
    for anomaly in ("fault", {"fault": True}):
        split = data.split(typed, anomaly=anomaly, drop=drop)
        assert split.test.is_anomaly.any()
        for a, b in zip(parts_of(split), parts_of(expected), strict=True):
            assert list(a.index) == list(b.index)


@pytest.mark.parametrize("start", [0, 1, -5])
def test_numbers_of_rows_are_no_feature(labelled, complains, start):
    order = np.random.RandomState(0).permutation(len(labelled))
    labelled["Unnamed: 0"] = start + order
    drop = ["machine", "when"]
    words = ("'Unnamed: 0' numbers the rows", f"{start} to {start + len(labelled) - 1}", "drop")
    complains(lambda: data.split(labelled, anomaly="fault", drop=drop), *words)
    labelled.loc[labelled.index[3], "Unnamed: 0"] += len(labelled)  # a gap: it may be measured
    assert "Unnamed: 0" in data.split(labelled, anomaly="fault", drop=drop).train


def test_values_of_a_column_may_be_the_anomalies(labelled):
    drop = ["machine", "when", "fault"]
    split = data.split(labelled, anomaly={"colour": ["red"]}, drop=drop)
    red = labelled.loc[split.test.items.index, "colour"] == "red"
    np.testing.assert_array_equal(split.test.is_anomaly, red)
    again = data.split(labelled, anomaly={"colour": "red"}, drop=drop)
    assert list(again.test.items.index) == list(split.test.items.index)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_a_file_is_its_table(labelled, tmp_path, name):
    if name.endswith(".csv"):
        labelled = labelled.drop(columns="grade")  # whose type a CSV loses
        labelled.to_csv(tmp_path / name, index=False)
    else:
        pytest.importorskip("pyarrow")
        labelled.to_parquet(tmp_path / name)
    words = {"anomaly": "fault", "time": "when", "drop": ["machine"]}
    split, same = data.split(tmp_path / name, **words), data.split(labelled, **words)
    assert len(split.train) > 50
    pd.testing.assert_frame_equal(
        split.train, same.train, check_dtype=False, check_categorical=False
    )


# A detector of DataFrames


@pytest.fixture
def rows() -> pd.DataFrame:
    """Forty rows of three kinds of numbers."""
    rng = np.random.RandomState(3)
    columns = {"a": rng.randn(40), "b": rng.randint(0, 9, 40), "c": rng.rand(40) > 0.5}
    return pd.DataFrame({**columns, "d": rng.rand(40).astype("float32")}, index=range(100, 140))


@pytest.fixture
def detector(make_vae, rows) -> AnomalyDetector:
    vae = make_vae(data_shape=(4,), likelihood="gaussian", standardise=True)
    vae.adapt(rows.astype("float32"))
    return AnomalyDetector(vae).calibrate(rows, 0.1)


def test_a_detector_of_a_frame_goes_by_the_names(detector, rows):
    swapped = rows[["d", "b", "a", "c"]]
    assert not np.allclose(swapped.astype(float).to_numpy(), rows.astype(float).to_numpy())
    for call in (detector.score, detector.is_anomaly, detector.p_value):
        np.testing.assert_array_equal(call(swapped), call(rows))
    shares = detector.explain(swapped)
    pd.testing.assert_frame_equal(shares, detector.explain(rows))
    assert list(shares) == list("abcd") and list(shares.index) == list(rows.index)


def test_a_detector_of_a_frame_says_what_is_wrong_with_another(detector, rows, complains):
    complains(lambda: detector.score(rows.rename(columns={"a": "x"})), "lacks", "'a'", "new", "'x'")
    complains(lambda: detector.is_anomaly(rows[["a", "b"]]), "lacks", "'c', 'd'", "expected")
    twice = pd.concat([rows, rows[["a"]]], axis=1)
    complains(lambda: detector.explain(twice), "the name 'a'", "expected")
    text = rows.assign(a="x")
    complains(lambda: detector.score(text), "items has a column 'a'", "expected", "TableEncoder")
    missing = rows.astype({"a": float})
    missing.loc[103, "a"] = np.nan
    complains(lambda: detector.score(missing), "nan", "column 'a'", "row 103", "expected")
    complains(lambda: detector.calibrate(rows, training=rows[["a"]]), "training lacks", "'b'")


def test_an_array_has_no_names_to_go_by(detector, rows, complains):
    complains(lambda: detector.score(rows.to_numpy("float32")), "without names", "columns 'a', 'b'")


def test_the_file_of_a_detector_keeps_the_names(detector, rows, tmp_path, complains):
    detector.save(tmp_path / "a.detector")
    again = AnomalyDetector.load(tmp_path / "a.detector")
    np.testing.assert_array_equal(again.score(rows[list("dcba")]), detector.score(rows))
    complains(lambda: again.score(rows[["a"]]), "lacks the columns 'b'")
    names = list(rows)
    assert frames.columns_of(rows) == tuple(names)
