"""Several scores as one."""

from __future__ import annotations

import dataclasses

import numpy as np
from keras import ops

from ..model import VAE
from .base import SCORES, Score, fingerprint_of, get, total


@dataclasses.dataclass(eq=False)
class Fusion(Score):
    """Mean of several scores, each on a log scale and standardised on normal images.

    Equation (7.2).

    Only scores that are never negative can take part.
    """

    name = "fusion"
    parts: tuple[str, ...] = ("relative", "neighbours")
    learned = ("location", "scale")

    def __post_init__(self):
        positive = tuple(name for name, score in SCORES.items() if score.positive)
        listed = isinstance(self.parts, (tuple, list)) and len(self.parts) > 0
        if not listed or not all(part in positive for part in self.parts):
            raise ValueError(f"parts is {self.parts!r}; expected one or more of {positive}")
        self.parts = tuple(self.parts)
        if len(set(self.parts)) < len(self.parts):
            raise ValueError(f"parts is {self.parts}; expected each of them once")
        self.scores = [get(name) for name in self.parts]
        self.standard_prior = any(score.standard_prior for score in self.scores)
        self.images_only = any(score.images_only for score in self.scores)

    def terms(self, vae: VAE, x):
        """One a part."""
        logs = ops.stack([ops.log(total(s.terms(vae, x)) + 1e-9) for s in self.scores], axis=1)
        location, scale = (ops.cast(a, logs.dtype) for a in (self.location, self.scale))
        return (logs - location) / scale / len(self.parts)

    def check_model(self, vae: VAE) -> None:
        """That of all parts."""
        super().check_model(vae)
        for score in self.scores:
            score.check_model(vae)

    def state(self) -> dict[str, np.ndarray]:
        """Its own, and that of its parts with their names in front."""
        nested = zip(self.parts, self.scores, strict=True)
        return super().state() | {f"{n}.{k}": v for n, s in nested for k, v in s.state().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """The reverse of `state`."""
        super().set_state(state)
        for name, score in zip(self.parts, self.scores, strict=True):
            own = {k.removeprefix(f"{name}."): v for k, v in state.items()}
            score.set_state(own)

    def fit(self, vae: VAE, images: np.ndarray) -> Fusion:
        """Fit the parts on every other image, and standardise them on the rest.

        Without a part that learns, all images serve to standardise.
        """
        learns = any(score.learned for score in self.scores)
        images = self._normal(vae, images, fewest=4 if learns else 2)
        to_fit, rest = (images[::2], images[1::2]) if learns else (images, images)
        logs = [np.log(score.fit(vae, to_fit)(vae, rest) + 1e-9) for score in self.scores]
        own = {"location": np.mean(logs, axis=1), "scale": np.std(logs, axis=1) + 1e-6}
        super().set_state(own)
        self._model = fingerprint_of(vae)
        return self
