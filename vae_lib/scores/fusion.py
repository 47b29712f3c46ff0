"""Several scores as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from keras import ops

from ..checks import is_real
from ..model import VAE
from .base import SCORES, Score, fingerprint_of, get, scaled, total

LEAST = 1e-9  # has a logarithm, where a part is 0
OF_IMAGES = (
    *("reconstruction", "local", "relative", "largest"),
    *("latent", "activations", "neighbours", "kl"),
)
SHRINKAGE = 0.1  # of the correlations towards 0: what parts share may not be all taken out
OF_TABLES = ("reconstruction", "joint")


class Logarithms(Score):
    """Those of several scores side by side, in one graph."""

    def __init__(self, scores: Sequence[Score]):
        self.scores = scores

    def arguments(self) -> dict:
        """None: each object has its own scores."""
        return {}

    def terms(self, vae: VAE, x):
        """One a part: (n, parts)."""
        logs = [ops.log(total(score.terms(vae, x)) + LEAST) for score in self.scores]
        return ops.stack(logs, axis=1)


@dataclasses.dataclass(eq=False)
class Fusion(Score):
    """How unusual several scores of an image are together; equation (7.2).

    The logarithms of the parts are standardised on normal images, where R is their correlation.
    R^(-1/2) takes out what they share and leaves each as near to itself as it can (Kessy, Lewin and
    Strimmer, 2018); then all are squared and summed. A part below the usual counts `below` times:
    an image that is rebuilt better than normal ones is suspicious, too, though less.

    Args:
        parts: names of scores that are never negative; None takes, of `OF_IMAGES` or `OF_TABLES`,
            those that suit the model.
        below: from 0 to 1.
    """

    name = "fusion"
    parts: tuple[str, ...] | None = None
    below: float = 0.5
    learned = ("location", "whitening")

    def __post_init__(self):
        if not (is_real(self.below) and 0 <= self.below <= 1):
            raise ValueError(f"below is {self.below!r}; expected a number from 0 to 1")
        self.scores: list[Score] = []
        if self.parts is not None:
            self._take(self.parts)

    def _take(self, parts: tuple[str, ...]) -> None:
        positive = tuple(n for n, kind in SCORES.items() if kind.positive)
        listed = isinstance(parts, (tuple, list)) and len(parts) > 0
        if not listed or not all(part in positive for part in parts):
            raise ValueError(f"parts is {parts!r}; expected one or more of {positive}")
        if len(set(parts)) < len(parts):
            raise ValueError(f"parts is {tuple(parts)}; expected each of them once")
        self.parts = tuple(parts)
        self.scores = [get(name) for name in parts]
        self.standard_prior = any(score.standard_prior for score in self.scores)
        self.images_only = any(score.images_only for score in self.scores)

    def suit(self, models: Sequence[VAE]) -> None:
        """Without `parts`, take those that suit all of the models."""
        if self.parts is None:
            for model in models:
                super().check_model(model)
            found = OF_IMAGES if len(models[0].data_shape) == 3 else OF_TABLES
            self._take(tuple(n for n in found if all(get(n).suits(model) for model in models)))
        super().suit(models)

    def check_model(self, vae: VAE) -> None:
        """That of all parts."""
        super().check_model(vae)
        for score in self.scores:
            score.check_model(vae)

    def terms(self, vae: VAE, x):
        """One for each direction."""
        logs = Logarithms(self.scores).terms(vae, x)
        usual = (ops.cast(a, logs.dtype) for a in (self.location, self.whitening))
        return squares(logs, *usual, self.below)

    def map(self, vae: VAE, images: np.ndarray) -> np.ndarray:
        """The map of its first part that has one, scaled so that its shares sum to the score."""
        shown = next((score for score in self.scores if score.has_map), None)
        if shown is None:
            return super().map(vae, images)
        return scaled(shown.map(vae, images), self(vae, images))

    def state(self) -> dict[str, np.ndarray]:
        """Its own, and that of its parts with their names in front."""
        own = super().state()
        nested = zip(self.parts, self.scores, strict=True)
        return own | {f"{n}.{k}": v for n, s in nested for k, v in s.state().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """The reverse of `state`."""
        if self.parts is None:
            raise ValueError(
                "parts is None, so that nothing says whose state this is; expected names"
            )
        super().set_state(state)
        for name, score in zip(self.parts, self.scores, strict=True):
            own = {k.removeprefix(f"{name}."): v for k, v in state.items()}
            score.set_state(own)

    def fit(self, vae: VAE, images: np.ndarray, held_out: np.ndarray | None = None) -> Fusion:
        """Fit the parts on images; what is usual, on held_out.

        Without held_out every other image is held out from the parts: then no image may be one
        that the model was trained on, since its errors are smaller than those of new ones.
        """
        self.suit([vae])
        images, held_out = self.parted(vae, images, held_out)
        for score in self.scores:
            score.fit(vae, images, held_out)
        logs, _ = Logarithms(self.scores).of(vae, held_out, pixels=True)
        super().set_state(dict(zip(self.learned, usual_of(logs), strict=True)))
        self._model = fingerprint_of(vae)
        return self

    def parted(self, vae: VAE, images: np.ndarray, held_out: np.ndarray | None):
        """Images to fit the parts on, and those held out from them."""
        fewest = max(2, *(score.fewest for score in self.scores))
        images = self._normal(vae, images, 2 * fewest if held_out is None else fewest)
        if held_out is None:
            return images[::2], images[1::2]
        return images, self._normal(vae, held_out, 2, "held_out")


@dataclasses.dataclass(eq=False)
class Typicality(Fusion):
    """A fusion to which too normal is as odd as too strange: a squared Mahalanobis distance.

    After the test of typicality of Nalisnick et al. (2019). It pays where strangers are simpler
    than what is normal, as a smooth surface is among rough ones.
    """

    name = "typicality"
    below: float = 1.0


def usual_of(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Location (parts,) and whitening (parts, parts) of normal images' logarithms (n, parts)."""
    location, scale = logs.mean(axis=0), logs.std(axis=0) + 1e-6
    standardised = (logs - location) / scale
    correlation = standardised.T @ standardised / len(logs)
    shrunk = (1 - SHRINKAGE) * correlation + SHRINKAGE * np.eye(logs.shape[1])
    values, vectors = np.linalg.eigh(shrunk)
    return location, vectors / np.sqrt(values) @ vectors.T / scale[:, None]


def squares(logs, location, whitening, below: float):
    """The terms (..., parts) of logarithms: squared deviations, those below times `below` first."""
    deviations = (logs - location) @ whitening
    return ops.where(deviations < 0, below * deviations, deviations) ** 2
