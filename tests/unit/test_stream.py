"""Items one after another: the same figures as plain NumPy, and nothing lost by a restart."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from crepes.martingales import EpsilonBettingFunction, SimpleJumper
from scipy.signal import lfilter

from vae_lib import VAE, AnomalyDetector, ConditionalVAE, MixtureVAE, scores, stream
from vae_lib.stream import Stream


@dataclasses.dataclass(eq=False)
class First(scores.Score):
    """The first number of an item, or the mean of a window's first channel."""

    name = "first of a stream"

    def terms(self, vae, x):
        return x[..., 0] / np.prod(x.shape[1:-1], initial=1)


@pytest.fixture
def make_detector(make_vae):
    """Calibrated on standard normal scores, at one false alarm in ten."""

    def make(shape=(2,), n=199):
        vae = make_vae(likelihood="gaussian", data_shape=shape)
        images = np.random.RandomState(1).randn(n, *shape).astype("float32")
        return AnomalyDetector(vae, First()).calibrate(images, 0.1)

    return make


def items(n, shift=0.0, seed=0, width=2):
    return (np.random.RandomState(seed).randn(n, width) + shift).astype("float32")


def test_fixed_is_what_the_detector_says(make_detector):
    detector, x = make_detector(), items(50)
    found = Stream(detector, "fixed").push(x)
    np.testing.assert_allclose(found.scores, detector.score(x))
    np.testing.assert_allclose(found.p_values, detector.p_value(x))
    np.testing.assert_array_equal(found.alarms, detector.is_anomaly(x))


@pytest.mark.parametrize("threshold", ["sliding", "online"])
def test_moving_thresholds_are_those_of_a_loop(make_detector, threshold):
    detector, x = make_detector(), items(300, np.linspace(0, 2, 300)[:, None])
    found = Stream(detector, threshold, memory=100, step=0.05).push(x)
    recent, level = list(detector.calibration_scores[:100]), 0.1
    for t, score in enumerate(detector.score(x)):
        p_value = (1 + sum(r >= score for r in recent)) / 101
        alarm = p_value <= (level if threshold == "online" else 0.1)
        assert found.p_values[t] == pytest.approx(p_value) and found.alarms[t] == alarm
        level += 0.05 * (0.1 - alarm)
        recent[t % 100] = score


@pytest.mark.parametrize("threshold", stream.THRESHOLDS)
@pytest.mark.parametrize("shape", [(2,), (5, 2)])
def test_one_by_one_or_all_at_once(make_detector, threshold, shape):
    detector, x = make_detector(shape), items(40)
    together = Stream(detector, threshold).push(x)
    one = Stream(detector, threshold)
    singly = [one.push(item) for item in x]
    for name in stream.Found._fields:
        found = np.concatenate([getattr(step, name) for step in singly])
        np.testing.assert_array_equal(found, getattr(together, name))
    assert one.count == 40


def test_a_point_is_judged_by_the_window_that_ends_with_it(make_detector):
    detector, x = make_detector((5, 2)), items(12)
    found = Stream(detector).push(x)
    assert np.isnan(found.scores[:4]).all() and not found.alarms[:4].any()
    means = [x[t - 4 : t + 1, 0].mean() for t in range(4, 12)]
    np.testing.assert_allclose(found.scores[4:], means, rtol=1e-5)


def test_alarms_in_a_row_are_one_event(make_detector):
    x = np.zeros((12, 2), "float32")
    x[[2, 3, 5, 10], 0] = 9, 11, 10, 9
    assert Stream(make_detector(), "fixed").push(x) is not None
    for patience, events in (
        (1, [(2, 3, 3), (5, 5, 5), (10, 10, 10)]),
        (2, [(2, 5, 3), (10,) * 3]),
    ):
        line = Stream(make_detector(), "fixed", patience=patience)
        line.push(x[:4])
        line.push(x[4:])
        assert line.events == events


