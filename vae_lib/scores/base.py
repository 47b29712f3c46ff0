"""What all scores share: blocks of images, what was learned, maps.

Images go through the model in blocks of one size, the last one padded, and Monte Carlo scores use
the same draws for every image.
"""

from __future__ import annotations

import copy
import dataclasses
import threading
import weakref
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf
from keras import ops

from .. import saving
from ..batches import arrays, whole
from ..model import VAE

SCORES: dict[str, type[Score]] = {}  # every score that has a name
BLOCK = 16  # images: few enough for one image to be quick, enough for many to be
CHUNK = 64  # blocks in one call of the graph
ARGUMENTS = {  # what `Score.arguments` may give, as a JSON schema: bounds for those from a file
    "type": "object",
    "maxProperties": 16,
    "properties": {name: {"type": "integer", "maximum": 4096} for name in ("draws", "size", "k")},
    "additionalProperties": {
        "anyOf": [
            {"type": ["number", "boolean"]},
            saving.WORD,
            {"type": "array", "items": saving.WORD},
        ]
    },
}
_LOCK = threading.RLock()  # tracing is not thread-safe; running a graph is


class Score:
    """What all scores share. A subclass is a dataclass whose `terms` says what one block gives."""

    name: ClassVar[str | None] = None  # its key in `SCORES`; a detector saves only those with one
    has_map = False  # whether `terms` are one a pixel
    positive = False  # whether it can be a part of a fusion: it is never below 0
    standard_prior = False  # whether it takes p(z) for one standard normal
    images_only = False  # whether it needs neighbouring pixels
    directions_only = False  # whether it throws away size, as cosines do
    fewest = 1  # images to fit on
    learned: tuple[str, ...] = ()  # names of the arrays that `fit` sets
    _model: bytes | None = None  # fingerprint of the weights that it was fitted on

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.name = cls.__dict__.get("name")  # a name is not inherited: it says what to load
        if cls.name:
            other = SCORES.setdefault(cls.name, cls)
            if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
                raise ValueError(f"name is {cls.name!r}, which {other.__qualname__} has already")
            SCORES[cls.name] = cls  # a cell that is run again defines its class anew

    def terms(self, vae: VAE, x):
        """What the score is the sum of, for each image: a tensor (n,) or (n, ...)."""
        raise NotImplementedError

    def check_model(self, vae: VAE) -> None:
        """Raise a ValueError for a model that this score cannot look at."""
        if isinstance(vae, type) or not (hasattr(vae, "form") and hasattr(vae, "decode")):
            expected = "a VAE, or a ConditionalVAE's given(c)"
            raise ValueError(f"model is a {type(vae).__name__}; expected {expected}")
        if hasattr(vae, "given"):
            raise ValueError("model is a ConditionalVAE; expected it under a class: given(c)")
        if self.standard_prior and hasattr(vae, "log_prior"):
            raise ValueError(
                f"score is {self.label()}, which takes the prior for one standard normal; "
                f"expected another one for a {type(vae).__name__}"
            )
        if self.images_only and len(vae.data_shape) != 3:
            raise ValueError(
                f"score is {self.label()}, which averages over neighbouring pixels; expected "
                f"images (height, width, channels), and data_shape is {vae.data_shape}"
            )

    def suits(self, vae: VAE) -> bool:
        """Whether `check_model` takes the model."""
        try:
            self.check_model(vae)
        except ValueError:
            return False
        return True

    def suit(self, models: Sequence[VAE]) -> None:
        """Settle what depends on the models; raises what `check_model` does."""
        for model in models:
            self.check_model(model)

    def fit(self, vae: VAE, images: np.ndarray, held_out: np.ndarray | None = None) -> Score:
        """Learn from normal images what is usual. Most scores have nothing to learn.

        The more images, the better: those that the model was trained on may be among them. What has
        to come from others, which the model has not seen, comes from held_out.
        """
        return self

    def __call__(self, vae: VAE, images: np.ndarray) -> np.ndarray:
        """Scores (n,), float64, of an array or batches: see `batches`.

        Raises a ValueError for images that do not fit the model, for scores that are not finite,
        and where the score was fitted on a model with other weights.
        """
        return self.of(vae, images)[0]

    def map(self, vae: VAE, images: np.ndarray) -> np.ndarray:
        """The share of each pixel in the score, in the shape of the images; shares sum to it."""
        if not self.has_map:
            raise ValueError(f"score is {self.label()}, which has no map; 'relative' has one")
        return self.of(vae, images, pixels=True)[0]

    def of(self, vae: VAE, images, pixels=False, first: int = 0) -> tuple[np.ndarray, bytes]:
        """Scores or maps, and the fingerprint of the weights that gave them.

        Messages count the images from `first` on.
        """
        self.check_model(vae)
        self._check_fitted()
        parts, seen = [], first
        for batch, _ in arrays(images, vae.form("images")):
            try:
                values, model = self._run(vae, batch, pixels)
            except (ValueError, tf.errors.InvalidArgumentError) as error:
                if not self.learned:
                    raise
                self._check_weights(fingerprint_of(vae))
                problem = f"score is {self.label()}, whose state does not fit the model"
                raise ValueError(f"{problem}; expected what `state` gives") from error
            self._check_finite(values, seen)
            parts.append(values)
            seen += len(values)
        if self.learned and self._model is None:  # what it learned came by `set_state`
            self._model = model
        if self.learned:
            self._check_weights(model)
        return np.concatenate(parts), model

    def trace(self, vae: VAE) -> None:
        """Make the graph for this model; a ValueError says what does not fit."""
        self.check_model(vae)
        self._graph(vae, pixels=False)

    def _check_fitted(self) -> None:
        if not self.fitted:
            raise ValueError(f"score is {self.label()}, which has not been fitted: call fit")

    def _check_weights(self, model: bytes) -> None:
        if self._model not in (None, model):
            problem = f"score is {self.label()}, which was fitted on a model with other weights"
            raise ValueError(f"{problem}; call fit again, with this model")

    def label(self) -> str:
        """What messages call it."""
        return type(self).__name__ if self.name is None else repr(self.name)

    def arguments(self) -> dict:
        """What `get` makes a score like this one of; in a file as `ARGUMENTS` says."""
        own = vars(type(self))
        if "__dataclass_fields__" not in own and "__init__" in own:
            raise ValueError(f"score is a {self.label()}; expected a dataclass, or no __init__")
        arguments = dataclasses.asdict(self) if dataclasses.is_dataclass(self) else {}
        return {k: v.item() if isinstance(v, np.generic) else v for k, v in arguments.items()}

    @property
    def fitted(self) -> bool:
        """Whether all that it has to learn is there."""
        return all(getattr(self, name, None) is not None for name in self.learned)

    def state(self) -> dict[str, np.ndarray]:
        """What `fit` has learned, by name."""
        self._check_fitted()
        return {name: getattr(self, name).numpy() for name in self.learned}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Take what another score of this kind has learned."""
        if not isinstance(state, dict):
            raise ValueError(f"state is a {type(state).__name__}; expected {list(self.learned)}")
        if missing := [name for name in self.learned if name not in state]:
            raise ValueError(f"state lacks {missing}; expected {list(self.learned)}")
        for name in self.learned:
            try:
                value = np.asarray(state[name])
            except ValueError:  # rows of unequal lengths
                value = np.array(None)
            if value.dtype.kind not in "fiu" or not np.isfinite(value).all():
                raise ValueError(f"state has a {name!r} that is not finite; expected numbers")
            setattr(self, name, tf.constant(value, "float32"))
        self._model = None
        self.__dict__.pop("_graphs", None)  # they know what was learned before

    def _learn(self, vae: VAE, **learned: np.ndarray) -> None:
        """Take what `fit` made of this model."""
        Score.set_state(self, learned)  # its own alone, without that of parts
        self._model = fingerprint_of(vae)

    def copy(self) -> Score:
        """Another score of this kind, with what it has learned."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict:
        """For copies, pickles and other processes, which make their own graphs."""
        return {k: v for k, v in self.__dict__.items() if k != "_graphs"}

    def _normal(self, vae: VAE, images, fewest: int, name: str = "images") -> np.ndarray:
        """The images to fit on, checked."""
        self.check_model(vae)
        images, _ = whole(images, vae.form(name))
        if len(images) < fewest:
            raise ValueError(f"{name} has {len(images)}; expected {fewest} or more to fit on")
        return np.asarray(images, vae.variable_dtype)

    def _check_finite(self, values: np.ndarray, seen: int) -> None:
        wrong = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if wrong.any():
            which = (seen + np.flatnonzero(wrong)).tolist()
            listed = f"{which[:5]}{' and others' if len(which) > 5 else ''}"
            raise ValueError(
                f"the score {self.label()} of images {listed} is not finite; expected weights "
                "without NaN, and values that float32 can square and sum"
            )

    def _run(self, vae: VAE, images: np.ndarray, pixels: bool) -> tuple[np.ndarray, bytes]:
        graph, n = self._graph(vae, pixels), len(images)
        images = np.asarray(images, vae.variable_dtype)
        padded = np.concatenate([images, np.repeat(images[-1:], -n % BLOCK, axis=0)])
        blocks = padded.reshape(-1, BLOCK, *vae.data_shape)
        parts = []
        for i in range(0, len(blocks), CHUNK):
            values, model = graph(tf.constant(blocks[i : i + CHUNK]))
            parts.append(values.numpy())
        values = np.concatenate(parts)
        return values.reshape(-1, *values.shape[2:])[:n].astype("float64"), model.numpy().tobytes()

    def _graph(self, vae: VAE, pixels: bool):
        """The compiled score of this model as it is now; it keeps no model alive."""
        parts = (getattr(vae, name) for name in ("encoder", "decoder", "likelihood"))
        sigma = getattr(vae.likelihood, "_sigma", None)
        key = (pixels, str(self.arguments()), sigma, *map(id, parts))
        with _LOCK:
            graphs = self.__dict__.setdefault("_graphs", weakref.WeakKeyDictionary())
            graphs = graphs.setdefault(vae, {})
            if key not in graphs:
                graphs[key] = self._compile(weakref.ref(vae), pixels)
            return graphs[key]

    def _compile(self, model: weakref.ref, pixels: bool):
        vae = model()
        dtype = vae.variable_dtype

        def block(x):
            terms = ops.cast(self.terms(model(), x), dtype)
            return terms if pixels else total(terms)

        # without AutoGraph, which rewrites Python's `if` and `for`: five times as fast to trace
        @tf.function(
            input_signature=[tf.TensorSpec((None, BLOCK, *vae.data_shape), dtype)], autograph=False
        )
        def graph(blocks):
            return tf.map_fn(block, blocks, fn_output_signature=dtype), fingerprint(model())

        graph.get_concrete_function()
        return graph


