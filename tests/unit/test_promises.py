"""What a detector promises, whatever its score, model, likelihood and precision: `api/promises.md`.

Each promise is a test over all of them, as scikit-learn checks its estimators.
"""

from __future__ import annotations

import copy
import functools
import pickle
import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.exceptions import NotFittedError

from vae_lib import VAE, AnomalyDetector, ConditionalVAE, Gaussian, MixtureVAE, scores

SMALL = {"latent_dim": 2, "data_shape": (4, 4, 1), "network": "dense", "hidden": (6,)}
CONV = {**SMALL, "network": "conv", "hidden": (3,)}
TABLE = {**SMALL, "data_shape": (7,)}
MODELS = {
    "bernoulli": lambda: VAE(**CONV),
    "gaussian": lambda: VAE(**SMALL, likelihood=Gaussian(0.3)),
    "per pixel": lambda: VAE(**SMALL, likelihood=Gaussian("per_pixel")),
    "table": lambda: VAE(**TABLE, likelihood="gaussian", standardise=True),
    "conditional": lambda: ConditionalVAE(2, **SMALL),
    "mixture": lambda: MixtureVAE(components=2, **SMALL),
    "one a class": lambda: [VAE(**SMALL, seed=c) for c in range(2)],
    "mixed_float16": lambda: VAE(**CONV, dtype="mixed_float16"),
    "mixed_bfloat16": lambda: VAE(**SMALL, likelihood="gaussian", dtype="mixed_bfloat16"),
    "float64": lambda: VAE(**SMALL, likelihood=Gaussian(0.3), dtype="float64"),
}


def suits(kind: str, name: str) -> bool:
    """All scores with a Gaussian model; with the others one of nats, and one of all the rest."""
    if kind == "gaussian":
        return True
    if kind == "table":
        return name in ("bound", "joint")
    return name in ("probability" if kind == "mixture" else "bound", "fusion")  # its parts too


ALL = [(kind, name) for kind in MODELS for name in scores.SCORES if suits(kind, name)]
each_detector = pytest.mark.parametrize(("kind", "name"), ALL)
each_model = pytest.mark.parametrize("kind", MODELS)


def data(kind: str, n: int, seed: int) -> np.ndarray:
    shape = TABLE["data_shape"] if kind == "table" else SMALL["data_shape"]
    return np.random.RandomState(seed).rand(n, *shape).astype("float32")


@functools.cache
def trained(kind: str):
    """A model that has seen a little; the module's own, so no test may leave it changed."""
    keras.utils.set_random_seed(0)
    model, x = MODELS[kind](), data(kind, 32, 0)
    for one in model if isinstance(model, list) else [model]:
        one.compile(keras.optimizers.SGD(1e-3), run_eagerly=True)
        labels = (np.arange(32) % 2,) if kind == "conditional" else ()
        one.fit(x, *labels, epochs=1, verbose=0)
    return model


SHARED = {name: scores.get(name) for name in scores.SCORES}  # all detectors are given these


@functools.cache
def detector(kind: str, name: str) -> AnomalyDetector:
    classes = np.arange(60) % 2 if kind in ("conditional", "one a class") else None
    with warnings.catch_warnings():  # directions in a table: the warning has a test of its own
        warnings.simplefilter("ignore")
        made = AnomalyDetector(trained(kind), SHARED[name])
    return made.calibrate(data(kind, 60, 1), 0.2, classes=classes)


def models(kind: str) -> list:
    found = trained(kind)
    return found if isinstance(found, list) else [found]


@functools.cache
def clone(kind: str, name: str) -> AnomalyDetector:
    return copy.deepcopy(detector(kind, name))


@functools.cache
def expected(kind: str, name: str) -> np.ndarray:
    """Scores of 37 images: two blocks and a part of a third."""
    return detector(kind, name).score(data(kind, 37, 2))


