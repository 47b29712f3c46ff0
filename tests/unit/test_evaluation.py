"""`evaluate` against brute force and an independent bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from vae_lib.detector.evaluation import evaluate

RANDOM = np.random.RandomState(0)
SCORES = np.round(np.r_[RANDOM.randn(40), RANDOM.randn(20) + 1], 1)
IS_ANOMALY = np.repeat([False, True], [40, 20])


def above(threshold: float):
    return lambda class_scores: class_scores.min(axis=1) > threshold


def found(scores=SCORES, is_anomaly=IS_ANOMALY, threshold=1.0, resamples=10, seed=0):
    scores = np.asarray(scores, "float64")
    scores = scores[:, None] if scores.ndim == 1 else scores
    return evaluate(scores, is_anomaly, above(threshold), resamples, seed)


def brute_force(normal: np.ndarray, anomalous: np.ndarray) -> float:
    """The smallest share of normals at or above a threshold that catches 95 % of the anomalies."""
    return min(
        (normal >= t).mean()
        for t in np.r_[normal, anomalous]
        if 100 * (anomalous >= t).sum() >= 95 * len(anomalous)
    )


runs = st.tuples(st.sampled_from([(1, 1), (2, 1), (1, 0), (0, 1)]), st.integers(1, 20))
steps = st.lists(runs, min_size=1, max_size=4).map(
    lambda runs: [step for step, times in runs for _ in range(times)]
)


@given(steps.filter(lambda steps: min(map(sum, zip(*steps, strict=True))) > 0))
def test_fpr_at_95_tpr_by_brute_force_with_ties(steps):
    """Steps are the normals and anomalies tied at a level; a run of them is a straight ROC."""
    levels = np.arange(len(steps))
    normal, anomalous = (np.repeat(levels, counts) for counts in zip(*steps, strict=True))
    truth = np.repeat([False, True], [len(normal), len(anomalous)])
    result = found(np.r_[normal, anomalous], truth, resamples=1).fpr_at_95_tpr.value
    assert result == pytest.approx(brute_force(normal, anomalous))


def test_values_are_scikit_learns_and_counts():
    result, flags = found(), SCORES > 1
    assert result.auroc.value == pytest.approx(roc_auc_score(IS_ANOMALY, SCORES))
    precision = average_precision_score(IS_ANOMALY, SCORES)
    assert result.average_precision.value == pytest.approx(precision)
    assert result.false_alarm_rate.value == flags[:40].mean()
    assert result.detection_rate.value == flags[40:].mean()
    counts = [[(~flags[:40]).sum(), flags[:40].sum()], [(~flags[40:]).sum(), flags[40:].sum()]]
    np.testing.assert_array_equal(result.confusion, counts)


def test_the_score_of_an_item_is_the_smallest_over_its_classes():
    larger = SCORES + RANDOM.rand(60)
    assert repr(found(np.stack([larger, SCORES], axis=1))) == repr(found())


def test_intervals_are_the_95_percent_of_resampling():
    """Flags drawn anew are binomial, so the quantiles of their share are known."""
    scores = np.r_[np.arange(400) >= 300, np.arange(200) >= 40]
    truth = np.repeat([False, True], [400, 200])
    result = found(scores, truth, threshold=0.5, resamples=1000)
    narrower = []  # 0 for 95 %, 1 for 90 %
    for interval, law in (
        (result.false_alarm_rate, stats.binom(400, 0.25)),
        (result.detection_rate, stats.binom(200, 0.8)),
    ):
        outer, inner = (np.diff(law.ppf([tail, 1 - tail])) / law.args[0] for tail in (0.025, 0.05))
        narrower.append((outer - (interval.high - interval.low)) / (outer - inner))
    assert abs(np.mean(narrower)) < 0.3


def test_intervals_are_those_of_an_independent_bootstrap():
    normal, anomalous = SCORES[:40], SCORES[40:]
    rng, areas = np.random.default_rng(5), []
    for _ in range(2000):
        drawn = rng.choice(normal, 40), rng.choice(anomalous, 20)
        ranks = drawn[1][:, None] - drawn[0]
        areas.append((ranks > 0).mean() + (ranks == 0).mean() / 2)
    interval = found(resamples=700).auroc
    np.testing.assert_allclose(interval[1:], np.quantile(areas, [0.025, 0.975]), atol=0.015)


def test_the_seed_is_all_that_decides():
    assert repr(found(seed=1)) == repr(found(seed=1)) != repr(found(seed=2))
    assert repr(found(seed=2**32 - 1, resamples=np.int64(10)))


@pytest.mark.parametrize("kind", [False, True])
def test_a_single_item_of_a_kind_has_no_interval(kind):
    own, other = (np.flatnonzero(kind ^ alike ^ IS_ANOMALY) for alike in (True, False))
    rows = np.r_[own[:1], other]
    result = found(SCORES[rows], IS_ANOMALY[rows])
    alone = "detection_rate" if kind else "false_alarm_rate"
    for name in result._fields[:-1]:
        value, *bounds = getattr(result, name)
        shared = name in ("auroc", "average_precision", "fpr_at_95_tpr")
        assert np.isfinite(value)
        assert np.isnan(bounds).all() == (shared or name == alone)


@pytest.mark.parametrize("kind", ["int64", "uint8", "int8", list])
def test_labels_may_be_zeros_and_ones(kind):
    labels = IS_ANOMALY.astype(int).tolist() if kind is list else IS_ANOMALY.astype(kind)
    assert repr(found(is_anomaly=labels)) == repr(found())


def test_an_evaluation_is_read_line_by_line():
    shown = str(found())
    auroc, (_, false_alarms), (_, hits) = found().auroc, *found().confusion
    assert f"auroc              {auroc.value:.3f} ({auroc.low:.3f} to {auroc.high:.3f})" in shown
    normal, odd = np.bincount(IS_ANOMALY)
    assert shown.endswith(f"{false_alarms} of {normal} normal, {hits} of {odd} odd")
    assert len(shown.splitlines()) == 6


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_are_finite(complains, bad):
    scores = np.where(np.arange(60) == 3, bad, SCORES)
    complains(lambda: found(scores), "class_scores", "NaN or infinite", "expected finite")
