"""The exported graph says what the detector says, needs no library, and fails to the safe side."""

from __future__ import annotations

import functools
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.exceptions import NotFittedError

from vae_lib import VAE, AnomalyDetector, ConditionalVAE, Gaussian, MixtureVAE, scores
from vae_lib.detector import export

SMALL = {"latent_dim": 2, "data_shape": (8, 8, 1), "network": "dense", "hidden": (6,)}
DRAWING = ("probability", "elbo", "bound")
MODELS = {
    "bernoulli": (lambda: VAE(**SMALL), "relative"),
    "gaussian": (lambda: VAE(likelihood=Gaussian(0.3), **SMALL), "auto"),
    "convolutions": (lambda: VAE(**{**SMALL, "network": "conv"}), "neighbours"),
    "table": (
        lambda: VAE(likelihood="gaussian", standardise=True, **{**SMALL, "data_shape": (7,)}),
        "joint",
    ),
    "series": (
        lambda: VAE(likelihood="gaussian", **{**SMALL, "data_shape": (16, 2), "network": "conv1d"}),
        "reconstruction",
    ),
    "conditional": (lambda: ConditionalVAE(2, **SMALL), "fusion"),
    "one a class": (lambda: [VAE(**SMALL, seed=c) for c in range(2)], "fusion"),
    "mixture": (lambda: MixtureVAE(2, **SMALL), "reconstruction"),
    "mixed_float16": (lambda: VAE(dtype="mixed_float16", **SMALL), "reconstruction"),
    "float64": (lambda: VAE(dtype="float64", likelihood=Gaussian(0.3), **SMALL), "local"),
}


def data(shape, n: int, seed: int, dtype="float32") -> np.ndarray:
    return np.random.RandomState(seed).rand(n, *shape).astype(dtype)


@functools.cache
def made(kind: str, score: str | None = None, method: str = "conformal") -> AnomalyDetector:
    """A detector of 120 normal images; of a model that need not have learned anything."""
    keras.utils.set_random_seed(0)
    make, own = MODELS[kind]
    model = make()
    first = model[0] if isinstance(model, list) else model
    x = data(first.data_shape, 120, 0)
    if first.columns is not None:
        first.adapt(x)
    with warnings.catch_warnings():  # a tail that fits badly, directions in a table
        warnings.simplefilter("ignore")
        detector = AnomalyDetector(model, score or own)
        classes = np.arange(120) % 2 if detector._now.by_class else None
        return detector.calibrate(x, 0.1, method, classes=classes)


def exported(detector: AnomalyDetector, folder: Path, images: np.ndarray) -> dict:
    """What the SavedModel says."""
    detector.export(folder / "graph")
    model = tf.saved_model.load(str(folder / "graph"))
    return {name: value.numpy() for name, value in model.serve(images).items()}


def new(detector: AnomalyDetector, n: int = 500) -> np.ndarray:
    model = detector.model[0] if isinstance(detector.model, list) else detector.model
    images = data(model.data_shape, n, 1, model.variable_dtype)
    images[::3] = images[::3] > 0.5  # anomalies, of more contrast
    return images


def assert_same(found: dict, detector: AnomalyDetector, images: np.ndarray) -> None:
    expected = detector.score(images)
    close = 1e-5 * expected.max()  # a fusion's squares of small differences lose digits
    np.testing.assert_allclose(found["score"], expected, rtol=1e-5, atol=close)
    distances = detector.class_scores(images)[..., None] - detector.calibration_scores
    near = np.abs(distances) <= 2 * close
    apart = ~near.any(axis=(1, 2))  # rounding may put the others on the other side
    assert apart.mean() > 0.7
    p_values, alarms = detector.p_value(images), detector.is_anomaly(images)
    np.testing.assert_allclose(found["p_value"][apart], p_values[apart], rtol=1e-5)
    np.testing.assert_array_equal(found["is_anomaly"][apart], alarms[apart])
    assert 0 < alarms.mean() < 1  # both are there


DRAWING_NONE = [("gaussian", name) for name in scores.SCORES if name not in DRAWING]


@pytest.mark.parametrize(("kind", "score"), [*((kind, None) for kind in MODELS), *DRAWING_NONE])
def test_the_graph_equals_the_detector_on_500(kind, score, tmp_path):
    detector = made(kind, score)
    images = new(detector)
    assert_same(exported(detector, tmp_path, images), detector, images)


