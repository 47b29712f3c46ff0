"""From scores to a threshold, and what each way promises.

Everywhere a higher score is more anomalous, and an image is an anomaly when score > threshold.
Calibration scores come from normal images that neither the model nor the choice of the score saw.
"""

from __future__ import annotations

import math
import numbers
import warnings

import numpy as np
from scipy import stats

FEWEST_EXCEEDANCES = 10
BOOTSTRAPS = 200


def quantile(scores: np.ndarray, false_alarm_rate: float) -> float:
    """The value that a share `false_alarm_rate` of the calibration scores (n,) exceeds.

    Promises that rate in the limit of many scores. With n of them the expected rate is larger, by
    about (1 - 2 rate) / (n + 1); see `conformal`.

    Raises:
        ValueError: scores that are empty, not (n,) or not finite; a rate outside (0, 1).
    """
    scores = _scores(scores)
    return float(np.quantile(scores, 1 - _share(false_alarm_rate, "false_alarm_rate")))


def cheapest(
    scores: np.ndarray,
    is_anomaly: np.ndarray,
    prevalence: float,
    false_alarm_cost: float = 1.0,
    miss_cost: float = 1.0,
) -> float:
    """The threshold of the smallest expected cost per image, equation (8.1); Elkan (2001).

    `scores` (n,) are labelled by `is_anomaly` (n,) of bool, at any prevalence: `prevalence` in
    (0, 1) is that of the images to come. Promises the smallest cost on these very scores, so the
    cost to expect has to be measured on others. Of equal costs the one with fewer alarms wins.

    Raises:
        ValueError: scores as in `quantile`; labels of another shape or type, or all of one kind; a
            prevalence outside (0, 1); a cost that is not positive and finite.
    """
    scores, is_anomaly = _scores(scores), _array(is_anomaly, "is_anomaly")
    if is_anomaly.shape != scores.shape or is_anomaly.dtype != bool:
        found = f"shape {is_anomaly.shape} and dtype {is_anomaly.dtype}"
        raise ValueError(f"is_anomaly has {found}; expected {scores.shape} of bool, as scores")
    if is_anomaly.all() or not is_anomaly.any():
        found = f"{is_anomaly.sum()} True of {len(is_anomaly)}"
        raise ValueError(f"is_anomaly has {found}; expected both normal and anomalous scores")
    prevalence = _share(prevalence, "prevalence")
    for name, cost in (("false_alarm_cost", false_alarm_cost), ("miss_cost", miss_cost)):
        if not (_is_number(cost) and 0 < cost < math.inf):
            raise ValueError(f"{name} is {cost!r}; expected a positive number")
    values = np.unique(scores)
    candidates = np.append(np.nextafter(values[0], -np.inf), values)  # the first one flags all
    false_alarms, misses = (
        np.searchsorted(np.sort(part), candidates, side="right") / len(part)
        for part in (scores[~is_anomaly], scores[is_anomaly])
    )
    false_alarms = 1 - false_alarms
    costs = (1 - prevalence) * false_alarm_cost * false_alarms + prevalence * miss_cost * misses
    cheap = np.flatnonzero(costs <= costs.min() * (1 + 1e-12))  # equal but for rounding
    return float(candidates[cheap[-1]])