def test_online_keeps_the_rate_while_scores_drift(make_detector):
    detector, drift = make_detector(), np.linspace(0, 4, 4000)[:, None]
    rates = {
        name: np.mean(
            [Stream(detector, name).push(items(4000, drift, s)).alarms.mean() for s in range(3)]
        )
        for name in ("fixed", "online")
    }
    assert rates["fixed"] > 0.5 and abs(rates["online"] - 0.1) < 0.005


T = np.arange(5000)
DRIFTS = {
    "none": (0, 1),
    "slow": (np.interp(T, [1000, 4000], [0, 4]), 1),
    "slow, down": (np.interp(T, [1000, 4000], [0, -4]), 1),
    "sudden": (3 * (T >= 2500), 1),
    "sudden, down": (-3 * (T >= 2500), 1),
    "there and back": (3 * ((T >= 2000) & (T < 2500)), 1),
    "seasonal": (2 * np.sin(2 * np.pi * T / 1500), 1),
    "of scale": (0, 1 + 2 * (T >= 2500)),
    "of scale, down": (0, 1 - 0.667 * (T >= 2500)),
}


@pytest.mark.parametrize("memory_of_scores", [0, 0.9])
@pytest.mark.parametrize("name", DRIFTS)
def test_the_defaults_keep_any_1000_items_near_the_rate(make_vae, name, memory_of_scores):
    vae, (level, scale) = make_vae(likelihood="gaussian", data_shape=(1,)), DRIFTS[name]
    calibration = np.random.RandomState(1).randn(399, 1).astype("float32")
    detector = AnomalyDetector(vae, First()).calibrate(calibration, 0.05)
    for seed in range(6):
        noise = np.random.RandomState(seed).randn(5200)
        noise = (1 - memory_of_scores**2) ** 0.5 * lfilter([1], [1, -memory_of_scores], noise)
        x = (level + scale * noise[200:]).astype("float32")[:, None]
        alarms = Stream(detector, every=10**6).push(x).alarms
        total = np.cumsum(np.r_[0, alarms])
        rates = (total[1000:] - total[:-1000]) / 1000
        assert rates.min() >= 0.03 and rates.max() <= 0.07


def test_a_sliding_threshold_that_could_never_raise_an_alarm(make_detector, complains):
    complains(lambda: Stream(make_detector(), "sliding", memory=8), "memory is 8", "9 or more")
    assert Stream(make_detector(), "sliding", memory=9).push(np.full((1, 2), 9.0)).alarms.all()


def test_the_martingale_is_that_of_crepes(make_detector):
    detector, x = make_detector(), items(200, 0.3)
    line, pool, p_values = Stream(detector), list(detector.calibration_scores), []
    for t, score in enumerate(detector.score(x)):
        line.push(x[t])
        tie = np.random.RandomState(t + 1).rand()
        above, equal = sum(p > score for p in pool), sum(p == score for p in pool) + 1
        p_values.append((above + tie * equal) / (len(pool) + 1))
        pool.append(score)
    jumper = SimpleJumper(stream.JUMP, EpsilonBettingFunction(stream.BETS))
    assert line.capital == pytest.approx(jumper.apply(np.array(p_values))[-1], rel=1e-6)


def test_drift_is_said_of_a_shift_and_seldom_without_one(make_detector):
    detector = make_detector()
    calm = [
        Stream(detector, certainty=20.0, seed=s).push(items(500, 0, s)).drift for s in range(40)
    ]
    assert np.mean([found.any() for found in calm]) <= 0.125  # 1 in 20 at most, and its luck
    found = Stream(detector).push(np.concatenate([items(300), items(300, 1.0, 1)])).drift
    assert not found[:300].any() and found[-1]


def test_long_drift_stays_finite_and_can_be_saved(make_detector, tmp_path):
    line = Stream(make_detector(), threshold="fixed")
    line.push(items(6000, np.linspace(0, 60, 6000)[:, None]))
    assert line.capital > 1e100 and np.isfinite(line.capital)
    line.save(tmp_path / "a.stream")
    assert Stream.load(tmp_path / "a.stream").capital == line.capital


def test_drift_is_looked_at_every_so_many_items(make_detector):
    detector, x = make_detector((5, 2)), items(60)
    for every, looks in ((None, 12), (20, 3)):
        line = Stream(detector, every=every)
        line.push(x)
        assert len(line._pool) == len(detector.calibration_scores) + looks


