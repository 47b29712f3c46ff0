"""What is looked at: a model's functions, examples, and what the functions gave for them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from ..checks import plain_array
from .report import Diagnosis

ROWS, FEWEST = 256, 16
OWN = {"encoder": "encode", "decoder": "decode"}  # a VAE's methods for its parts


class Subject:
    """A VAE as functions: see `diagnose` for what each takes. `report` is what was found so far."""

    def __init__(self, model, x, given: dict[str, Callable | str | None], beta, seed: int):
        if hasattr(model, "log_prior") or hasattr(model, "given"):
            found = f"model is a {type(model).__name__}"
            raise ValueError(f"{found}; expected a VAE with the prior N(0, I) and without labels")
        self.model = model if isinstance(model, keras.Model) else None
        self.x, self.report = _examples(x), Diagnosis()
        self.parts = {**given, **{name: _part(model, given[name], name) for name in OWN}}
        self.parts["sample"] = given["sample"] or getattr(model, "reparameterize", None)
        self.parts["loss"] = given["loss"] or _own_loss(self.model)
        self.asked_to_reconstruct = given["reconstruct"] is not None
        own = getattr(self.model, "reconstruct", self.model)
        self.parts["reconstruct"] = given["reconstruct"] or own
        self.beta = float(getattr(model, "beta", 1.0) if beta is None else beta)
        self.random = np.random.RandomState(seed)

    @contextlib.contextmanager
    def left_as_it_was(self) -> Iterator[None]:
        """Set a Keras model's variables back in the end: metrics and the states of its noise."""
        own = [] if self.model is None else [*self.model.variables, *self.model.metrics_variables]
        before = [(v, v.numpy()) for v in own]
        try:
            yield
        finally:
            for variable, value in before:
                variable.assign(value)

    def call(self, name: str, *arrays: np.ndarray):
        """What a function gives for float32; where it fails, a ValueError that names it."""
        try:
            return self.parts[name](*(a.astype("float32") for a in arrays))
        except Exception as error:  # whatever framework it comes from
            shapes = ", ".join(str(a.shape) for a in arrays)
            told = f"{type(error).__name__}: {str(error).strip()[:200]}"
            found = f"{name} does not take {shapes}; expected one that does"
            raise ValueError(f"{found}: {told}") from error

    def encode(self) -> None:
        """Set `mean` and `log_var` of x, and `given`, the encoder's z or None."""
        found = self.call("encoder", self.x)
        if not isinstance(found, (list, tuple)) or len(found) not in (2, 3):
            kind = f"{len(found)} parts" if isinstance(found, (list, tuple)) else type(found)
            raise ValueError(f"encoder gives {kind}; expected (mean, log_var) or with z")
        self.mean, self.log_var, self.given, *_ = [*map(as_array, found), None]
        shapes = self.mean.shape, self.log_var.shape
        if shapes[0] != shapes[1] or shapes[0][:1] != (len(self.x),) or self.mean.ndim < 2:
            told = f"encoder gives the shapes {shapes[0]} and {shapes[1]}"
            raise ValueError(f"{told}; expected twice ({len(self.x)}, latent_dim)")

    def decode(self) -> None:
        """Set `decoded`, what the decoder gives for the means, and `target`, x as it is meant."""
        self.decoded = as_array(self.call("decoder", self.mean))
        if self.decoded.shape[:1] != (len(self.x),) or self.decoded.size != self.x.size:
            told = f"decoder gives the shape {self.decoded.shape}"
            raise ValueError(f"{told}; expected that of x, {self.x.shape}")
        own = getattr(self.model, "columns", None) is not None
        target = as_array(self.model.standardise(self.x)) if own else as_array(self.x)
        self.target = target.reshape(self.decoded.shape)

    def loss(self, decoded, mean, log_var, x=None) -> float:
        """The loss of made-up outputs and posteriors, as a mean over examples."""
        x = self.x if x is None else x
        return as_array(self.call("loss", x, decoded, mean, log_var)).mean()


def as_array(value) -> np.ndarray:
    """A tensor of any framework as float64."""
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return np.asarray(value, dtype="float64")


def _examples(x) -> np.ndarray:
    x = plain_array(x, "x")
    if x.dtype.kind not in "fiub" or x.ndim < 2 or len(x) < FEWEST:
        found = f"x has shape {x.shape} and dtype {x.dtype}"
        raise ValueError(f"{found}; expected at least {FEWEST} rows of numbers, (n, ...)")
    x = x[np.linspace(0, len(x) - 1, min(len(x), ROWS)).astype(int)].astype("float32")
    if not np.isfinite(x).all():
        raise ValueError("x contains NaN or infinite values; expected finite numbers")
    return x


def _part(model, given: Callable | str | None, name: str) -> Callable:
    """A function given, a layer by its name, or the model's own part."""
    part, own = given, isinstance(model, keras.Model)
    layers = {layer.name: layer for layer in model.layers} if own else {}
    if isinstance(given, str):
        part = layers.get(given)
    elif given is None and own:
        part = getattr(model, OWN[name], getattr(model, name, layers.get(name)))
    if callable(part):
        return part
    found = f"model is a {type(model).__name__} and {name} is {given!r}"
    raise ValueError(f"{found}; expected a model with {name!r}, a layer's name or a function")


def _own_loss(model) -> Callable | None:
    """The loss of a `VAE` as a function of its four parts."""
    if not (hasattr(model, "likelihood") and hasattr(model, "kl")):
        return None
    names = ("parameters", "mean", "log_var")
    return lambda x, *parts: model.compute_loss(
        x=x, y_pred={name: tf.constant(part) for name, part in zip(names, parts, strict=True)}
    )
