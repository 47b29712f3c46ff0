"""The models of a detector: what may be one, its state, and the model made of a state.

A model from a file is built by this library's own builders, from sizes that are checked first.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from itertools import pairwise

import keras
import numpy as np

from .. import networks, saving
from ..classes import ConditionalVAE, MixtureVAE
from ..likelihoods import Bernoulli, Gaussian
from ..model import POLICIES, VAE
from .own import EXPECTED, METHODS, check_own, is_own

MODELS = {kind.__name__: kind for kind in (VAE, ConditionalVAE, MixtureVAE)}
LIKELIHOODS = {kind.__name__: kind for kind in (Bernoulli, Gaussian)}
HIDDEN = {
    name: inspect.signature(encoder).parameters["hidden"].default
    for name, (encoder, _) in networks.BUILDERS.items()
}
COUNTED = {"ConditionalVAE": "classes", "MixtureVAE": "components"}

SIZES = {"type": "array", "items": saving.SIZE, "maxItems": 64}
POSITIVE = {"type": "number", "exclusiveMinimum": 0}
SEED = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
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
    data_shape={**SIZES, "minItems": 1},
    network={"enum": list(networks.BUILDERS)},
    hidden={"anyOf": [SIZES, {"type": "null"}]},
    beta={"type": "number", "minimum": 0},
    seed={"anyOf": [SEED, {"type": "null"}]},
    dtype={"enum": list(POLICIES)},
    weights=WEIGHTS,
)
OWN = saving.object_of(own={"type": "string", "maxLength": 200}, weights=WEIGHTS)
SCHEMA = {"type": "array", "items": {"anyOf": [OURS, OWN]}, "minItems": 1, "maxItems": 4096}


def check_models(model: VAE | Sequence[VAE]) -> list[VAE]:
    """The models of a detector; several must be plain VAEs of data of one shape."""
    if is_own(model):
        check_own(model)
        return [model]
    if isinstance(model, VAE):
        return [model]
    expected = f"{EXPECTED}, {METHODS}"
    if not isinstance(model, (list, tuple)) or not model:
        raise ValueError(f"model is a {type(model).__name__}; {expected}")
    kinds = {type(one).__name__ for one in model}
    if any(isinstance(one, ConditionalVAE) or not isinstance(one, VAE) for one in model):
        raise ValueError(f"model has {sorted(kinds)}; {expected}")
    if len(shapes := {one.data_shape for one in model}) > 1:
        raise ValueError(f"model has data of shapes {sorted(shapes)}; expected one shape")
    return list(model)


def state_of(model: VAE) -> dict:
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
    plain = ("latent_dim", "network", "beta", "seed", "standardise")
    state = {"kind": kind, "likelihood": of_likelihood, "dtype": model.dtype_policy.name}
    state |= {name: config[name] for name in plain} | {"data_shape": list(model.data_shape)}
    state["hidden"] = None if config["hidden"] is None else list(config["hidden"])
    if kind in COUNTED:
        state[COUNTED[kind]] = config[COUNTED[kind]]
    return state | {"weights": weights}


def from_states(states: Sequence[dict], own: VAE | Sequence[VAE] | None) -> list[VAE]:
    """The models of these states; `own` are models with parts of the user's own.

    Raises a ValueError for weights of another number, shape or dtype, or that are not finite.
    """
    given = [None] * len(states) if own is None else check_models(own)
    if len(given) != len(states):
        raise ValueError(f"it has {len(states)} models, and model is {len(given)}")
    return [_from_state(*pair) for pair in zip(states, given, strict=True)]


def _from_state(state: dict, own: VAE | None) -> VAE:
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
    came = [(array.shape, array.dtype.name) for array in weights]
    needed = [(tuple(w.shape), keras.backend.standardize_dtype(w.dtype)) for w in model.weights]
    if came != needed:
        odd = next((pair for pair in zip(came, needed, strict=False) if pair[0] != pair[1]), "")
        raise ValueError(
            f"it has {len(came)} arrays of weights, and the model {len(needed)}; the first that "
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
