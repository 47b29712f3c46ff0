"""Windows and point scores, against loops that look at one point at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_lib import VAE, AnomalyDetector, ConditionalVAE, series, thresholds


def slow_windows(x, length, stride):
    return [x[i : i + length] for i in range(0, len(x) - length + 1, stride)]


def slow_points(scores, starts, length, n, how):
    points = []
    for p in range(n):
        over = [(a, s) for a, s in zip(starts, scores, strict=True) if a <= p < a + length]
        if not over:
            points.append(np.nan)
        elif how == "last":
            points.append(min(over)[1])  # the first window that ends with or after the point
        else:
            points.append({"mean": np.mean, "max": np.max}[how]([s for _, s in over]))
    return points


sizes = given(n=st.integers(5, 40), length=st.integers(1, 5), stride=st.integers(1, 6))


@sizes
def test_windows_are_those_of_a_loop(n, length, stride):
    x = np.random.RandomState(n).randn(n, 2).astype("float32")
    values, starts = series.windows(x, length, stride)
    np.testing.assert_array_equal(values, slow_windows(x, length, stride))
    np.testing.assert_array_equal(starts, range(0, n - length + 1, stride))
    assert values.dtype == np.float32


@pytest.mark.parametrize("how", series.POINT_SCORES)
@sizes
def test_point_scores_are_those_of_a_loop(how, n, length, stride):
    starts = np.arange(0, n - length + 1, stride)
    scores = np.random.RandomState(n).randn(len(starts))
    found = series.point_scores(scores, starts, length, n, how)
    np.testing.assert_allclose(found, slow_points(scores, starts, length, n, how), atol=1e-12)


@given(n=st.integers(3, 40), block=st.integers(1, 3), missing=st.integers(0, 3))
def test_block_maxima_are_those_of_a_loop(n, block, missing):
    scores = np.random.RandomState(n).randn(n)
    expected = [max(scores[i : i + block]) for i in range(0, n - block + 1, block)]
    led = np.concatenate([np.full(missing, np.nan), scores])
    np.testing.assert_array_equal(series.block_maxima(led, block), expected)


def test_windows_apart_keep_a_promise_that_overlapping_ones_break():
    """Means over windows of numbers without memory, calibrated on twenty windows' time."""
    found = {"overlapping, 0.01": [], "apart, 0.1": []}
    for seed in range(200):
        x = np.random.RandomState(seed).randn(640 + 1600)
        means = series.windows(x, 32).values.mean(axis=(1, 2))
        past, new = means[:609], means[640:]
        for (name, rates), calibration in zip(found.items(), (past, past[::32]), strict=True):
            rate = float(name.rpartition(" ")[2])
            rates.append(np.mean(new > thresholds.conformal(calibration, rate)))
        with pytest.raises(ValueError, match="rate"):
            thresholds.conformal(past[::32], 0.01)  # twenty windows cannot know of one in a hundred
    assert np.mean(found["overlapping, 0.01"]) > 0.018 and np.mean(found["apart, 0.1"]) < 0.105


@given(n=st.integers(1, 5), length=st.integers(2, 6), floor=st.sampled_from([0.01, 1.0, 100.0]))
def test_windows_are_brought_to_one_scale_each_by_its_own(n, length, floor):
    x = 40 + 5 * np.random.RandomState(n).randn(n, length, 2)
    found = series.z_normalise(x, floor)
    for window, scaled in zip(x, found, strict=True):
        for c in range(2):
            deviation = np.sqrt(np.mean((window[:, c] - np.mean(window[:, c])) ** 2))
            expected = (window[:, c] - np.mean(window[:, c])) / max(deviation, floor)
            np.testing.assert_allclose(scaled[:, c], expected, atol=1e-5)
    assert found.dtype == np.float32


def test_level_and_amplitude_are_thrown_away_and_noise_stays_small():
    wave = np.sin(np.arange(16))[None, :, None]
    same = series.z_normalise(np.concatenate([wave, 3 * wave + 50]), 0.01)
    np.testing.assert_allclose(same[0], same[1], atol=1e-6)
    noise = 0.01 * np.random.RandomState(0).randn(1, 16, 1)
    assert np.abs(series.z_normalise(1e4 + noise, 1.0)).max() < 0.05
    assert not series.z_normalise(np.full((1, 16, 1), 7), 0.01).any()


def test_a_series_without_channels_has_one():
    values, _ = series.windows(np.arange(6), 3)
    assert values.shape == (4, 3, 1) and values[1, :, 0].tolist() == [1, 2, 3]


