"""The models of a detector: VAEs, or one of your own; their state, and the models made of states.

A model from a file is built by this library's own builders, from sizes that are checked first.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol

import keras
import numpy as np

from .. import networks, saving
from ..batches import Form
from ..classes import ConditionalVAE, Given, MixtureVAE
from ..likelihoods import Bernoulli, Gaussian
from ..model import POLICIES, VAE
from ..scores.base import Score, fingerprint_of

METHODS = "with the methods form(name) and score(images)"
EXPECTED = "expected a VAE, a list of VAEs, one for each normal class, or a Keras model of your own"
EXPECTED += f", {METHODS}"
OWN_SCORE = "the model's own"  # what a file calls the score of a `Scorer`
BLOCK = 64  # examples that a `Scorer` is asked for at once

MODELS = {kind.__name__: kind for kind in (VAE, ConditionalVAE, MixtureVAE)}
LIKELIHOODS = {kind.__name__: kind for kind in (Bernoulli, Gaussian)}
HIDDEN = {
    name: inspect.signature(encoder).parameters["hidden"].default
    for name, (encoder, _) in networks.BUILDERS.items()
}
COUNTED = {"ConditionalVAE": "classes", "MixtureVAE": "components"}

POSITIVE = {"type": "number", "exclusiveMinimum": 0}
LIKELIHOOD = {
    "oneOf": [
        saving.object_of(kind={"const": "Bernoulli"}),
        saving.object_of(
            kind={"const": "Gaussian"},
            sigma={"anyOf": [POSITIVE, {"enum": ["learned", "per_pixel"]}]},
            min_sigma=POSITIVE,
        ),
    ]
}
WEIGHTS = {"type": "array", "items": saving.ARRAY_SCHEMA}
OURS = saving.object_of(
    {"classes": saving.COUNT, "components": saving.COUNT, "standardise": {"type": "boolean"}},
    kind={"enum": list(MODELS)},
    latent_dim=saving.SIZE,
    likelihood=LIKELIHOOD,
    data_shape={**saving.SIZES, "minItems": 1},
    network={"enum": list(networks.BUILDERS)},
    hidden=saving.maybe(saving.SIZES),
    beta={"type": "number", "minimum": 0},
    seed=saving.maybe(saving.SEED),
    dtype={"enum": list(POLICIES)},
    weights=WEIGHTS,
)
OWN = saving.object_of(own=saving.WORD, weights=WEIGHTS)
SCHEMA = {"type": "array", "items": {"anyOf": [OURS, OWN]}, "minItems": 1, "maxItems": 4096}


class Scorer(Protocol):
    """A built `keras.Model` with these two methods takes the place of a VAE in a detector.

    It is calibrated, evaluated, saved and streamed like one; a third method, `heatmap(images)`, is
    asked for shares of the score, in the shape of the images, if it is there. All that the scores
    depend on has to be in its weights, those that are not trained included: the file holds them
    alone, and a change of them makes the calibration stale.
    """

    def form(self, name: str = "x") -> Form:
        """What the data look like: `batches.Form(data_shape, unit_interval, name)`."""
        ...

    def score(self, images: np.ndarray) -> np.ndarray:
        """Numbers (n,), higher for more anomalous; the same at every call.

        Images come 64 at a time, the last ones repeated to fill up, so that no score depends on
        how many others came with it. Rows of a batch must not mix: no batch statistics.
        """
        ...


def is_own(model: object) -> bool:
    """Whether it is a Keras model with the methods of `Scorer`, and none of ours."""
    methods = all(callable(getattr(model, name, None)) for name in ("form", "score"))
    return isinstance(model, keras.Model) and not isinstance(model, VAE) and methods


def check_models(model: VAE | Sequence[VAE] | Scorer) -> list[VAE | Scorer]:
    """The models of a detector; several must be plain VAEs of data of one shape."""
    if is_own(model):
        _check_own(model)
        return [model]
    if isinstance(model, VAE):
        return [model]
    if not isinstance(model, (list, tuple)) or not model:
        raise ValueError(f"model is a {type(model).__name__}; {EXPECTED}")
    if any(isinstance(one, ConditionalVAE) or not isinstance(one, VAE) for one in model):
        raise ValueError(f"model has {sorted({type(one).__name__ for one in model})}; {EXPECTED}")
    if len(shapes := {one.data_shape for one in model}) > 1:
        raise ValueError(f"model has data of shapes {sorted(shapes)}; expected one shape")
    return list(model)


def _check_own(model: keras.Model) -> None:
    kind, form = type(model).__name__, model.form("images")
    if not isinstance(form, Form):
        problem = f"form('images') of a {kind} is a {type(form).__name__}"
        raise ValueError(f"{problem}; expected batches.Form(data_shape, unit_interval, name)")
    if not model.weights:
        problem = f"model is a {kind} without weights"
        raise ValueError(f"{problem}; expected a built one: call it on an example first")


def digest(model: VAE | Given | keras.Model) -> bytes:
    """A digest of the weights as they are now, of any model of a detector."""
    if not is_own(model):
        return fingerprint_of(model)
    made = hashlib.blake2b(digest_size=16)
    for weight in model.get_weights():
        made.update(np.ascontiguousarray(weight).tobytes())
    return made.digest()


def state_of(model: VAE | Scorer) -> dict:
    """What makes a model like this one; only its class's name if parts of it are the user's own."""
    kind, weights = type(model).__name__, model.get_weights()
    if not isinstance(model, VAE):  # a `Scorer`
        return {"own": kind, "weights": weights}
    config, likelihood = model.get_config(), model.likelihood
    ours = MODELS.get(kind) is type(model) and type(likelihood) in LIKELIHOODS.values()
    if not ours or config["encoder"] or config["decoder"]:
        return {"own": kind, "weights": weights}
    of_likelihood = {"kind": type(likelihood).__name__}
    if isinstance(likelihood, Gaussian):
        arguments = likelihood.get_config()
        of_likelihood |= {"sigma": arguments["sigma"], "min_sigma": arguments["min_sigma"]}
    names = ["latent_dim", "network", "beta", "seed", "standardise"]
    names += [COUNTED[kind]] if kind in COUNTED else []
    return {
        **{name: config[name] for name in names},
        "kind": kind,
        "likelihood": of_likelihood,
        "dtype": model.dtype_policy.name,
        "data_shape": list(model.data_shape),
        "hidden": None if config["hidden"] is None else list(config["hidden"]),
        "weights": weights,
    }


def from_states(
    states: Sequence[dict], own: VAE | Sequence[VAE] | Scorer | None
) -> list[VAE | Scorer]:
    """The models of these states; `own` are models with parts of the user's own.

    Raises a ValueError for weights of another number, shape or dtype, or that are not finite.
    """
    given = [None] * len(states) if own is None else check_models(own)
    if len(given) != len(states):
        raise ValueError(f"it has {len(states)} models, and model is {len(given)}")
    return [_from_state(*pair) for pair in zip(states, given, strict=True)]


def _from_state(state: dict, own: VAE | Scorer | None) -> VAE | Scorer:
    arguments = dict(state)
    weights = arguments.pop("weights")
    if not all(isinstance(array, np.ndarray) for array in weights):
        raise ValueError("it has weights that are not arrays")
    if own is None and "own" in state:
        raise ValueError(
            f"its {state['own']} has parts of your own, which no file can bring: build the "
            "model as you did, and pass it to load as `model`"
        )
    model = _make(arguments, sum(array.nbytes for array in weights)) if own is None else own
    given = [(array.shape, array.dtype.name) for array in weights]
    needed = [(tuple(w.shape), keras.backend.standardize_dtype(w.dtype)) for w in model.weights]
    if given != needed:
        odd = next((pair for pair in zip(given, needed, strict=False) if pair[0] != pair[1]), "")
        raise ValueError(
            f"it has {len(given)} arrays of weights, and the model {len(needed)}; the first that "
            f"differ: {odd}"
        )
    if not all(np.isfinite(array).all() for array in weights):
        raise ValueError("it has weights that are NaN or infinite")
    model.set_weights(weights)
    return model


def _make(arguments: dict, size: int) -> VAE:
    """The model without its weights, if `size` bytes can be all of them."""
    if (fewest := 4 * _fewest_weights(arguments)) > size:  # no memory is taken before
        raise ValueError(f"its weights have {size} bytes, and its sizes need {fewest} or more")
    kind, likelihood = arguments.pop("kind"), dict(arguments.pop("likelihood"))
    counted = {COUNTED[kind]} if kind in COUNTED else set()
    if counted != arguments.keys() & set(COUNTED.values()):
        raise ValueError(f"its {kind} has other counts than {sorted(counted)}")
    make_likelihood = LIKELIHOODS[likelihood.pop("kind")]
    return MODELS[kind](**arguments, likelihood=make_likelihood(**likelihood))


def _fewest_weights(arguments: dict) -> int:
    """What the kernels of encoder and decoder hold at least."""
    *size, last = arguments["data_shape"]
    latent, hidden = arguments["latent_dim"], arguments["hidden"]
    hidden = HIDDEN[arguments["network"]] if hidden is None else hidden
    more = arguments.get("classes", 0) * math.prod(size) * bool(size)
    more += arguments.get("components", 0) * latent
    if arguments["network"] in ("dense", "linear"):
        sizes = [math.prod(size) * last, *hidden, latent]
        return more + 2 * sum(a * b for a, b in pairwise(sizes))
    axes = {"conv": 2, "conv1d": 1}[arguments["network"]]
    smallest = math.prod(size) // 2 ** (axes * len(hidden)) * (hidden or [1])[-1]
    kernels = sum(3**axes * a * b for a, b in pairwise([last, *hidden]))
    return more + 2 * (smallest * latent + kernels)


class OwnScore(Score):
    """Asks the model for `score` and `heatmap`: what `AnomalyDetector` uses for a `Scorer`."""

    _asked_twice = False  # whether the model has shown that it repeats itself

    def check_model(self, model: keras.Model) -> None:
        """It must be a `Scorer`."""
        if not is_own(model):
            raise ValueError(f"model is a {type(model).__name__}; expected one {METHODS}")
        _check_own(model)

    def label(self) -> str:
        """What messages call it."""
        return OWN_SCORE

    def terms(self, model: keras.Model, x):
        """The model's `score` as a part of a graph, which `export` makes."""
        call = f"score(images) of a {type(model).__name__}"
        try:
            values = model.score(x)
        except Exception as error:  # NumPy and others refuse a graph's tensors in many ways
            expected = "expected one of keras.ops or TensorFlow alone"
            raise ValueError(f"{call} cannot become a graph; {expected}: {error}") from error
        if len(values.shape) != 1:
            raise ValueError(f"{call} gave shape {tuple(values.shape)}; expected (n,)")
        return values

    def trace(self, model: keras.Model) -> None:
        """Scores are asked for without a graph."""
        self.check_model(model)

    def map(self, model: keras.Model, images: np.ndarray) -> np.ndarray:
        """The model's `heatmap`, in the shape of the images."""
        if not callable(getattr(model, "heatmap", None)):
            problem = f"model is a {type(model).__name__}, which has no heatmap"
            raise ValueError(f"{problem}; expected one with a method heatmap(images)")
        return self.of(model, images, pixels=True)[0]

    def _run(self, model: keras.Model, images: np.ndarray, pixels: bool):
        """Scores (n,) or maps, float64, and the digest of the weights that gave them."""
        batch = np.asarray(images, model.variable_dtype)
        name, n = "heatmap" if pixels else "score", len(batch)
        shape = (BLOCK, *batch.shape[1:]) if pixels else (BLOCK,)
        padded = np.concatenate([batch, np.repeat(batch[-1:], -n % BLOCK, axis=0)])
        blocks = np.split(padded, len(padded) // BLOCK)
        call = f"{name}(images) of a {type(model).__name__}"
        answers = [_numbers(getattr(model, name), block, shape, call) for block in blocks]
        if not self._asked_twice and not pixels:
            again = _numbers(model.score, blocks[0], shape, call)
            if not np.array_equal(answers[0], again, equal_nan=True):
                advice = "expected the same numbers: fix the seed of its noise"
                raise ValueError(f"{call} gave other numbers when it was asked again; {advice}")
            self._asked_twice = True
        return np.concatenate(answers)[:n], digest(model)


def _numbers(ask: Callable, block: np.ndarray, shape: tuple[int, ...], call: str) -> np.ndarray:
    """What the model answers, as float64; a ValueError for another shape or kind."""
    values = keras.ops.convert_to_numpy(ask(block))
    if values.shape != shape or values.dtype.kind not in "fiu":
        given = f"shape {values.shape} and dtype {values.dtype} for {len(block)} images"
        raise ValueError(f"{call} gave {given}; expected {shape} of numbers")
    return values.astype("float64")