def test_a_series_that_remembers_wants_looks_further_apart(make_detector):
    """Scores that remember twenty items: drift is said of nothing, unless looks are apart."""
    said = {1: [], 60: []}
    for seed in range(20):
        noise = np.random.RandomState(seed).randn(3000, 2)
        for t in range(1, len(noise)):
            noise[t] = 0.95 * noise[t - 1] + (1 - 0.95**2) ** 0.5 * noise[t]
        for every, found in said.items():
            line = Stream(make_detector(), every=every)
            found.append(line.push(noise.astype("float32")).drift[-1])
    assert np.mean(said[1]) > 0.5 and np.mean(said[60]) <= 0.1


def test_a_restart_loses_nothing_and_counts_nothing_twice(make_detector, tmp_path):
    detector, x, path = make_detector((5, 2)), items(60, 0.5), tmp_path / "a.stream"
    whole = Stream(detector, patience=3, every=7)
    expected = whole.push(x)
    first = Stream(detector, patience=3, every=7)
    first.push(x[:23])
    first.save(path)
    first.push(x[23:40])  # killed before it could save again
    second = Stream.load(path)
    assert second.count == 23
    found = second.push(x[second.count :])
    for name in stream.Found._fields:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name)[23:])
    assert (second.count, second.events) == (whole.count, whole.events)
    assert second.capital == whole.capital


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (np.zeros((3, 4), "float32"), ("items", "(3, 4)", "(2,)")),
        (np.full((3, 2), np.nan, "float32"), ("items", "NaN")),
        (np.full(2, np.inf, "float32"), ("items", "infinite")),
        (np.zeros(2, "int64"), ("items", "int64", "floats")),
        (np.zeros((0, 2), "float32"), ("items", "empty")),
    ],
)
def test_what_is_no_item_changes_nothing(make_detector, complains, wrong, words):
    line = Stream(make_detector((5, 2)))
    line.push(items(7))
    before = (line.count, line.level, line._window.copy(), line._recent.copy())
    complains(lambda: line.push(wrong), *words)
    for a, b in zip(before, (line.count, line.level, line._window, line._recent), strict=True):
        np.testing.assert_array_equal(a, b)


def test_settings_that_are_none(make_detector, make_vae, complains):
    detector = make_detector()
    complains(lambda: Stream("three.detector"), "detector", "str", "AnomalyDetector")
    complains(lambda: Stream(AnomalyDetector(make_vae())), "detector", "calibrated")
    wrong = {"threshold": "moving", "memory": 0, "patience": 1.5, "step": 0}
    for name, value in (wrong | {"certainty": 1, "seed": -1, "every": 0}).items():
        complains(lambda n=name, v=value: Stream(detector, **{n: v}), name, repr(value), "expected")


def test_a_detector_with_classes_is_refused(complains):
    x, y = items(100), np.arange(100) % 2
    kinds = {"data_shape": (2,), "network": "dense", "hidden": (4,), "likelihood": "gaussian"}
    for model in (ConditionalVAE(2, 2, **kinds), [VAE(2, **kinds), VAE(2, **kinds)]):
        detector = AnomalyDetector(model, First()).calibrate(x, 0.1, classes=y)
        words = ("detector", "each of 2 classes", "one for all", "MixtureVAE")
        complains(lambda d=detector: Stream(d), *words)
    mixture = AnomalyDetector(MixtureVAE(2, latent_dim=2, **kinds), First()).calibrate(x, 0.1)
    assert Stream(mixture, "fixed").push(x).alarms.mean() <= 0.1


def test_a_file_that_is_no_stream(make_detector, complains, tmp_path):
    path = tmp_path / "a.detector"
    make_detector().save(path)
    complains(lambda: Stream.load(path), "a.detector", "Stream.save")
    Stream(make_detector()).save(path)
    complains(lambda: AnomalyDetector.load(path), "a.detector", "stream")
    path.write_bytes(path.read_bytes()[:-100])
    complains(lambda: Stream.load(path), "a.detector", "Stream.save")
