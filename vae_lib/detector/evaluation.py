"""Figures of a detector on labelled images, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score, roc_curve

Flag = Callable[[np.ndarray], np.ndarray]


class Interval(NamedTuple):
    """A figure on the given images, and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Evaluation(NamedTuple):
    """What `evaluate` measures. Rates are in 0..1; `confusion` is [[tn, fp], [fn, tp]]."""

    auroc: Interval
    average_precision: Interval
    fpr_at_95_tpr: Interval
    false_alarm_rate: Interval
    detection_rate: Interval
    confusion: np.ndarray


def evaluate(
    class_scores: np.ndarray, is_anomaly: np.ndarray, flag: Flag, resamples: int, seed: int
) -> Evaluation:
    """Figures of scores (n, classes), their smallest being the image's, and of what `flag` flags.

    The bootstrap draws normal and anomalous images anew, each among themselves.

    Raises a ValueError unless is_anomaly is bool (n,) and has both kinds.
    """
    is_anomaly = np.asarray(is_anomaly)
    if is_anomaly.shape != (len(class_scores),) or is_anomaly.dtype != bool:
        found = f"is_anomaly has shape {is_anomaly.shape} and dtype {is_anomaly.dtype}"
        raise ValueError(f"{found}; expected ({len(class_scores)},) of bool")
    if is_anomaly.all() or not is_anomaly.any():
        raise ValueError("is_anomaly has one kind only; expected normal and anomalous images")
    normal, anomalous = class_scores[~is_anomaly], class_scores[is_anomaly]
    rng = np.random.RandomState(seed)
    draws = [
        _figures(*(part[rng.choice(len(part), len(part))] for part in (normal, anomalous)), flag)
        for _ in range(resamples)
    ]
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    values = _figures(normal, anomalous, flag)
    intervals = (Interval(*map(float, row)) for row in zip(values, low, high, strict=True))
    return Evaluation(*intervals, confusion_matrix(is_anomaly, flag(class_scores)))


def _figures(normal: np.ndarray, anomalous: np.ndarray, flag: Flag) -> list[float]:
    found = np.concatenate([normal, anomalous]).min(axis=1)
    truth = np.arange(len(found)) >= len(normal)
    false_alarms, hits, _ = roc_curve(truth, found)
    return [
        roc_auc_score(truth, found),
        average_precision_score(truth, found),
        false_alarms[np.searchsorted(hits, 0.95)],
        np.mean(flag(normal)),
        np.mean(flag(anomalous)),
    ]
