"""A Keras model of one's own in a detector: `vae_lib.detector.Scorer`."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score

from vae_lib import VAE, AnomalyDetector, Gaussian, Stream
from vae_lib.batches import Form

SHAPE = (3, 2, 1)


class Distance(keras.Model):
    """The squared distance from a centre, which is a weight."""

    def __init__(self, shape: tuple[int, ...] = SHAPE, center: float = 0.5):
        super().__init__()
        self.shape = tuple(shape)
        start = keras.initializers.Constant(center)
        self.center = self.add_weight(shape=shape, initializer=start, trainable=False)

    def form(self, name: str = "x") -> Form:
        return Form(self.shape, False, name)

    def heatmap(self, images):
        return (images - self.center) ** 2

    def score(self, images):
        return keras.ops.sum(self.heatmap(images), axis=tuple(range(1, len(self.shape) + 1)))


def answering(answer, shape: tuple[int, ...] = SHAPE) -> Distance:
    """A model whose `score` is `answer`."""
    model = Distance(shape)
    model.score = answer
    return model


def images(n: int, seed: int, odd: float = 0.0) -> np.ndarray:
    noise = np.random.RandomState(seed).randn(n, *SHAPE)
    return (0.5 + 0.1 * noise + odd).astype("float32")


def by_numpy(x: np.ndarray) -> np.ndarray:
    return ((x.astype("float64") - 0.5) ** 2).sum(axis=(1, 2, 3))


@pytest.fixture
def detector() -> AnomalyDetector:
    return AnomalyDetector(Distance()).calibrate(images(99, 0), 0.1)


@pytest.mark.parametrize("n", [1, 64, 65, 150])
def test_scores_and_shares_are_the_models(detector, n):
    x = images(n, 1)
    np.testing.assert_allclose(detector.score(x), by_numpy(x), rtol=1e-5)
    assert detector.score(x).dtype == "float64"
    shares = detector.explain(x)
    assert shares.shape == x.shape
    np.testing.assert_allclose(shares.sum(axis=(1, 2, 3)), by_numpy(x), rtol=1e-5)


def test_the_threshold_is_the_conformal_one(detector):
    ranked = np.sort(by_numpy(images(99, 0)))
    assert detector.threshold == pytest.approx(ranked[89], rel=1e-5)  # the 90th of 99: k / 100
    x = np.concatenate([images(60, 1), images(60, 2, odd=0.2)])
    np.testing.assert_array_equal(detector.is_anomaly(x), by_numpy(x) > ranked[89])
    above = (ranked[None] >= by_numpy(x)[:, None]).sum(axis=1)
    np.testing.assert_allclose(detector.p_value(x), (1 + above) / 100)
    truth = np.arange(120) >= 60
    area = detector.evaluate(x, truth).auroc.value
    assert area == pytest.approx(roc_auc_score(truth, by_numpy(x)))


def test_company_and_order_change_no_bit(detector):
    x, order = images(150, 1), np.random.RandomState(0).permutation(150)
    np.testing.assert_array_equal(detector.score(x[order]), detector.score(x)[order])
    np.testing.assert_array_equal(detector.score(x[5:6]), detector.score(x)[5:6])
    batches = tf.data.Dataset.from_tensor_slices(x).batch(40)
    np.testing.assert_array_equal(detector.score(batches), detector.score(x))


def test_saved_and_loaded_it_says_the_same(detector, tmp_path):
    x = images(70, 1)
    detector.model.center.assign(np.full(SHAPE, 0.4))
    detector.calibrate(images(99, 0), 0.1)
    detector.save(tmp_path / "it")
    after = AnomalyDetector.load(tmp_path / "it", model=Distance())
    np.testing.assert_array_equal(after.score(x), detector.score(x))
    np.testing.assert_array_equal(after.is_anomaly(x), detector.is_anomaly(x))
    assert after.threshold == detector.threshold
    after.save(tmp_path / "again")


def test_another_model_does_not_fit_the_file(detector, tmp_path, complains):
    path = tmp_path / "it"
    detector.save(path)
    load = AnomalyDetector.load
    complains(lambda: load(path), "Distance", "build the model as you did")
    complains(lambda: load(path, model=Distance((3, 2, 2))), "arrays of weights")
    vae = VAE(2, data_shape=SHAPE, network="dense", hidden=(5,))
    complains(lambda: load(path, model=vae), "weights")
    AnomalyDetector(vae, "relative").calibrate(np.clip(images(40, 0), 0, 1)).save(tmp_path / "vae")
    complains(lambda: load(tmp_path / "vae", model=Distance()), "weights")


def test_other_weights_make_the_calibration_stale(detector):
    detector.model.center.assign_add(np.full(SHAPE, 0.1))  # not trained, and still seen
    for use in (detector.is_anomaly, detector.p_value):
        with pytest.raises(NotFittedError, match="calibrate again"):
            use(images(3, 1))
    detector.score(images(3, 1))  # needs no threshold
    assert detector.calibrate(images(99, 0), 0.1).is_anomaly(images(3, 1)).shape == (3,)


def test_rows_and_streams(tmp_path):
    rows = np.random.RandomState(0).randn(300, 4).astype("float32")
    detector = AnomalyDetector(Distance((4,), 0.0)).calibrate(rows[:99], 0.1)
    found = Stream(detector, "fixed").push(rows[99:])
    np.testing.assert_allclose(found.scores, (rows[99:] ** 2).sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(found.alarms, detector.is_anomaly(rows[99:]))


def test_a_model_that_does_not_repeat_itself_is_refused(complains):
    rng = np.random.RandomState(0)
    detector = AnomalyDetector(answering(lambda x: rng.rand(len(x))))
    complains(lambda: detector.calibrate(images(40, 0)), "other numbers", "fix the seed")
    assert detector.threshold is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x.sum(), ("shape ()", "expected (64,)")),
        (lambda x: x[:, 0], ("shape (64, 2, 1)", "expected (64,)")),
        (lambda x: x[:9].sum(axis=(1, 2, 3)), ("shape (9,)", "expected (64,)")),
        (lambda x: np.array(["odd"] * len(x)), ("dtype", "of numbers")),
        (lambda x: np.full(len(x), np.nan), ("images [0, 1, 2, 3, 4] and others", "not finite")),
    ],
)
def test_wrong_scores_are_refused(answer, words, complains):
    detector = AnomalyDetector(answering(answer))
    complains(lambda: detector.score(images(7, 0)), *words)


def test_wrong_models_and_arguments_are_refused(complains):
    complains(lambda: AnomalyDetector(Distance(), "relative"), "'relative'", "expected None")
    complains(lambda: AnomalyDetector([Distance()]), "Distance", "expected a VAE")
    complains(lambda: AnomalyDetector(keras.Sequential()), "Sequential", "form(name)", "score(")
    bare = Distance()
    bare.form = lambda name="x": SHAPE
    complains(lambda: AnomalyDetector(bare), "tuple", "batches.Form")
    empty = answering(by_numpy)
    empty.__class__ = type("Empty", (Distance,), {"weights": []})
    complains(lambda: AnomalyDetector(empty), "without weights", "a built one")
    detector = AnomalyDetector(Distance()).calibrate(images(40, 0))
    complains(lambda: detector.score(images(3, 0)[:, :2]), "items has shape (3, 2, 2, 1)")
    complains(lambda: detector.score(images(3, 0) * np.nan), "NaN")
    complains(lambda: detector.calibrate(images(9, 0), classes=np.zeros(9, int)), "classes came")
    plain = Distance()
    plain.heatmap = None
    complains(lambda: AnomalyDetector(plain).explain(images(3, 0)), "no heatmap", "Distance")


def test_a_vae_is_still_a_vae():
    class Scoring(VAE):
        """A VAE that has a `score`, too: the detector's score is still the one asked for."""

        def score(self, images):
            raise AssertionError

    model = Scoring(2, Gaussian(0.3), (4, 4, 1), "dense", hidden=(5,))
    x = np.random.RandomState(0).rand(40, 4, 4, 1).astype("float32")
    assert AnomalyDetector(model, "reconstruction").calibrate(x).score(x).shape == (40,)


