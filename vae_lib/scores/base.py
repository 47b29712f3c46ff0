"""What all scores share: blocks of images, what was learned, maps.

Images go through the model in blocks of one size, the last one padded, and Monte Carlo scores use
the same draws for every image: so a score depends neither on the batch that an image came in, nor
on the call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import tensorflow as tf
from keras import ops

from ..checks import check_input
from ..model import VAE

SCORES: dict[str, type[Score]] = {}  # every score that has a name
BLOCK = 16  # images: few enough for one image to be quick, enough for many to be


class Score:
    """What all scores share. A subclass is a dataclass whose `terms` says what one block gives."""

    name: ClassVar[str | None] = None  # its key in `SCORES`; a detector saves only those with one
    has_map = False  # whether `terms` are one a pixel
    positive = False  # whether it is never below 0, so that it has a logarithm
    standard_prior = False  # whether it takes p(z) for one standard normal
    learned: tuple[str, ...] = ()  # names of the arrays that `fit` sets

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.name = cls.__dict__.get("name")  # a name is not inherited: it says what to load
        if cls.name:
            SCORES[cls.name] = cls

    def terms(self, vae: VAE, x):
        """What the score is the sum of, for each image: a tensor (n,) or (n, ...)."""
        raise NotImplementedError

    def fit(self, vae: VAE, images: np.ndarray) -> Score:
        """Learn from normal images what is usual. Most scores have nothing to learn."""
        return self

    def __call__(self, vae: VAE, images: np.ndarray) -> np.ndarray:
        """Scores (n,), float64. Raises a ValueError for images that do not fit the model."""
        return self._run(vae, images, total)

    def map(self, vae: VAE, images: np.ndarray) -> np.ndarray:
        """The share of each pixel in the score, in the shape of the images; shares sum to it."""
        if not self.has_map:
            raise ValueError(f"score is {self.label()}, which has no map; 'relative' has one")
        return self._run(vae, images, lambda terms: terms)

    def label(self) -> str:
        """What messages call it."""
        return type(self).__name__ if self.name is None else repr(self.name)

    def arguments(self) -> dict:
        """What makes a score like this one, as JSON knows it."""
        return dataclasses.asdict(self)

    @property
    def fitted(self) -> bool:
        """Whether all that it has to learn is there."""
        return all(getattr(self, name, None) is not None for name in self.learned)

    def state(self) -> dict[str, np.ndarray]:
        """What `fit` has learned, by name."""
        return {name: getattr(self, name).numpy() for name in self.learned}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Take what another score of this kind has learned."""
        for name in self.learned:
            setattr(self, name, tf.constant(state[name], "float32"))
        self.__dict__.pop("_graphs", None)  # they know what was learned before

    def _run(self, vae: VAE, images: np.ndarray, reduce: Callable) -> np.ndarray:
        check_input(images, vae.data_shape, vae.likelihood.unit_interval, "images")
        if not self.fitted:
            raise ValueError(f"score is {self.label()}, which has to be fitted: call fit")
        graphs = self.__dict__.setdefault("_graphs", {})
        if (key := (id(vae), reduce is total)) not in graphs:  # the graph keeps the model alive
            spec = tf.TensorSpec((BLOCK, *vae.data_shape), "float32")
            graphs[key] = tf.function(lambda x: reduce(self.terms(vae, x)), input_signature=[spec])
        images = np.asarray(images, "float32")
        padded = np.concatenate([images, np.repeat(images[-1:], -len(images) % BLOCK, axis=0)])
        blocks = [
            graphs[key](tf.constant(padded[i : i + BLOCK])).numpy()
            for i in range(0, len(padded), BLOCK)
        ]
        return np.concatenate(blocks)[: len(images)].astype("float64")


def total(terms):
    """Sum over everything but the images."""
    return ops.sum(terms, axis=tuple(range(1, len(terms.shape))))


def get(score: str | Score) -> Score:
    """A new score from its name in `SCORES`, or the object itself."""
    if isinstance(score, Score):
        return score
    if not isinstance(score, str) or score not in SCORES:
        raise ValueError(
            f"score is {score!r}; expected one of {tuple(SCORES)}, or an object of them"
        )
    return SCORES[score]()