@each_detector
def test_scores_are_finite_or_an_error(kind, name):
    found = expected(kind, name)
    assert found.shape == (37,) and found.dtype == "float64" and np.isfinite(found).all()
    x = data(kind, 3, 3)
    # a Bernoulli model refuses them by their range, and names it; the others take any number
    for size in (1e3, 1e6, 1e12, 1e20, 1e38):
        x[1] = size
        try:
            flags, p = detector(kind, name).is_anomaly(x), detector(kind, name).p_value(x)
        except ValueError as error:
            assert re.search(r"images \[.*1.*\] is not finite|expected 0\.\.1", str(error))
        else:
            np.testing.assert_array_equal(flags, p <= 0.2)


@each_detector
def test_the_same_call_gives_the_same_bits(kind, name):
    np.testing.assert_array_equal(
        detector(kind, name).score(data(kind, 37, 2)), expected(kind, name)
    )


@each_detector
def test_company_and_order_change_no_bit(kind, name):
    x, order = data(kind, 37, 2), np.random.RandomState(0).permutation(37)
    np.testing.assert_array_equal(detector(kind, name).score(x[order]), expected(kind, name)[order])
    np.testing.assert_array_equal(detector(kind, name).score(x[5:6]), expected(kind, name)[5:6])


@each_detector
def test_saved_and_loaded_it_says_the_same(kind, name, tmp_path):
    before, x = detector(kind, name), data(kind, 37, 2)
    before.save(tmp_path / "it")
    after = AnomalyDetector.load(tmp_path / "it")
    np.testing.assert_array_equal(after.score(x), expected(kind, name))
    np.testing.assert_array_equal(after.is_anomaly(x), before.is_anomaly(x))
    np.testing.assert_array_equal(after.p_value(x), before.p_value(x))
    np.testing.assert_array_equal(after.threshold, before.threshold)


ELSEWHERE = """
import sys, numpy as np
from pathlib import Path
from vae_lib import AnomalyDetector
for path in sorted(Path(sys.argv[1]).glob("*.detector")):
    with np.load(path.with_suffix(".npz")) as given:
        found = AnomalyDetector.load(path).score(given["x"])
        print(path.stem, np.array_equal(found, given["scores"]))
"""


def test_another_process_says_the_same(tmp_path):
    for kind, name in ALL:
        path = tmp_path / f"{kind} {name}.detector"
        detector(kind, name).save(path)
        np.savez(path.with_suffix(".npz"), x=data(kind, 37, 2), scores=expected(kind, name))
    words = [sys.executable, "-c", ELSEWHERE, str(tmp_path)]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    assert sorted(told) == sorted(f"{kind} {name} True" for kind, name in ALL)


@each_detector
def test_pickled_and_copied_it_says_the_same_in_many_threads(kind, name):
    before, x = detector(kind, name), data(kind, 37, 2)
    expected(kind, name)  # it has scored, and holds compiled graphs
    copies = [clone(kind, name)]
    if name == "fusion":  # copies are made by the same code
        copies.append(pickle.loads(pickle.dumps(before)))
    for after in copies:
        with ThreadPoolExecutor(4) as pool:  # the first call of each copy, four times at once
            for found in pool.map(after.score, [x] * 4):
                np.testing.assert_array_equal(found, expected(kind, name))
        np.testing.assert_array_equal(after.is_anomaly(x), before.is_anomaly(x))