def tail(scores: np.ndarray, false_alarm_rate: float, tail_share: float = 0.1) -> float:
    """Peaks over threshold: a generalised Pareto tail through the highest scores, equation (8.2).

    Pickands (1975); Siffer et al. (2017), fitted after Zhang and Stephens (2009). For rates rarer
    than 1 / n, out of reach for `quantile` and `conformal`. Promises the rate only as far as the
    law of the highest `tail_share` of the calibration scores (n,) goes on beyond the last of them,
    which no data can show. It warns where that law does not even fit what is there: when an
    Anderson-Darling test with a parametric bootstrap gives p < 0.05, so about one good tail in
    twenty draws a warning too. With few exceedances the test sees little.

    Raises:
        ValueError: scores as in `quantile`; a rate or share outside (0, 1), a rate above the
            share, or fewer than 10 scores in the tail.
    """
    scores, share = _scores(scores), _share(tail_share, "tail_share")
    rate = _share(false_alarm_rate, "false_alarm_rate")
    if rate > share:
        expected = f"expected at most tail_share = {share}: for other rates, see quantile"
        raise ValueError(f"false_alarm_rate is {rate}; {expected}")
    start = np.quantile(scores, 1 - share)
    excess = np.sort(scores[scores > start] - start)
    if len(excess) < FEWEST_EXCEEDANCES:
        found = f"scores has {len(scores)} values, {len(excess)} of them in the tail"
        expected = f"expected {FEWEST_EXCEEDANCES} or more, from more scores or a larger tail_share"
        raise ValueError(f"{found}; {expected}")
    shape, scale = _fit_pareto(excess)
    if (p := _fit_p_value(excess, shape, scale)) < 0.05:
        warnings.warn(
            f"the highest {len(excess)} scores do not follow a generalised Pareto law (p = {p:.3f})"
            ", so the false-alarm rate may be far off: look at their histogram, try another "
            "tail_share, or use conformal",
            stacklevel=2,
        )
    beyond = min(1.0, rate * len(scores) / len(excess))
    return float(start + stats.genpareto.isf(beyond, shape, scale=scale))


def conformal(scores: np.ndarray, false_alarm_rate: float) -> float:
    """The ceil((n + 1)(1 - rate))-th smallest of the calibration scores (n,), equation (8.3).

    Promises P(score of a new normal image > threshold) <= rate for any n and any distribution, if
    the new image and the calibration images are exchangeable: Vovk, Gammerman and Shafer (2005),
    Laxhammar and Falkman (2010). The probability is over calibration sets *and* new images: with
    one given calibration set the rate scatters about it, as a Beta distribution.

    Raises:
        ValueError: scores as in `quantile`; a rate outside (0, 1), or one so small that it needs
            more scores: n >= 1 / rate - 1.
    """
    scores = np.sort(_scores(scores))
    rate, n = _share(false_alarm_rate, "false_alarm_rate"), len(scores)
    # How many p-values j / (n + 1) are at most the rate: compared as p_values are, to the last bit
    allowed = int(np.searchsorted(np.arange(1, n + 1) / (n + 1), rate, side="right"))
    if allowed == 0:
        needed = math.ceil(1 / rate - 1e-9) - 1
        expected = f"expected {needed} or more for a false_alarm_rate of {rate}"
        raise ValueError(f"scores has {n} values; {expected}")
    return float(scores[n - allowed])


def p_values(
    calibration: np.ndarray,
    scores: np.ndarray,
    calibration_classes: np.ndarray | None = None,
    classes: np.ndarray | None = None,
) -> np.ndarray:
    """Conformal p-values (1 + #{calibration >= score}) / (n + 1) of scores (m,), equation (8.4).

    Promises P(p <= rate) <= rate for a new normal image and every rate, as `conformal`, with which
    p <= rate agrees. With the classes of both, each score is compared with the calibration scores
    of its own class (Mondrian: Vovk et al., 2005), and the promise holds within each class. Classes
    must be known without looking at the score: given, or predicted in the same way for both.

    Raises:
        ValueError: scores as in `quantile`, one of the two classes without the other, classes of
            another shape than the scores, or a class without calibration scores.
    """
    calibration, scores = _scores(calibration, "calibration"), _scores(scores)
    if (calibration_classes is None) != (classes is None):
        missing = "calibration_classes" if calibration_classes is None else "classes"
        raise ValueError(f"{missing} is None; expected both calibration_classes and classes")
    if classes is None:
        at_least = len(calibration) - np.searchsorted(np.sort(calibration), scores, side="left")
        return (1 + at_least) / (len(calibration) + 1)
    calibration_classes = _array(calibration_classes, "calibration_classes", calibration)
    classes = _array(classes, "classes", scores)
    if unknown := sorted(set(classes.tolist()) - set(calibration_classes.tolist())):
        raise ValueError(f"classes has {unknown}; expected classes with calibration scores")
    p = np.empty(len(scores))
    for c in np.unique(classes):
        p[classes == c] = p_values(calibration[calibration_classes == c], scores[classes == c])
    return p


