"""What a detector's file says of its models, and the models rebuilt from it by our own builders."""

from __future__ import annotations

import importlib.metadata
import inspect
import math
from collections.abc import Sequence
from itertools import pairwise

import jsonschema
import keras
import numpy as np

from .. import networks
from ..classes import ConditionalVAE, MixtureVAE
from ..likelihoods import Bernoulli, Gaussian
from ..model import POLICIES, VAE
from .archive import FORMAT

PACKAGES = ("keras", "tensorflow", "numpy")
MODELS = {kind.__name__: kind for kind in (VAE, ConditionalVAE, MixtureVAE)}
LIKELIHOODS = {kind.__name__: kind for kind in (Bernoulli, Gaussian)}
HIDDEN = {
    name: inspect.signature(encoder).parameters["hidden"].default
    for name, (encoder, _) in networks.BUILDERS.items()
}
COUNTED = {"ConditionalVAE": "classes", "MixtureVAE": "components"}

SIZE = {"type": "integer", "minimum": 1, "maximum": 2**24}
COUNT = {**SIZE, "maximum": 4096}
SIZES = {"type": "array", "items": SIZE, "maxItems": 64}
POSITIVE = {"type": "number", "exclusiveMinimum": 0}
SEED = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}


def object_of(optional: dict | None = None, **required: dict) -> dict:
    """The schema of an object with these properties and no others."""
    properties = {**required, **(optional or {})}
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


LIKELIHOOD = {
    "oneOf": [
        object_of(kind={"const": "Bernoulli"}),
        object_of(
            kind={"const": "Gaussian"},
            sigma={"anyOf": [POSITIVE, {"enum": ["learned", "per_pixel"]}]},
            min_sigma=POSITIVE,
        ),
    ]
}
OURS = object_of(
    {"classes": COUNT, "components": COUNT, "standardise": {"type": "boolean"}},
    kind={"enum": list(MODELS)},
    latent_dim=SIZE,
    likelihood=LIKELIHOOD,
    data_shape={**SIZES, "minItems": 1},
    network={"enum": list(networks.BUILDERS)},
    hidden={"anyOf": [SIZES, {"type": "null"}]},
    beta={"type": "number", "minimum": 0},
    seed={"anyOf": [SEED, {"type": "null"}]},
    dtype={"enum": list(POLICIES)},
)
OWN = object_of(own={"type": "string", "maxLength": 200})
WORD = {"type": "string", "maxLength": 200}
ARGUMENT = {"anyOf": [{"type": ["number", "boolean"]}, WORD, {"type": "array", "items": WORD}]}
ARGUMENTS = {
    "type": "object",
    "maxProperties": 16,
    "properties": {name: {"type": "integer", "maximum": 4096} for name in ("draws", "size", "k")},
    "additionalProperties": ARGUMENT,
}
SCHEMA = object_of(
    {"columns": {"type": "array", "items": {"type": "string"}, "uniqueItems": True}},
    format={"const": FORMAT},
    written_by={"type": "object", "additionalProperties": WORD},
    models={"type": "array", "items": {"anyOf": [OURS, OWN]}, "minItems": 1, "maxItems": 4096},
    one_model={"type": "boolean"},
    score=object_of(name=WORD, arguments=ARGUMENTS),
    fits_score={"type": "boolean"},
    threshold={"type": "array", "items": {"type": "number"}, "minItems": 1},
    false_alarm_rate={**POSITIVE, "exclusiveMaximum": 1},
    method={"enum": ["conformal", "quantile", "tail"]},
)


def check(description: object) -> None:
    """Raise a ValueError unless it is what `AnomalyDetector.save` writes."""
    try:
        jsonschema.validate(description, SCHEMA)
    except jsonschema.ValidationError as error:
        where = "/".join(map(str, error.absolute_path)) or "as a whole"
        raise ValueError(f"its description is wrong at {where}: {error.message[:200]}") from error


