"""Several scores as one."""

from __future__ import annotations

import dataclasses

import numpy as np
from keras import ops

from ..model import VAE
from .base import SCORES, Score, get, total


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
        self.parts = tuple(self.parts)
        positive = tuple(name for name, score in SCORES.items() if score.positive)
        if not self.parts or not set(self.parts) <= set(positive):
            raise ValueError(f"parts is {self.parts}; expected one or more of {positive}")
        self.scores = [get(name) for name in self.parts]
        self.standard_prior = any(score.standard_prior for score in self.scores)

    def terms(self, vae: VAE, x):
        """One a part."""
        logs = ops.stack([ops.log(total(s.terms(vae, x)) + 1e-9) for s in self.scores], axis=1)
        return (logs - self.location) / self.scale / len(self.parts)

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
        to_fit, rest = (images[::2], images[1::2]) if learns else (images, images)
        logs = [np.log(score.fit(vae, to_fit)(vae, rest) + 1e-9) for score in self.scores]
        own = {"location": np.mean(logs, axis=1), "scale": np.std(logs, axis=1) + 1e-6}
        super().set_state(own)
        return self