def fingerprint(vae: VAE):
    """A digest of the weights that a score depends on, as a tensor of bytes."""
    whole_model = getattr(vae, "model", vae)  # a `Given` is a view of one
    weights = [weight for weight in whole_model.weights if weight is not whole_model.beta]
    rows = [tf.reshape(tf.convert_to_tensor(weight), (1, -1)) for weight in weights]
    return tf.concat([tf.fingerprint(row) for row in rows], axis=1)


def fingerprint_of(vae: VAE) -> bytes:
    """The digest of the weights as they are now."""
    return fingerprint(vae).numpy().tobytes()


def scaled(shares: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Shares (n, ...) that sum to the values (n,), where they have a sum at all."""
    sums = shares.sum(axis=tuple(range(1, shares.ndim)))
    factors = values / np.where(sums > 0, sums, 1)
    return shares * factors.reshape(-1, *[1] * (shares.ndim - 1))


def total(terms):
    """Sum over everything but the images."""
    return ops.sum(terms, axis=tuple(range(1, len(terms.shape))))


def get(score: str | Score, **arguments) -> Score:
    """A new score from its name in `SCORES` and its arguments, or the object itself."""
    if isinstance(score, Score) and not arguments:
        return score
    if not isinstance(score, str) or score not in SCORES:
        expected = f"one of {tuple(SCORES)}, or an object of them"
        raise ValueError(f"score is {score!r}; expected {expected}")
    return SCORES[score](**arguments)