def written_by() -> dict[str, str]:
    """The versions that wrote a file, for whoever looks into it."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def describe(model: VAE) -> dict:
    """What makes a model like this one; only its class's name if parts of it are the user's own."""
    kind = type(model).__name__
    if not isinstance(model, VAE):  # a `Scorer`
        return {"own": kind}
    config, likelihood = model.get_config(), model.likelihood
    ours = MODELS.get(kind) is type(model) and type(likelihood) in LIKELIHOODS.values()
    if not ours or config["encoder"] or config["decoder"]:
        return {"own": kind}
    of_likelihood = {"kind": type(likelihood).__name__}
    if isinstance(likelihood, Gaussian):
        more = likelihood.get_config()
        of_likelihood |= {"sigma": more["sigma"], "min_sigma": more["min_sigma"]}
    plain = ("latent_dim", "network", "beta", "seed", "standardise")
    found = {"kind": kind, "likelihood": of_likelihood, "dtype": model.dtype_policy.name}
    found |= {name: config[name] for name in plain} | {"data_shape": list(model.data_shape)}
    found["hidden"] = None if config["hidden"] is None else list(config["hidden"])
    if kind in COUNTED:
        found[COUNTED[kind]] = config[COUNTED[kind]]
    return found


def build(described: dict, weights: Sequence[np.ndarray], own: VAE | None) -> VAE:
    """The described model with these weights; `own` instead of it, if given.

    Raises a ValueError for weights of another number, shape or type, or that are not finite.
    """
    if own is None and "own" in described:
        raise ValueError(
            f"its {described['own']} has parts of your own, which no file can bring: build the "
            "model as you did, and pass it to load as `model`"
        )
    model = _make(described, sum(array.nbytes for array in weights)) if own is None else own
    found = [(array.shape, array.dtype.name) for array in weights]
    needed = [(tuple(w.shape), keras.backend.standardize_dtype(w.dtype)) for w in model.weights]
    if found != needed:
        odd = next((pair for pair in zip(found, needed, strict=False) if pair[0] != pair[1]), "")
        raise ValueError(
            f"it has {len(found)} arrays of weights, and the model {len(needed)}; the first that "
            f"differ: {odd}"
        )
    if not all(np.isfinite(array).all() for array in weights):
        raise ValueError("it has weights that are NaN or infinite")
    model.set_weights(weights)
    return model


def _make(described: dict, size: int) -> VAE:
    """The model without its weights, if `size` bytes can be all of them."""
    arguments = dict(described)
    kind, likelihood = arguments.pop("kind"), dict(arguments.pop("likelihood"))
    counted = {COUNTED[kind]} if kind in COUNTED else set()
    if counted != arguments.keys() & set(COUNTED.values()):
        raise ValueError(f"its {kind} has other counts than {sorted(counted)}")
    if (fewest := 4 * _fewest_weights(described)) > size:  # no memory is taken before
        raise ValueError(f"its weights have {size} bytes, and its sizes need {fewest} or more")
    make_likelihood = LIKELIHOODS[likelihood.pop("kind")]
    return MODELS[kind](**arguments, likelihood=make_likelihood(**likelihood))


def _fewest_weights(described: dict) -> int:
    """What the kernels of encoder and decoder hold at least."""
    *size, last = described["data_shape"]
    latent, hidden = described["latent_dim"], described["hidden"]
    hidden = HIDDEN[described["network"]] if hidden is None else hidden
    more = described.get("classes", 0) * math.prod(size) * bool(size)
    more += described.get("components", 0) * latent
    if described["network"] == "dense":
        sizes = [math.prod(size) * last, *hidden, latent]
        return more + 2 * sum(a * b for a, b in pairwise(sizes))
    axes = {"conv": 2, "conv1d": 1}[described["network"]]
    smallest = math.prod(size) // 2 ** (axes * len(hidden)) * (hidden or [1])[-1]
    kernels = sum(3**axes * a * b for a, b in pairwise([last, *hidden]))
    return more + 2 * (smallest * latent + kernels)
