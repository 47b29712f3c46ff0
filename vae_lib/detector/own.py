"""A model of your own in the place of the VAE: what it has to have, and how it is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

import keras
import numpy as np

from ..batches import Form, arrays
from ..classes import Given
from ..model import VAE
from ..scores.base import Score, fingerprint_of

NAME = "the model's own"  # what a file calls its score
BLOCK = 64  # examples that the model is asked for at once
EXPECTED = "expected a VAE, a list of VAEs, one for each normal class, or a Keras model of your own"
METHODS = "with the methods form(name) and score(images)"


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


def check_own(model: keras.Model) -> None:
    """Raise a ValueError unless `form` gives a `batches.Form`, and weights are there to keep."""
    kind, form = type(model).__name__, model.form("images")
    if not isinstance(form, Form):
        found = f"form('images') of a {kind} is a {type(form).__name__}"
        raise ValueError(f"{found}; expected batches.Form(data_shape, unit_interval, name)")
    if not model.weights:
        found = f"model is a {kind} without weights"
        raise ValueError(f"{found}; expected a built one: call it on an example first")


class OwnScore(Score):
    """Asks the model for `score` and `heatmap`: what `AnomalyDetector` uses for a `Scorer`."""

    _asked_twice = False  # whether the model has shown that it repeats itself

    def check_model(self, model: keras.Model) -> None:
        """It must be a `Scorer`."""
        if not is_own(model):
            raise ValueError(f"model is a {type(model).__name__}; expected one {METHODS}")
        check_own(model)

    def label(self) -> str:
        """What messages call it."""
        return NAME

    def terms(self, model: keras.Model, x):
        """The model's `score` as a part of a graph, which `export` makes."""
        told = f"score(images) of a {type(model).__name__}"
        try:
            found = model.score(x)
        except Exception as error:  # NumPy and others refuse a graph's tensors in many ways
            expected = "expected one of keras.ops or TensorFlow alone"
            raise ValueError(f"{told} cannot become a graph; {expected}: {error}") from error
        if len(found.shape) != 1:
            raise ValueError(f"{told} gave shape {tuple(found.shape)}; expected (n,)")
        return found

    def trace(self, model: keras.Model) -> None:
        """Scores are asked for without a graph."""
        self.check_model(model)

    def map(self, model: keras.Model, images: np.ndarray) -> np.ndarray:
        """The model's `heatmap`, in the shape of the images."""
        if not callable(getattr(model, "heatmap", None)):
            found = f"model is a {type(model).__name__}, which has no heatmap"
            raise ValueError(f"{found}; expected one with a method heatmap(images)")
        return self.of(model, images, pixels=True)[0]

    def of(self, model, images, pixels=False, first: int = 0) -> tuple[np.ndarray, bytes]:
        """Scores (n,) or maps, float64, and the fingerprint of the weights that gave them."""
        self.check_model(model)
        parts, seen = [], first
        for batch, _ in arrays(images, model.form("images")):
            values = self._ask(model, np.asarray(batch, model.variable_dtype), pixels)
            self._check_finite(values, seen)
            parts.append(values)
            seen += len(values)
        return np.concatenate(parts), digest(model)

    def _ask(self, model: keras.Model, batch: np.ndarray, pixels: bool) -> np.ndarray:
        name, n = "heatmap" if pixels else "score", len(batch)
        shape = (BLOCK, *batch.shape[1:]) if pixels else (BLOCK,)
        padded = np.concatenate([batch, np.repeat(batch[-1:], -n % BLOCK, axis=0)])
        blocks = np.split(padded, len(padded) // BLOCK)
        told = f"{name}(images) of a {type(model).__name__}"
        found = [_numbers(getattr(model, name), block, shape, told) for block in blocks]
        if not self._asked_twice and not pixels:
            again = _numbers(model.score, blocks[0], shape, told)
            if not np.array_equal(found[0], again, equal_nan=True):
                advice = "expected the same numbers: fix the seed of its noise"
                raise ValueError(f"{told} gave other numbers when it was asked again; {advice}")
            self._asked_twice = True
        return np.concatenate(found)[:n]


def digest(model: VAE | Given | keras.Model) -> bytes:
    """A digest of the weights as they are now, of any model of a detector."""
    if not is_own(model):
        return fingerprint_of(model)
    found = hashlib.blake2b(digest_size=16)
    for weight in model.get_weights():
        found.update(np.ascontiguousarray(weight).tobytes())
    return found.digest()


def _numbers(ask: Callable, block: np.ndarray, shape: tuple[int, ...], told: str) -> np.ndarray:
    """What the model answers, as float64; a ValueError for another shape or kind."""
    values = keras.ops.convert_to_numpy(ask(block))
    if values.shape != shape or values.dtype.kind not in "fiu":
        found = f"{told} gave shape {values.shape} and dtype {values.dtype} for {len(block)} images"
        raise ValueError(f"{found}; expected {shape} of numbers")
    return values.astype("float64")