def test_windows_over_gaps_are_left_out():
    x = np.arange(10.0)
    x[4] = np.nan
    assert series.windows(x, 3, gaps="cut").starts.tolist() == [0, 1, 5, 6, 7]
    times = np.array("2026-01-01", "datetime64[m]") + np.array([0, 1, 2, 3, 4, 9, 10, 11, 12, 13])
    assert series.windows(np.arange(10), 3, 1, times, "cut").starts.tolist() == [0, 1, 2, 5, 6, 7]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: series.windows([1.0, 2.0], 3), ("series", "2 points", "3 or more")),
        (lambda: series.windows(np.zeros((2, 2, 2)), 1), ("series", "(2, 2, 2)", "(time,")),
        (lambda: series.windows(["a", "b"], 1), ("series", "dtype", "numbers")),
        (lambda: series.windows([], 1), ("series", "(0,)", "(time,)")),
        (lambda: series.windows([1.0, np.nan], 1), ("NaN at [1]", "gaps='cut'")),
        (lambda: series.windows([np.nan], 1, gaps="cut"), ("no window", "expected one")),
        (lambda: series.windows([1.0, np.inf], 1), ("infinite at [1]", "finite")),
        (lambda: series.windows([1e300], 1), ("float32", "expected smaller")),
        (lambda: series.windows([1.0], 0), ("length", "0", "at least 1")),
        (lambda: series.windows([1.0], 1, 0.5), ("stride", "0.5", "at least 1")),
        (lambda: series.windows([1.0], 1, gaps="fill"), ("gaps", "fill", "refuse")),
        (lambda: series.windows([1.0, 2], 1, times=[2, 1]), ("times", "[1]", "rising")),
        (lambda: series.windows([1.0, 2], 1, times=[2]), ("times", "(1,)", "(2,)")),
        (lambda: series.windows([1.0, 2], 1, times=[0, np.nan]), ("times", "NaN", "each point")),
        (
            lambda: series.windows(np.arange(5), 2, 1, [0, 1, 2, 7, 8]),
            ("a jump of its times at [3]", "gaps='cut'"),
        ),
        (lambda: series.point_scores([1.0], [0], 2, 2, "median"), ("how", "median", "mean")),
        (lambda: series.point_scores([np.nan], [0], 2, 2), ("scores", "finite")),
        (lambda: series.point_scores([1.0], [0, 1], 2, 3), ("starts", "(2,)", "(1,)")),
        (lambda: series.point_scores([1.0], [2], 2, 3), ("starts", "2..2", "0..1")),
        (lambda: series.z_normalise([[1.0]], 1), ("values", "(1, 1)", "(n, length, channels)")),
        (lambda: series.z_normalise([[["a"]]], 1), ("values", "dtype", "numbers")),
        (lambda: series.z_normalise([[[np.nan]]], 1), ("values", "NaN", "finite")),
        (lambda: series.z_normalise([[[1.0]]], 0), ("floor", "0", "above 0")),
        (lambda: series.z_normalise([[[1.0]]], np.nan), ("floor", "nan", "above 0")),
        (lambda: series.z_normalise([[[1.0]]], True), ("floor", "True", "above 0")),
        (lambda: series.block_maxima([1.0], 0), ("block", "0", "at least 1")),
        (lambda: series.block_maxima([[1.0]], 1), ("scores", "(1, 1)", "one a point")),
        (lambda: series.block_maxima([np.nan, 1.0], 2), ("scores", "1 values", "2 or more")),
        (lambda: series.block_maxima([np.nan] * 3, 1), ("scores", "0 values", "1 or more")),
        (lambda: series.block_maxima([1.0, np.nan], 2), ("scores", "NaN", "finite")),
    ],
)
def test_bad_input(complains, call, words):
    complains(call, *words)


@pytest.fixture
def waves() -> np.ndarray:
    """Sixty windows (8, 2) of a sine and of a cosine on another scale."""
    time = np.arange(67)
    x = np.stack([np.sin(time), 50 + 10 * np.cos(time)], axis=1)
    return series.windows(x + 0.1 * np.random.RandomState(0).randn(67, 2), 8).values


def test_windows_go_all_the_way_to_a_detector_and_its_file(make_vae, waves, tmp_path):
    arguments = {"data_shape": (8, 2), "network": "conv1d", "hidden": (4,), "standardise": True}
    vae = make_vae(likelihood="gaussian", **arguments)
    vae.fit(waves, epochs=1, verbose=0)
    np.testing.assert_allclose(vae.columns.center, waves.mean(axis=(0, 1)), rtol=1e-5)
    detector = AnomalyDetector(vae).calibrate(waves[:40], 0.1)
    shares = detector.explain(waves[40:])
    assert shares.shape == (20, 8, 2)
    np.testing.assert_allclose(shares.sum(axis=(1, 2)), detector.score(waves[40:]), rtol=1e-4)
    detector.save(tmp_path / "waves.detector")
    again = AnomalyDetector.load(tmp_path / "waves.detector")
    np.testing.assert_array_equal(again.score(waves), detector.score(waves))


@pytest.mark.parametrize("name", ["neighbours", "activations", "fusion", "latent"])
def test_scores_that_look_at_hidden_layers_see_those_of_windows(make_vae, waves, name):
    vae = make_vae(
        likelihood="gaussian", data_shape=(8, 2), network="conv1d", hidden=(4,), standardise=True
    )
    vae.adapt(waves)
    found = AnomalyDetector(vae, name).calibrate(waves, 0.1).score(waves)
    assert np.isfinite(found).all() and found.std() > 0


def test_windows_have_classes_too(waves):
    model = ConditionalVAE(2, 2, "gaussian", (8, 2), "conv1d", (4,))
    y = np.arange(len(waves)) % 2
    assert model.reconstruct(waves, y).shape == waves.shape


@pytest.mark.parametrize("shape", [(8,), (8, 8, 1), (6, 1)])
def test_conv1d_wants_windows_whose_length_its_strides_divide(complains, shape):
    call = lambda: VAE(2, data_shape=shape, network="conv1d", hidden=(4, 4))  # noqa: E731
    complains(call, f"data_shape is {shape}", "expect", "'dense'")
