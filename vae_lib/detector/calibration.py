"""What calibration scores say of new ones: thresholds, alarms and p-values, for each class."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import saving
from ..classes import check_labels
from ..thresholds import METHODS, p_values

SCHEMA = saving.object_of(
    threshold={"type": "array", "items": {"type": "number"}, "minItems": 1},
    false_alarm_rate={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    method={"enum": list(METHODS)},
    scores=saving.ARRAY_SCHEMA,
    classes=saving.ARRAY_SCHEMA,
)


class Calibration(NamedTuple):
    """A threshold per class, (classes,), and the scores (n,) and their classes (n,) behind them."""

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

    def state(self) -> dict:
        """As plain values and arrays."""
        return {
            "threshold": self.thresholds.tolist(),
            "false_alarm_rate": self.false_alarm_rate,
            "method": self.method,
            "scores": self.scores,
            "classes": self.classes,
        }

    @classmethod
    def from_state(cls, state: dict, n_classes: int) -> Calibration:
        """The calibration of this state, whose threshold must be what its scores give."""
        scores, classes = state["scores"], state["classes"]
        for array in (scores, classes):
            if not isinstance(array, np.ndarray) or array.ndim != 1:
                raise ValueError("its calibration scores or classes are not arrays (n,)")
        check_labels(classes, len(scores), n_classes, "calibration/classes")
        parts = [scores[classes == c] for c in range(n_classes)]
        with warnings.catch_warnings():  # "tail" has warned when it was calibrated
            warnings.simplefilter("ignore")
            made = cls.of(parts, state["false_alarm_rate"], state["method"])
        limits, saved = made.thresholds, np.array(state["threshold"])
        if saved.shape != limits.shape or not np.allclose(saved, limits, rtol=1e-6, atol=0):
            raise ValueError(f"its threshold is {saved.tolist()}, by its scores {limits.tolist()}")
        return made._replace(thresholds=saved)

    def flag(self, class_scores: np.ndarray) -> np.ndarray:
        """Alarms (n,) from scores (n, classes): above the thresholds of all classes."""
        return (class_scores > self.thresholds).all(axis=1)

    def p_values(self, class_scores: np.ndarray) -> np.ndarray:
        """p-values (n,) from scores (n, classes): the largest of those under each class."""
        parts = [
            p_values(self.scores[self.classes == c], found)
            for c, found in enumerate(class_scores.T)
        ]
        return np.max(parts, axis=0)
