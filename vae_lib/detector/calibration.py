"""What calibration scores say of new ones: thresholds, alarms and p-values, for each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import thresholds

METHODS = {
    "conformal": thresholds.conformal,
    "quantile": thresholds.quantile,
    "tail": thresholds.tail,
}


class Calibration(NamedTuple):
    """A threshold a class, (classes,), and the scores (n,) and their classes (n,) behind them."""

    thresholds: np.ndarray
    false_alarm_rate: float
    method: str
    scores: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, scores: Sequence[np.ndarray], rate: float, method: str) -> Calibration:
        """From the scores of each class. Raises a ValueError as the functions of `thresholds`."""
        limits = np.array([METHODS[method](part, rate) for part in scores])
        classes = np.repeat(np.arange(len(scores)), [len(part) for part in scores])
        return cls(limits, float(rate), method, np.concatenate(scores), classes)

    def flag(self, class_scores: np.ndarray) -> np.ndarray:
        """Alarms (n,) from scores (n, classes): above the thresholds of all classes."""
        return (class_scores > self.thresholds).all(axis=1)

    def p_values(self, class_scores: np.ndarray) -> np.ndarray:
        """p-values (n,) from scores (n, classes): the largest of those under each class."""
        parts = [
            thresholds.p_values(self.scores[self.classes == c], found)
            for c, found in enumerate(class_scores.T)
        ]
        return np.max(parts, axis=0)