@pytest.mark.parametrize("name", DRAWING)
def test_a_score_that_draws_is_refused(name, tmp_path, complains):
    export_it = lambda: made("gaussian", name).export(tmp_path / "graph")  # noqa: E731
    complains(export_it, f"score is {name!r}", "random numbers", "StatelessRandom", "expected")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("draw", ["normal", "truncated_normal", "uniform", "gamma"])
def test_whatever_is_drawn_is_seen(draw, tmp_path, complains):
    class Drawn(scores.Score):
        def terms(self, vae, x):
            noise = getattr(keras.random, draw)((8,), *[1.0] * (draw == "gamma"), seed=3)
            return keras.ops.sum(x, axis=(1, 2, 3)) + keras.ops.max(noise)

    detector = AnomalyDetector(VAE(**SMALL), Drawn()).calibrate(data((8, 8, 1), 40, 0), 0.1)
    complains(lambda: detector.export(tmp_path / "graph"), "score is Drawn", "random numbers")


def test_a_score_that_calls_python_is_refused(tmp_path, complains):
    class InPython(scores.Score):
        def terms(self, vae, x):
            return tf.ensure_shape(
                tf.numpy_function(lambda a: a.sum((1, 2, 3)), [x], "float32"), (None,)
            )

    x = data(SMALL["data_shape"], 40, 0)
    detector = AnomalyDetector(VAE(**SMALL), InPython()).calibrate(x, 0.1)
    complains(lambda: detector.export(tmp_path / "graph"), "score is InPython", "calls Python")


@pytest.mark.parametrize("method", ["conformal", "quantile", "tail"])
def test_no_operation_is_random_and_p_values_are_counted(method, tmp_path):
    detector = made("bernoulli", method=method)
    images = new(detector)
    detector.export(tmp_path / "graph")
    model = tf.saved_model.load(str(tmp_path / "graph"))
    graph = model.signatures["serve"].graph.as_graph_def()
    names = {node.op for part in graph.library.function for node in part.node_def}
    assert len(names) > 10 and not any("Random" in name for name in names)
    found = {k: v.numpy() for k, v in model.serve(images).items()}
    counted = [1 + (detector.calibration_scores >= s).sum() for s in found["score"].astype(float)]
    np.testing.assert_allclose(found["p_value"], np.array(counted) / 121, rtol=1e-6)
    alarms = found["score"].astype("float64") > detector.threshold
    np.testing.assert_array_equal(found["is_anomaly"], alarms)


def test_a_score_at_the_threshold_is_no_alarm():
    found = made("bernoulli")._now.calibration
    judge = export._judge(found, "float32")
    limit = np.float32(found.thresholds[0])
    around = np.array([np.nextafter(limit, 0), limit, np.nextafter(limit, np.float32(9))])
    _, alarms = judge(tf.constant(around[:, None]))
    np.testing.assert_array_equal(alarms, around.astype("float64") > found.thresholds[0])
    for shift, expected in ((1e-12, [False, False, True]), (-1e-12, [False, True, True])):
        between = found._replace(thresholds=np.array([float(limit) + shift]))  # no float32
        _, alarms = export._judge(between, "float32")(tf.constant(around[:, None]))
        np.testing.assert_array_equal(alarms, expected)


def test_an_equal_score_counts_in_a_p_value():
    found = made("bernoulli")._now.calibration
    p_values, _ = export._judge(found, "float32")(tf.constant(found.scores[:, None], "float32"))
    np.testing.assert_allclose(p_values, found.p_values(found.scores[:, None]), rtol=1e-6)


ODD = [(kind, v) for kind in ("gaussian", "table") for v in (np.nan, np.inf, -np.inf, 3e38)]
OUTSIDE = [("bernoulli", value) for value in (np.nan, np.inf, -np.inf, 3e38, -0.01, 1.01)]


@pytest.mark.parametrize(("kind", "value"), [*ODD, *OUTSIDE])
def test_what_the_library_refuses_is_an_anomaly(kind, value, tmp_path):
    detector = made(kind, "reconstruction")
    images = new(detector, 4)
    clean = exported(detector, tmp_path, images)
    model = tf.saved_model.load(str(tmp_path / "graph"))
    images[1].flat[3] = value
    with pytest.raises(ValueError):
        detector.score(images[1:2])
    odd = {name: part.numpy() for name, part in model.serve(images).items()}
    assert np.isnan(odd["score"][1]) and np.isnan(odd["p_value"][1]) and odd["is_anomaly"][1]
    for name, part in clean.items():
        np.testing.assert_array_equal(odd[name][[0, 2, 3]], part[[0, 2, 3]])


