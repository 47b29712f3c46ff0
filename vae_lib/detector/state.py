"""What a detector knows at one moment: models with their scores, and the calibration of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError

from ..batches import arrays
from ..classes import ConditionalVAE, Given
from ..frames import plain
from ..model import VAE
from ..scores import Score
from .calibration import Calibration
from .own import EXPECTED, METHODS, check_own, digest, is_own


class State(NamedTuple):
    """A model and its score for each class; the weights' fingerprints and what they calibrated.

    `columns` are the names of a table's columns, if `calibrate` got a DataFrame.
    """

    views: list[tuple[VAE | Given, Score]]
    weights: list[bytes] | None = None
    calibration: Calibration | None = None
    columns: tuple[str, ...] | None = None

    def scores(self, images) -> tuple[np.ndarray, list[bytes]]:
        """Scores (n, classes), and fingerprints of the weights that gave them."""
        parts, seen, weights = [], 0, []
        images = plain(images, self.columns, "images")
        for batch, _ in arrays(images, self.views[0][0].form("images")):
            found = [score.of(model, batch, first=seen) for model, score in self.views]
            parts.append(np.stack([values for values, _ in found], axis=1))
            weights = [fingerprint for _, fingerprint in found]
            seen += len(batch)
        return np.concatenate(parts), weights

    def calibrated_scores(self, images) -> tuple[np.ndarray, Calibration]:
        """Scores (n, classes), and the calibration that holds for them."""
        self.check_fresh(self.weights)
        try:
            found, weights = self.scores(images)
        except ValueError:  # perhaps of a score that was fitted on other weights, too
            self.check_now()
            raise
        self.check_fresh(weights)
        return found, self.calibration

    def check_fresh(self, weights: list[bytes] | None) -> None:
        """There must be a calibration, and it must come from these weights."""
        if self.calibration is None:
            raise NotFittedError("this detector has no threshold yet: call calibrate first")
        if weights != self.weights:
            raise NotFittedError(
                "the model's weights have changed since calibrate, and its threshold no longer "
                "holds: call calibrate again"
            )

    def check_now(self) -> None:
        """There must be a calibration, and it must hold for the weights as they are now."""
        self.check_fresh([digest(model) for model, _ in self.views])


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