def test_exported_it_says_the_same(detector, tmp_path, complains):
    detector.export(tmp_path / "graph")
    x, model = images(70, 4, 0.2), tf.saved_model.load(str(tmp_path / "graph"))
    found = model.serve(x)
    np.testing.assert_allclose(found["score"], detector.score(x), rtol=1e-5)
    np.testing.assert_array_equal(found["is_anomaly"], detector.is_anomaly(x))
    for answer in (lambda x: np.asarray(x).sum((1, 2, 3)), by_numpy):
        by_hand = AnomalyDetector(answering(answer)).calibrate(images(99, 0), 0.1)
        complains(lambda d=by_hand: d.export(tmp_path / "other"), "Distance", "keras.ops")
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_the_example_of_the_reference_runs(tmp_path, monkeypatch):
    page = Path(__file__).parents[2] / "api" / "detector.md"
    (*_, example) = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    rows = np.random.RandomState(0).randn(80, 4).astype("float32")
    monkeypatch.chdir(tmp_path)
    given = {"train": rows[:40], "calibration": rows[40:]}
    exec(example, given)
    center = rows[:40].mean(axis=0)
    expected = ((rows - center) ** 2).sum(axis=1)
    np.testing.assert_allclose(given["detector"].score(rows), expected, rtol=1e-4)