WITHOUT = """
import sys
sys.modules["vae_lib"] = None  # an import would fail
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
print(repr([float(s) for s in model.serve(np.load(sys.argv[2]))["score"]]))
"""


def test_the_folder_needs_no_library(tmp_path):
    detector = made("gaussian")
    images = new(detector, 5)
    np.save(tmp_path / "x.npy", images)
    detector.export(tmp_path / "graph")
    arguments = [sys.executable, "-c", WITHOUT, str(tmp_path / "graph"), str(tmp_path / "x.npy")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = eval(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(found, detector.score(images), rtol=1e-4)


def lite(path: Path, images: np.ndarray) -> dict:
    with warnings.catch_warnings():  # says that it will move to a package of its own
        warnings.simplefilter("ignore")
        return tf.lite.Interpreter(str(path)).get_signature_runner("serve")(images=images)


# Not where LiteRT computes otherwise, as it may in models that have not learned anything: it has no
# expm1, so that a KL of nearly 0 may fall below; and activations of 0 have no direction
@pytest.mark.parametrize(
    ("kind", "score"), [("gaussian", "auto"), ("conditional", "reconstruction"), ("table", "joint")]
)
def test_litert_equals_the_detector(kind, score, tmp_path):
    detector = made(kind, score)
    images = new(detector, 100)
    detector.export(tmp_path / "it.tflite", "litert")
    assert_same(lite(tmp_path / "it.tflite", images), detector, images)
    images[0].flat[0] = np.nan
    found = lite(tmp_path / "it.tflite", images)
    assert np.isnan(found["score"][0]) and found["is_anomaly"][0]


def test_smaller_weights_are_smaller_and_close(tmp_path):
    keras.utils.set_random_seed(0)
    vae = VAE(2, Gaussian(0.3), (16, 16, 1), "dense", hidden=(64,))
    images = data((16, 16, 1), 60, 0)
    detector = AnomalyDetector(vae, "reconstruction").calibrate(images, 0.1)
    size = {}
    for precision, close in (("float32", 1e-5), ("float16", 1e-2), ("int8", 0.05)):
        path = tmp_path / precision
        detector.export(path, "litert", precision)
        size[precision] = path.stat().st_size
        np.testing.assert_allclose(lite(path, images)["score"], detector.score(images), rtol=close)
    assert size["int8"] < 0.5 * size["float32"] and size["float16"] < 0.7 * size["float32"]


def test_bad_arguments(tmp_path, complains):
    detector, path = made("bernoulli"), tmp_path / "graph"
    for value in (None, 3, "onnx", ["litert"]):
        complains(lambda v=value: detector.export(path, v), f"format is {value!r}", "expected")
    for value in (None, 8, "int4"):
        words = f"precision is {value!r}", "expected"
        complains(lambda v=value: detector.export(path, "litert", v), *words)
    complains(lambda: detector.export(path, precision="int8"), "precision is 'int8'", "saved_model")
    for value in (None, 3, ""):
        complains(lambda v=value: detector.export(v), f"path is {value!r}", "expected")
    complains(lambda: detector.export(tmp_path / "no" / "graph"), "path is", "a folder that exists")
    (tmp_path / "there").mkdir()
    complains(lambda: detector.export(tmp_path / "there"), "there already")
    complains(lambda: detector.export(tmp_path / "there", "litert"), "is a folder")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "there"]


def test_a_detector_without_threshold_and_one_that_is_stale(tmp_path):
    vae = VAE(**SMALL)
    detector = AnomalyDetector(vae, "reconstruction")
    with pytest.raises(NotFittedError, match="call calibrate first"):
        detector.export(tmp_path / "graph")
    detector.calibrate(data(SMALL["data_shape"], 40, 0), 0.1)
    vae.set_weights([weight + 0.1 for weight in vae.get_weights()])
    with pytest.raises(NotFittedError, match="have changed"):
        detector.export(tmp_path / "graph")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("the converter failed")

    monkeypatch.setattr(export, "_converted", fail)
    path = tmp_path / "it.tflite"
    path.write_bytes(b"the old one")
    with pytest.raises(RuntimeError):
        made("bernoulli").export(path, "litert")
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"the old one"