@each_detector
def test_arguments_and_other_objects_stay_as_they_were(kind, name):
    x = data(kind, 37, 2)
    x.setflags(write=False)
    weights = [w.copy() for one in models(kind) for w in one.get_weights()]
    policy, state = keras.config.dtype_policy(), np.random.get_state()[1].copy()
    it = detector(kind, name)
    for call in (it.score, it.is_anomaly, it.p_value):
        call(x)
    np.testing.assert_array_equal(x, data(kind, 37, 2))
    for before, after in zip(
        weights, (w for one in models(kind) for w in one.get_weights()), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    assert keras.config.dtype_policy() == policy
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@each_detector
@pytest.mark.filterwarnings("ignore:score is .* directions")
def test_detectors_of_one_score_object_do_not_disturb_each_other(kind, name):
    first, x = detector(kind, name), data(kind, 37, 2)
    before, flags = expected(kind, name), first.is_anomaly(x)
    classes = np.arange(60) % 2 if kind in ("conditional", "one a class") else None
    second = AnomalyDetector(trained(kind), SHARED[name])
    second.calibrate(1 - data(kind, 60, 8), 0.2, classes=classes)
    np.testing.assert_array_equal(first.score(x), before)
    np.testing.assert_array_equal(first.is_anomaly(x), flags)
    assert not SHARED[name].learned or not SHARED[name].fitted


@each_detector
def test_a_retrained_model_makes_the_calibration_stale(kind, name):
    it, x = detector(kind, name), data(kind, 37, 2)
    weight = models(kind)[0].encoder.weights[ALL.index((kind, name)) % 4]
    before = weight.numpy()
    try:
        weight.assign(before + np.float32(1e-3))
        for call in (it.is_anomaly, it.p_value):
            with pytest.raises(ValueError, match=r"weights.*(calibrate|fit) again"):
                call(x)
        with pytest.raises(NotFittedError, match="calibrate again"):
            it.save("nowhere")
    finally:
        weight.assign(before)
    np.testing.assert_array_equal(it.score(x), expected(kind, name))


@each_detector
def test_batches_give_what_arrays_give(kind, name):
    it, x = detector(kind, name), data(kind, 37, 2)
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(7)
    np.testing.assert_array_equal(it.score(dataset), expected(kind, name))
    np.testing.assert_array_equal(it.is_anomaly(dataset), it.is_anomaly(x))
    np.testing.assert_array_equal(it.p_value(dataset), it.p_value(x))


@each_model
def test_calibration_and_evaluation_take_batches_too(kind):
    x, truth = data(kind, 60, 1), np.arange(60) % 3 == 0
    classes = np.arange(60) % 2
    rows = (x, classes) if kind in ("conditional", "one a class") else (x,)
    dataset = tf.data.Dataset.from_tensor_slices(rows).batch(7)
    name = "reconstruction"
    it = AnomalyDetector(trained(kind), name).calibrate(dataset, 0.2)
    np.testing.assert_array_equal(it.threshold, detector(kind, name).threshold)
    labelled = tf.data.Dataset.from_tensor_slices((x, truth)).batch(11)
    by_batches, by_arrays = it.evaluate(labelled, resamples=5), it.evaluate(x, truth, 5)
    assert by_batches[:-1] == by_arrays[:-1]


@each_detector
def test_a_refused_calibration_changes_nothing(kind, name):
    it, x = clone(kind, name), data(kind, 37, 2)
    classes = np.arange(60) % 2 if kind in ("conditional", "one a class") else None
    with pytest.raises(ValueError, match="expected"):  # too few images for the rate
        it.calibrate(1 - data(kind, 60, 4), 0.001, classes=classes)
    np.testing.assert_array_equal(it.score(x), expected(kind, name))
    np.testing.assert_array_equal(it.is_anomaly(x), detector(kind, name).is_anomaly(x))


@each_model
def test_a_loaded_model_has_the_precision_it_was_saved_with(kind, tmp_path):
    detector(kind, "reconstruction").save(tmp_path / "it")
    loaded = AnomalyDetector.load(tmp_path / "it").model
    for one, other in zip(
        models(kind), loaded if isinstance(loaded, list) else [loaded], strict=True
    ):
        assert type(other) is type(one) and other.dtype_policy == one.dtype_policy
        assert other.encoder.dtype_policy == one.encoder.dtype_policy


@each_detector
def test_errors_name_what_came_and_what_is_expected(kind, name):
    it, x = detector(kind, name), data(kind, 37, 2)
    for wrong, words in (
        (x[:, :3], r"items has shape \(37, 3"),
        (x.astype("int64"), "items has dtype int64"),
        (np.where(x > 0.9, np.nan, x), "items contains NaN"),
        (x[:0], "items is empty"),
        (np.ma.masked_array(x, x > 0.5), "items is a masked array"),
        ("x", "items is a str"),
        (None, "items is a NoneType"),
    ):
        for call in (it.score, it.is_anomaly, it.p_value):
            with pytest.raises(ValueError, match=f"{words}.*; expected|{words}"):
                call(wrong)


def test_the_reference_lists_each_promise_with_its_test():
    page = (Path(__file__).parents[2] / "api" / "promises.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    here = {name for name in globals() if name.startswith("test_") and "reference" not in name}
    assert named == here
