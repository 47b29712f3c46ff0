"""What a detector says of items, and how often it is right, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score, roc_curve

from ..checks import check_count, check_seed
from ..frames import pandas

Flag = Callable[[np.ndarray], np.ndarray]


class Verdicts(NamedTuple):
    """What `judge` says of items in an array, one value each, (n,)."""

    score: np.ndarray
    p_value: np.ndarray
    is_anomaly: np.ndarray

    def framed(self, frame):
        """The same by the index of the frame, of whose last rows they are; the first have none."""
        nothing = {"score": np.nan, "p_value": np.nan, "is_anomaly": False}
        missing = len(frame) - len(self.score)
        columns = {
            name: np.concatenate([np.full(missing, nothing[name]), values])
            for name, values in self._asdict().items()
        }
        return pandas().DataFrame(columns, index=frame.index)


class Interval(NamedTuple):
    """A figure on the given items, and its 95 % bootstrap interval; see `evaluate` for nan."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


class Evaluation(NamedTuple):
    """What `evaluate` measures. Rates are in 0..1; `confusion` is [[tn, fp], [fn, tp]]."""

    auroc: Interval
    average_precision: Interval
    fpr_at_95_tpr: Interval
    false_alarm_rate: Interval
    detection_rate: Interval
    confusion: np.ndarray

    def __str__(self) -> str:
        """A figure a line, with its interval, and the counts behind the rates."""
        (quiet, false_alarms), (missed, hits) = self.confusion
        counts = f"{false_alarms} of {quiet + false_alarms} normal, {hits} of {missed + hits} odd"
        lines = [f"{name.replace('_', ' '):18} {getattr(self, name)}" for name in self._fields[:-1]]
        return "\n".join([*lines, f"{'alarms':18} {counts}"])


def evaluate(
    class_scores: np.ndarray, is_anomaly: np.ndarray, flag: Flag, resamples: int, seed: int
) -> Evaluation:
    """Figures of scores (n, classes), their smallest being the item's, and of what `flag` flags.

    The bootstrap draws normal and anomalous items anew, each among themselves. A kind with one
    item is always drawn alike: the intervals of figures that depend on it are nan.

    Raises a ValueError unless scores are finite, is_anomaly is bool (n,), or 0 and 1, and has both
    kinds; and for fewer than one resample, or a seed outside 0..2**32 - 1.
    """
    check_count("resamples", resamples)
    check_seed("seed", seed)
    if not np.isfinite(class_scores).all():
        raise ValueError("class_scores contains NaN or infinite values; expected finite numbers")
    is_anomaly = flags_of(is_anomaly, len(class_scores))
    if is_anomaly.all() or not is_anomaly.any():
        problem = f"is_anomaly has one kind only, {is_anomaly.sum()} anomalies of {len(is_anomaly)}"
        raise ValueError(f"{problem}; expected normal and anomalous ones")
    normal, anomalous = class_scores[~is_anomaly], class_scores[is_anomaly]
    rng = np.random.RandomState(seed)
    draws = [
        _figures(*(part[rng.choice(len(part), len(part))] for part in (normal, anomalous)), flag)
        for _ in range(resamples)
    ]
    bounds = np.quantile(draws, [0.025, 0.975], axis=0)
    single = len(normal) == 1, len(anomalous) == 1
    low, high = np.where([any(single)] * 3 + list(single), np.nan, bounds)  # the rates: one kind's
    values = _figures(normal, anomalous, flag)
    intervals = (Interval(*map(float, row)) for row in zip(values, low, high, strict=True))
    return Evaluation(*intervals, confusion_matrix(is_anomaly, flag(class_scores)))


def flags_of(is_anomaly, n: int) -> np.ndarray:
    """Labels (n,) as bool; a ValueError unless they are bool, or 0 and 1."""
    try:
        labels = np.asarray(is_anomaly)
    except ValueError as error:
        raise ValueError(f"is_anomaly has rows of unequal lengths; expected ({n},)") from error
    whole = labels.dtype.kind in "biu" and not np.ma.isMA(is_anomaly)
    if labels.shape != (n,) or not whole or not np.isin(labels, (0, 1)).all():
        problem = f"is_anomaly has shape {labels.shape} and dtype {labels.dtype}"
        raise ValueError(f"{problem}; expected ({n},) of bool, or of 0 and 1, without a mask")
    return labels.astype(bool)


def _figures(normal: np.ndarray, anomalous: np.ndarray, flag: Flag) -> list[float]:
    scores = np.concatenate([normal, anomalous]).min(axis=1)
    truth = np.arange(len(scores)) >= len(normal)
    false_alarms, hits, _ = roc_curve(truth, scores, drop_intermediate=False)
    return [
        roc_auc_score(truth, scores),
        average_precision_score(truth, scores),
        false_alarms[np.searchsorted(hits, 0.95)],
        np.mean(flag(normal)),
        np.mean(flag(anomalous)),
    ]
