"""Five kinds of sources in four parts, by the same words; series in windows that keep to a part."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vae_lib import data

PARTS = ("train", "calibration", "validation", "test")
N = 200


def items_of(split: data.Split) -> dict:
    """The items of the four parts."""
    return dict(
        zip(PARTS, (split.train, split.calibration, split[2].items, split[3].items), strict=True)
    )


@pytest.fixture
def frame() -> pd.DataFrame:
    """Two hundred points in time with one anomaly in ten."""
    rng = np.random.RandomState(0)
    columns = {"a": rng.randn(N), "b": rng.randn(N), "fault": np.arange(N) % 10 == 0}
    return pd.DataFrame(columns, index=pd.date_range("2024-05-31", periods=N, freq="h"))


def folder(path, frame: pd.DataFrame):
    for i, fault in enumerate(frame["fault"]):
        (path / ("anomaly" if fault else "normal")).mkdir(exist_ok=True)
        level = Image.fromarray(np.full((2, 3), i, "uint8"))
        level.save(path / ("anomaly" if fault else "normal") / f"{i}.png")
    return path


# What each source needs beside the shares; all hold the same 180 normal and 20 anomalous examples
def sources(tmp_path, frame: pd.DataFrame) -> dict:
    frame.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "pictures").mkdir()
    values, flags = frame[["a", "b"]].to_numpy(), frame["fault"].to_numpy()
    images = np.arange(N * 6, dtype="uint16").reshape(N, 2, 3, 1)
    return {
        "frame": (frame, {"anomaly": "fault"}),
        "file": (tmp_path / "rows.csv", {"anomaly": "fault"}),
        "rows": (values, {"anomaly": flags}),
        "images": (images, {"anomaly": flags.astype(int)}),
        "folder": (folder(tmp_path / "pictures", frame), {}),
        "series": (frame, {"anomaly": "fault", "window": 1}),
        "series in an array": (values, {"anomaly": flags, "window": 1}),
    }


KINDS = ("frame", "file", "rows", "images", "folder", "series", "series in an array")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("error:the .* part")
def test_every_source_by_the_same_words(tmp_path, frame, kind):
    source, words = sources(tmp_path, frame)[kind]
    shares = {"calibration": 0.3, "validation": 0.1, "test": 0.2}
    split, again = (data.split(source, **words, **shares, seed=3) for _ in range(2))
    items = items_of(split)
    normal = [*map(len, split[:2]), *(np.sum(~part.is_anomaly) for part in split[2:4])]
    assert normal == [72, 54, 18, 36]
    rows = np.concatenate([np.asarray(part).reshape(len(part), -1) for part in items.values()])
    assert len(np.unique(rows, axis=0)) == len(rows)  # no example is in two parts
    assert len(split.train_classes) == len(split.train) and not split.train_classes.any()
    assert len(split.calibration_classes) == len(split.calibration)
    anomalies = [part.is_anomaly.sum() for part in (split.validation, split.test)]
    if "series" in kind:
        assert anomalies == [2, 4]  # those of their time; the others are in no part
        assert [len(places) for places in split.starts.values()] == [len(p) for p in items.values()]
    else:
        assert anomalies == [7, 13] and len(rows) == N
    for part in (split.validation, split.test):
        np.testing.assert_array_equal(part.is_anomaly, part.classes == 1)
    for part, same in zip(items.values(), items_of(again).values(), strict=True):
        np.testing.assert_array_equal(part, same)
    if "series" not in kind:
        other = items_of(data.split(source, **words, **shares, seed=4))["train"]
        assert not np.array_equal(split.train, other)
    if kind not in ("frame", "file"):
        assert split.train.dtype == np.float32


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "bool", "float32", "int64"])
def test_arrays_are_in_the_library_s_form(dtype):
    x = np.random.RandomState(1).randint(0, 2, (30, 4, 5)).astype(dtype)
    split = data.split(x)
    top = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    assert split.train.dtype == np.float32 and split.train.max() == np.float32(1 / top)
    levels = dtype in ("uint8", "uint16", "bool")
    assert split.train.shape == (12, 4, 5, 1)[: 4 if levels else 3]


# Series


@given(
    n=st.integers(60, 160),
    window=st.integers(1, 6),
    stride=st.integers(1, 8),
    seed=st.integers(0, 99),
)
@pytest.mark.filterwarnings("ignore:the .* part")
def test_windows_are_those_of_a_loop_in_each_part(n, window, stride, seed):
    rng = np.random.RandomState(seed)
    x, flags = rng.randn(n, 2).astype("float32"), rng.rand(n) < 0.03
    x[rng.rand(n) < 0.02, 1] = np.nan
    split = data.split(x, anomaly=flags, window=window, stride=stride)
    normal = np.cumsum(~flags)
    counts = np.rint(np.cumsum([0.4, 0.25, 0.15]) * normal[-1])
    ends = [0, *(int(np.argmax(normal >= count)) + 1 for count in counts), n]
    for i, (part, items) in enumerate(items_of(split).items()):
        places = range(ends[i], ends[i + 1] - window + 1, window if i else stride)
        places = [p for p in places if not np.isnan(x[p : p + window]).any()]
        if i < 2:
            places = [p for p in places if not flags[p : p + window].any()]
        else:
            expected = [flags[p : p + window].any() for p in places]
            np.testing.assert_array_equal(split[i].is_anomaly, np.array(expected, bool))
        assert split.starts[part].tolist() == places
        for place, values in zip(places, items, strict=True):
            np.testing.assert_array_equal(values, x[place : place + window])


@pytest.mark.parametrize("by", ["index", "column", "text", "numbers", "zone"])
def test_windows_with_a_jump_in_time_are_left_out(frame, by):
    frame = frame.drop(frame.index[30:40])
    words, times = {}, frame.index
    if by == "zone":
        frame.index = times.tz_localize("UTC").tz_convert("Asia/Tokyo")
    elif by != "index":
        column = {"text": times.astype(str), "numbers": times.astype("int64")}.get(by, times)
        frame, words = frame.reset_index(drop=True).assign(when=column), {"time": "when"}
    split = data.split(frame, drop=["fault"], window=6, **words)
    places = [*range(25), *range(30, 71)]  # the first 76 points are to train on
    expected = times.astype("int64") if by == "numbers" else times
    np.testing.assert_array_equal(split.starts["train"], expected.to_numpy()[places])
    assert split.columns == ("a", "b") and split.train.shape == (66, 6, 2)


def test_a_recording_whose_one_anomaly_comes_late(frame):
    late = np.arange(N) == N - 3
    with pytest.warns(UserWarning, match="the validation part has no anomalous example") as caught:
        split = data.split(frame.assign(fault=late), anomaly="fault", window=4)
    assert [w.filename for w in caught] == [__file__]
    assert split.test.is_anomaly.sum() == 1 and len(split.validation.items) == 7


def test_a_part_shorter_than_a_window_is_empty(frame):
    with pytest.warns(UserWarning, match="the validation part has no normal example"):
        split = data.split(frame[["a", "b"]], window=31)
    assert len(split.validation.items) == 0 and len(split.test.items) == 1


def test_a_part_without_a_window_to_calibrate_by_is_an_error(frame, complains):
    faulty = frame.assign(fault=(np.arange(N) >= 70) & (np.arange(N) % 5 == 0))
    words = "the calibration part has no normal example", "expected more"
    complains(lambda: data.split(faulty, anomaly="fault", window=5), *words)