def benjamini_hochberg(p_values: np.ndarray, level: float) -> np.ndarray:
    """Which of many images are anomalies, bool (m,), by their p-values (m,): equation (8.5).

    Promises a false discovery rate, the expected share of false ones among the alarms, of at most
    `level`: Benjamini and Hochberg (1995), for independent p-values, and Bates, Candès, Lei, Romano
    and Sesia (2023) for conformal ones, which share a calibration set (without classes).

    Raises:
        ValueError: p-values that are empty, not (m,) or outside 0..1; a level outside (0, 1).
    """
    p, level = _scores(p_values, "p_values"), _share(level, "level")
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"p_values has values in {p.min():.4g}..{p.max():.4g}; expected 0..1")
    return stats.false_discovery_control(p) <= level * (1 + 1e-12)  # equal but for rounding


def _scores(values: np.ndarray, name: str = "scores") -> np.ndarray:
    kind, values = type(values).__name__, _array(values, name)
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        found = f"{name} is a {kind} of shape {values.shape} and dtype {values.dtype}"
        raise ValueError(f"{found}; expected (n,) of floats")
    if len(values) == 0:
        raise ValueError(f"{name} is empty; expected at least one value")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} contains NaN or infinite values; expected finite numbers")
    return values.astype("float64")


def _array(values, name: str, like: np.ndarray | None = None) -> np.ndarray:
    if np.ma.isMA(values):  # NumPy would drop the mask
        raise ValueError(f"{name} is a masked array; expected one without a mask")
    try:
        array = np.asarray(values)
    except ValueError as error:
        found = f"{name} is a {type(values).__name__} of unequal rows"
        raise ValueError(f"{found}; expected an array") from error
    if like is not None and array.shape != like.shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {like.shape}")
    return array


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _share(value: float, name: str) -> float:
    if not (_is_number(value) and 0 < value < 1):
        raise ValueError(f"{name} is {value!r}; expected a number between 0 and 1")
    return float(value)


def _fit_pareto(excess: np.ndarray) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto law, from sorted excesses (m,).

    Zhang and Stephens (2009): a mean over likely values, stable where the likelihood has no peak.
    """
    m = len(excess)
    grid = 20 + math.isqrt(m)
    b = 1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    b = 1 / excess[-1] + b / (3 * excess[int(m / 4 + 0.5) - 1])
    k = -np.log1p(-b[:, None] * excess).mean(axis=1)
    log_likelihood = m * (np.log(b / k) + k - 1)
    weights = np.exp(log_likelihood - log_likelihood.max())
    b = (b * weights).sum() / weights.sum()
    k = -np.log1p(-b * excess).mean()
    return float(-k), float(k / b)


def _fit_p_value(excess: np.ndarray, shape: float, scale: float) -> float:
    """How often a law fits its own draws worse than it fits the excesses (m,), both refitted."""

    def misfit(drawn, shape, scale):
        u = np.clip(stats.genpareto.cdf(drawn, shape, scale=scale), 1e-12, 1 - 1e-12)
        odd = 2 * np.arange(1, len(u) + 1) - 1
        return -(odd * (np.log(u) + np.log1p(-u[::-1]))).mean()  # Anderson-Darling, but for m

    random = np.random.RandomState(0)  # the same answer at every call
    draws = stats.genpareto.rvs(
        shape, scale=scale, size=(BOOTSTRAPS, len(excess)), random_state=random
    )
    others = [misfit(drawn, *_fit_pareto(drawn)) for drawn in np.sort(draws, axis=1)]
    worse = np.sum(np.array(others) >= misfit(excess, shape, scale))
    return (1 + worse) / (BOOTSTRAPS + 1)


METHODS = {"conformal": conformal, "quantile": quantile, "tail": tail}  # of `AnomalyDetector`
