"""Wrong data, whoever is called with it, ends in a ValueError that says what came.

The other arguments of models and of detectors, and all other functions, have tables of their own
in the files beside this one, which share what is at its top.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from vae_lib import VAE, AnomalyDetector, ConditionalVAE, Gaussian, MixtureVAE, losses, scores

SHAPE = (4, 4, 1)
SIZES = {"latent_dim": 2, "data_shape": SHAPE, "network": "dense", "hidden": (5,)}
NAN, INF = float("nan"), float("inf")
NO_COUNT = (0, -1, 2.5, "2", None, True, NAN, [2])
NO_SEED = (-1, 1.5, "a", True, 2**32, [1])
NO_RATE = (0, 1, -0.1, 2, NAN, "0.1", None, True, [0.1])
NO_MODELS = {
    "a string": (lambda: "vae", "model is a str"),
    "None": (lambda: None, "model is a NoneType"),
    "a class": (lambda: VAE, "model is a type"),
    "Keras": (lambda: subjects().vae.encoder, "model is a Functional"),
    "a list": (lambda: [3], "model "),
    "a set": (lambda: {subjects().vae}, "model is a set"),
    "a dict": (lambda: {0: subjects().vae}, "model is a dict"),
    "a detector": (lambda: subjects().detector, "model is a AnomalyDetector"),
}

Cases = dict[str, tuple[Callable, tuple[str, ...]]]  # by name: what is called, words of its message


def each(subject: str, argument: str, values: Iterable, call: Callable, *words: str) -> Cases:
    """Wrong values of an argument, which the message shows as they came."""
    return {
        f"{subject}: {argument} {value!r}": (
            functools.partial(call, value),
            (f"{argument} is {value!r}", "expected", *words),
        )
        for value in values
    }


def kinds(subject: str, values: dict[str, tuple], call: Callable, *words: str) -> Cases:
    """Wrong values by name, with what the message says of each."""
    return {
        f"{subject}: {kind}": (functools.partial(call, value), (told, *words))
        for kind, (value, told) in values.items()
    }


def pictures(n: int = 40, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.RandomState(0).rand(n, *shape).astype("float32")


def nan(value: float) -> np.ndarray:
    """Pictures with one wrong pixel."""
    x = pictures()
    x[3, 1, 1] = value
    return x


def masked(x: np.ndarray) -> np.ma.MaskedArray:
    return np.ma.array(x, mask=np.arange(x.size).reshape(x.shape) > x.size / 2)


@functools.cache
def subjects() -> SimpleNamespace:
    """Small models, scores and detectors that work, and the data that they work on."""
    keras.utils.set_random_seed(0)
    it = SimpleNamespace(x=pictures(), rows=2 * pictures(40, (13,)) - 1, y=np.arange(40) % 2)
    it.flags = it.y == 1
    it.vae, it.gaussian = VAE(**SIZES), VAE(likelihood="gaussian", **SIZES)
    it.table = VAE(likelihood=Gaussian(0.5), **{**SIZES, "data_shape": (13,)})
    it.conditional, it.mixture = ConditionalVAE(2, **SIZES), MixtureVAE(2, **SIZES)
    it.models = [it.vae, it.gaussian, it.table, it.conditional, it.mixture]
    # Batches before the wrong one do train
    it.spare, it.spare_conditional = VAE(**SIZES), ConditionalVAE(2, **SIZES)
    for model in (*it.models, it.spare, it.spare_conditional):
        model.compile("adam", run_eagerly=True)
    it.vae.fit(it.x, verbose=0)
    it.latent = scores.get("latent").fit(it.vae, it.x)
    it.detector = AnomalyDetector(it.vae).calibrate(it.x)
    it.learned = AnomalyDetector(it.vae, "latent").calibrate(it.x, 0.1)
    it.by_class = AnomalyDetector(it.conditional).calibrate(it.x, 0.1, classes=it.y)
    it.before = all_of(it)
    return it


def all_of(it: SimpleNamespace) -> list[np.ndarray]:
    """What refused calls must leave as it was."""
    weights = [weight for model in it.models for weight in model.get_weights()]
    detectors = (it.detector, it.learned, it.by_class)
    found = [
        found for d in detectors for found in (d.p_value(it.x), d.is_anomaly(it.x), d.threshold)
    ]
    return [*weights, *it.latent.state().values(), *found]


def assert_unchanged(calls: Iterable[Callable]) -> None:
    """After all these calls, refused or not, and whatever came before in this process."""
    for call in calls:
        with contextlib.suppress(Exception):
            call()
    for found, before in zip(all_of(subjects()), subjects().before, strict=True):
        np.testing.assert_array_equal(found, before)


@pytest.fixture
def it() -> SimpleNamespace:
    return subjects()


# Whom it is given to, and what the argument is called there

CALLS = {
    "encode": (lambda it, x: it.vae.encode(x), "x"),
    "reconstruct": (lambda it, x: it.vae.reconstruct(x), "x"),
    "predict": (lambda it, x: it.vae.predict(x, verbose=0), "x"),
    "evaluate": (lambda it, x: it.vae.evaluate(x, verbose=0), "x"),
    "fit": (lambda it, x: it.spare.fit(x, verbose=0), "x"),
    "compute_loss": (lambda it, x: losses.compute_loss(it.vae, x), "x"),
    "bound": (lambda it, x: losses.importance_weighted_bound(it.vae, x, 1), "x"),
    "mixture": (lambda it, x: it.mixture.responsibilities(x), "x"),
    "given": (lambda it, x: it.conditional.given(0).encode(x), "x"),
    "with labels": (lambda it, x: it.conditional.reconstruct(x, it.y), "x"),
    "fit with labels": (lambda it, x: it.spare_conditional.fit(x, it.y, verbose=0), "x"),
    "predict with labels": (lambda it, x: it.conditional.predict(x, it.y, verbose=0), "x"),
    "score": (lambda it, x: scores.get("kl")(it.vae, x), "images"),
    "fit of a score": (lambda it, x: scores.get("latent").fit(it.vae, x), "images"),
    "map": (lambda it, x: scores.get("local").map(it.vae, x), "images"),
    "detector": (lambda it, x: it.learned.score(x), "items"),
    "alarm": (lambda it, x: it.detector.is_anomaly(x), "items"),
    "p_value": (lambda it, x: it.learned.p_value(x), "items"),
    "heatmap": (lambda it, x: it.by_class.explain(x), "items"),
    "closest_class": (lambda it, x: it.by_class.closest_class(x), "items"),
    "calibrate": (lambda it, x: it.detector.calibrate(x), "items"),
    "calibrate a learner": (lambda it, x: it.learned.calibrate(x), "items"),
    "figures": (lambda it, x: it.detector.evaluate(x, it.flags), "items"),
}
# Each looks at its data in a way of its own; the others share theirs with one of these
DOORS = ("encode", "fit", "compute_loss", "with labels", "score", "alarm", "calibrate")
SOME = ("None", "a generator", "a list of images", "another size", "masked", "uint8", "NaN")
BATCHED = ("predict", "evaluate", "fit", "score", "fit of a score", "alarm", "heatmap", "figures")
SYMBOLIC = (*BATCHED, "map", "calibrate", "calibrate a learner", "predict with labels")


def validate(it, x):
    it.spare.fit(it.x[:8], validation_data=x, batch_size=8, verbose=0)


# What is not even an array: only its type can be told

NO_ARRAYS = {
    "None": None,
    "a string": "x",
    "bytes": b"x",
    "a number": 3,
    "a float": 2.5,
    "a bool": True,
    "an empty list": [],
    "a list": [1, 2],
    "a ragged list": [[1.0], [2.0, 3.0]],
    "a list of images": list(pictures(2)),
    "a tuple": (pictures(), pictures()),
    "a dict": {"x": pictures()},
    "a set": set(),
    "an object": object(),
    "a function": lambda: None,
    "a range": range(4),
    "a sparse matrix": scipy.sparse.csr_matrix(np.eye(16)),
    "a score": scores.get("kl"),
    "a generator": iter([pictures()]),
}


# Arrays that are none of shape (n, 4, 4, 1) of floats in 0..1, and what the message says of them

ARRAYS = {
    "a scalar": (np.float32(3), "shape ()"),
    "one image": (pictures()[0], "shape (4, 4, 1)"),
    "flat": (pictures().reshape(40, 16), "shape (40, 16)"),
    "no channels": (pictures()[..., 0], "shape (40, 4, 4)"),
    "channels first": (pictures(40, (1, 4, 4)), "shape (40, 1, 4, 4)"),
    "three channels": (pictures(40, (4, 4, 3)), "shape (40, 4, 4, 3)"),
    "another size": (pictures(40, (5, 5, 1)), "shape (40, 5, 5, 1)"),
    "an axis too many": (pictures()[None], "shape (1, 40, 4, 4, 1)"),
    "none at all": (pictures(0), "empty"),
    "no pixels": (pictures(40, (0, 4, 1)), "shape (40, 0, 4, 1)"),
    "masked": (masked(pictures()), "masked"),
    "int64": (np.ones((40, *SHAPE), "int64"), "dtype int64"),
    "uint8": (np.ones((40, *SHAPE), "uint8"), "dtype uint8"),
    "bools": (pictures() > 0.5, "dtype bool"),
    "complex": (pictures().astype("complex64"), "dtype complex64"),
    "strings": (pictures().astype("U4"), "dtype <U"),
    "objects": (pictures().astype("O"), "dtype object"),
    "dates": (np.zeros((40, *SHAPE), "datetime64[s]"), "dtype datetime64[s]"),
    "records": (np.zeros((40, *SHAPE), [("a", "f4")]), "dtype [('a', '<f4')]"),
    "NaN": (nan(NAN), "NaN or infinite"),
    "infinity": (nan(INF), "NaN or infinite"),
    "minus infinity": (nan(-INF), "NaN or infinite"),
    "above 1": (nan(1.5), "values in"),
    "below 0": (nan(-0.5), "values in -0.5.."),
    "levels up to 255": (255 * pictures(), "values in"),
    "too large for float32": (nan(1).astype("float64") * 1e300, "values in"),
    "a ragged tensor": (lambda: tf.ragged.constant([[0.1], [0.2, 0.3]]), "RaggedTensor"),
    "a sparse tensor": (lambda: tf.sparse.from_dense(pictures()), "SparseTensor"),
    "a tensor of integers": (lambda: tf.ones((40, *SHAPE), "int32"), "dtype int32"),
    "a tensor of another shape": (lambda: tf.ones((40, 16)), "shape (40, 16)"),
}


# Batches, of which each may be wrong in its own way


def dataset(*x) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(x[0] if len(x) == 1 else x).batch(20)


STREAMS = {
    "unbatched": (lambda: tf.data.Dataset.from_tensor_slices(pictures()), "(4, 4, 1)"),
    "of another shape": (lambda: dataset(pictures(40, (5, 5, 1))), "(None, 5, 5, 1)"),
    "of integers": (lambda: dataset(np.ones((40, *SHAPE), "uint8")), "uint8"),
    "of strings": (lambda: dataset(["a", "b"]), "string"),
    "of dicts": (lambda: dataset({"x": pictures()}), "{'x':"),
    "with NaN": (lambda: dataset(nan(NAN)), "NaN or infinite"),
    "with infinity": (lambda: dataset(nan(INF)), "NaN or infinite"),
    "above 1": (lambda: dataset(nan(1.5)), "values in"),
    "no batch": (lambda: dataset(pictures()).take(0), "empty"),
    "all left out": (lambda: dataset(pictures()).filter(lambda x: False), "empty"),
}


def cases(values) -> list:
    """All of them through the doors, some of them everywhere."""
    pairs = [(c, v) for c in CALLS for v in values if c in DOORS or v in SOME]
    return [pytest.param(*pair, id=": ".join(pair)) for pair in pairs]


@pytest.mark.parametrize(("call", "value"), cases(NO_ARRAYS))
def test_no_array(it, complains, call, value):
    (act, name), x = CALLS[call], NO_ARRAYS[value]
    complains(lambda: act(it, x), f"{name} is a {type(x).__name__}; expected floats of shape")


@pytest.mark.parametrize(("call", "value"), cases(ARRAYS))
def test_wrong_array(it, complains, call, value):
    (act, name), (x, told) = CALLS[call], ARRAYS[value]
    x = x() if callable(x) else x  # tensors are made when they are needed
    complains(lambda: act(it, x), f"{name} ", told, "expected")


@pytest.mark.parametrize("value", ["another size", "uint8", "NaN"])
def test_wrong_array_in_a_pass(it, complains, value):
    """Keras makes a tensor of what it can before the model sees it."""
    complains(lambda: it.vae(ARRAYS[value][0]), "x ", ARRAYS[value][1], "expected")


@pytest.mark.parametrize("value", SOME)
def test_wrong_validation_data(it, complains, value):
    x = NO_ARRAYS[value] if value in NO_ARRAYS else ARRAYS[value][0]
    for form in ((x,), [x, None, np.ones(40)], x if hasattr(x, "shape") else (x, None)):
        complains(lambda form=form: validate(it, form), "validation_data ", "expected")


LEVELS = {
    "an array": lambda: 255 * pictures(),
    "a dark one": lambda: (30 * pictures()).astype("float64"),
    "a dataset": lambda: dataset(255 * pictures()),
    "16 bits": lambda: 65535 * pictures(),
}


@pytest.mark.parametrize("value", LEVELS)
@pytest.mark.parametrize("call", ["fit", "evaluate", "predict", "score"])
def test_levels_where_any_number_may_come(it, complains, call, value):
    """A Gaussian likelihood has no bounds, and yet levels up to 255 ruin a training."""
    with_any = SimpleNamespace(vae=it.gaussian, spare=it.gaussian)
    act, name = CALLS[call]
    complains(lambda: act(with_any, LEVELS[value]()), f"{name} ", "values in", "divide by 255")


@pytest.mark.parametrize(
    "x",
    [
        pictures() * 8,
        pictures() * 100 - 50,
        nan(1e4) * [[[[1.0]]]],
        np.zeros((3, *SHAPE), "float32"),
    ],
    ids=["of some units", "standardised", "a hot pixel", "black"],
)
def test_what_is_not_taken_for_levels(it, x):
    for given in (x, dataset(x)):
        assert it.gaussian.predict(given, verbose=0).shape == x.shape
    rows = 1000 + 100 * pictures(40, (13,))
    assert it.table.predict(rows, verbose=0).shape == rows.shape


@pytest.mark.parametrize("value", STREAMS)
@pytest.mark.parametrize("call", [*BATCHED, "validation_data"])
def test_wrong_batches(it, complains, call, value):
    act, name = (validate, call) if call == "validation_data" else CALLS[call]
    make, told = STREAMS[value]
    complains(lambda: act(it, make()), f"{name} ", told, "expected")


@pytest.mark.parametrize("call", BATCHED[3:])
def test_endless_batches(it, complains, call):
    (act, name), x = CALLS[call], dataset(pictures()).repeat()
    complains(lambda: act(it, x), f"{name} repeats for ever; expected")


@pytest.mark.parametrize("call", ["encode", "bound", "mixture", "given"])
def test_one_batch_is_an_array(it, complains, call):
    x = dataset(pictures())
    complains(lambda: CALLS[call][0](it, x), f"x is a {type(x).__name__}", "expected one batch")


@pytest.mark.parametrize("call", SYMBOLIC)
def test_what_has_no_values(it, complains, call):
    (act, name), x = CALLS[call], keras.KerasTensor((None, *SHAPE))
    complains(lambda: act(it, x), f"{name} is a KerasTensor; expected floats of shape")


def test_nothing_has_changed(it):
    values = [None, *(x for x, _ in ARRAYS.values() if not callable(x))]
    acts = [act for act, _ in CALLS.values()]
    assert_unchanged(functools.partial(act, it, x) for act in acts for x in values)
