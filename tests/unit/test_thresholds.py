"""What each threshold promises, by simulation over many resplits of real scores."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn.decomposition import PCA

from vae_lib import data, thresholds

RESPLITS = 300
RATES = (0.01, 0.05, 0.1)
each_rate = pytest.mark.parametrize("rate", RATES)
score_lists = hnp.arrays("float64", st.integers(20, 60), elements=st.integers(0, 30).map(float))


def by_digit(trained_on: tuple[int, ...], scored: tuple[int, ...]) -> dict[int, np.ndarray]:
    """PCA reconstruction errors of the images of each digit that PCA has not seen."""
    x, y, x_test, y_test = data.load("mnist-5k")
    images, digits = np.concatenate([x, x_test]).reshape(5000, -1), np.concatenate([y, y_test])
    of = {digit: images[digits == digit] for digit in scored}
    pca = PCA(16, random_state=0).fit(np.concatenate([of[digit][:100] for digit in trained_on]))
    return {
        digit: ((rest - pca.inverse_transform(pca.transform(rest))) ** 2).sum(axis=1)
        for digit, rest in ((digit, images[100:]) for digit, images in of.items())
    }


@pytest.fixture(scope="module")
def zeros_and_twos() -> dict[int, np.ndarray]:
    """Zeros are normal."""
    return by_digit((0,), (0, 2))


@pytest.fixture(scope="module")
def two_classes() -> dict[int, np.ndarray]:
    """Ones and eights are normal; ones score far lower."""
    return by_digit((1, 8), (1, 8))


def resplits(pool: np.ndarray, n: int):
    """The pool cut at random into n calibration scores and the rest, again and again."""
    for seed in range(RESPLITS):
        shuffled = np.random.RandomState(seed).permutation(pool)
        yield shuffled[:n], shuffled[n:]


def mean_and_error(rates: list[float]) -> tuple[float, float]:
    """Mean over the resplits, and four standard errors of it."""
    return float(np.mean(rates)), 4 * float(np.std(rates)) / math.sqrt(len(rates))


# Conformal thresholds and p-values


@pytest.mark.parametrize("n", [99, 100, 150])
@each_rate
def test_conformal_keeps_its_rate_and_wastes_little_of_it(zeros_and_twos, n, rate):
    rates = [
        (new > thresholds.conformal(calibration, rate)).mean()
        for calibration, new in resplits(zeros_and_twos[0], n)
    ]
    mean, error = mean_and_error(rates)
    assert mean <= rate + error
    assert mean >= math.floor(Fraction(str(rate)) * (n + 1)) / (n + 1) - error  # exact by theory


@pytest.mark.parametrize(("n", "rate"), [(20, 0.01), (20, 0.05), (20, 0.1), (100, 0.01)])
def test_a_quantile_of_few_scores_exceeds_its_rate(zeros_and_twos, n, rate):
    rates = [
        (new > thresholds.quantile(calibration, rate)).mean()
        for calibration, new in resplits(zeros_and_twos[0], n)
    ]
    mean, error = mean_and_error(rates)
    assert mean > rate + error
    assert abs(mean - rate - (1 - 2 * rate) / (n + 1)) < error + 0.005


@given(score_lists, score_lists, st.sampled_from([0.05, 0.07, 0.1, 0.2, 0.25, 1 / 3, 0.5, 0.9]))
def test_p_values_and_threshold_agree_with_ties_too(calibration, scores, rate):
    flagged = scores > thresholds.conformal(calibration, rate)
    np.testing.assert_array_equal(thresholds.p_values(calibration, scores) <= rate, flagged)


@given(score_lists, st.sampled_from([0.05, 0.1, 0.2, 0.25, 1 / 3, 0.5, 0.9]))
def test_of_exchangeable_scores_no_more_than_the_rate_are_flagged_with_ties_too(pool, rate):
    """Each score in turn is the new one: the mean over these equally likely cases is exact."""
    others = [np.delete(pool, i) for i in range(len(pool))]
    flags = [new > thresholds.conformal(rest, rate) for new, rest in zip(pool, others, strict=True)]
    assert np.mean(flags) <= rate
    p = [thresholds.p_values(rest, pool[i : i + 1])[0] for i, rest in enumerate(others)]
    np.testing.assert_array_equal(np.array(p) <= rate, flags)
    distinct = np.unique(pool).size == len(pool)
    assert not distinct or sorted(p) == [(i + 1) / len(pool) for i in range(len(pool))]


@given(score_lists, score_lists)
def test_p_values_are_counted_with_those_that_are_equal(calibration, scores):
    expected = [(1 + sum(c >= s for c in calibration)) / (len(calibration) + 1) for s in scores]
    assert thresholds.p_values(calibration, scores).tolist() == expected


@pytest.mark.parametrize("n", [9, 19, 20, 38, 99, 100, 199])
@pytest.mark.parametrize("rate", ["0.1", "0.2", "0.3", "0.35", "0.7"])
def test_conformal_is_the_order_statistic_of_exact_arithmetic(n, rate):
    scores = np.random.RandomState(n).permutation(np.arange(1.0, n + 1))  # score = its rank
    expected = math.ceil((n + 1) * (1 - Fraction(rate)))
    assert thresholds.conformal(scores, float(rate)) == expected


@each_rate
def test_p_values_of_normal_images_are_small_no_more_often_than_they_say(zeros_and_twos, rate):
    rates = [
        (thresholds.p_values(calibration, new) <= rate).mean()
        for calibration, new in resplits(zeros_and_twos[0], 120)
    ]
    mean, error = mean_and_error(rates)
    assert mean <= rate + error
    assert mean > rate / 2


@each_rate
def test_mondrian_p_values_keep_the_rate_in_each_class_and_plain_ones_do_not(two_classes, rate):
    scores = np.concatenate([two_classes[1], two_classes[8]])
    digits = np.repeat([1, 8], [len(two_classes[1]), len(two_classes[8])])
    found = {(kind, digit): [] for kind in ("plain", "mondrian") for digit in (1, 8)}
    for calibration, new in resplits(np.arange(len(scores)), 500):
        plain = thresholds.p_values(scores[calibration], scores[new])
        mondrian = thresholds.p_values(
            scores[calibration], scores[new], digits[calibration], digits[new]
        )
        for digit in (1, 8):
            found["plain", digit].append((plain[digits[new] == digit] <= rate).mean())
            found["mondrian", digit].append((mondrian[digits[new] == digit] <= rate).mean())
    for digit in (1, 8):
        mean, error = mean_and_error(found["mondrian", digit])
        assert rate * 0.7 < mean <= rate + error
    assert np.mean(found["plain", 8]) > 1.5 * rate
    assert np.mean(found["plain", 1]) < 0.5 * rate


def test_mondrian_is_each_class_on_its_own():
    random = np.random.RandomState(5)
    calibration, scores = random.randn(60), random.randn(30)
    old, new = random.choice(["a", "b", "c"], 60), random.choice(["a", "b"], 30)
    p = thresholds.p_values(calibration, scores, old, new)
    for c in ("a", "b"):
        own = thresholds.p_values(calibration[old == c], scores[new == c])
        np.testing.assert_array_equal(p[new == c], own)


# Many images at once


@pytest.mark.parametrize("level", [0.1, 0.2])
def test_benjamini_hochberg_keeps_the_share_of_false_alarms_and_a_plain_cut_does_not(
    zeros_and_twos, level
):
    false, missed, plain = [], [], []
    truth = np.repeat([False, True], [180, 20])
    for seed, (calibration, new) in enumerate(resplits(zeros_and_twos[0], 200)):
        twos = np.random.RandomState(seed).choice(zeros_and_twos[2], 20, replace=False)
        p = thresholds.p_values(calibration, np.concatenate([new[:180], twos]))
        for flagged, shares in (
            (thresholds.benjamini_hochberg(p, level), false),
            (p <= level, plain),
        ):
            shares.append((flagged & ~truth).sum() / max(1, flagged.sum()))
        missed.append(~thresholds.benjamini_hochberg(p, level)[truth])
    mean, error = mean_and_error(false)
    assert mean <= level + error
    assert mean > level / 3 and np.mean(missed) < 0.8  # it keeps the level by finding, not hiding
    assert np.mean(plain) > level + 0.1


@given(
    hnp.arrays("float64", st.integers(1, 40), elements=st.integers(1, 100).map(lambda i: i / 100)),
    st.sampled_from([0.05, 0.1, 0.2, 0.5]),
)
def test_benjamini_hochberg_is_its_definition(p, level):
    exact = [Fraction(round(100 * value), 100) for value in p]
    ranked = sorted(exact)
    line = [Fraction(str(level)) * (i + 1) / len(p) for i in range(len(p))]
    below = [value for value, bound in zip(ranked, line, strict=True) if value <= bound]
    expected = [bool(below) and value <= below[-1] for value in exact]
    np.testing.assert_array_equal(thresholds.benjamini_hochberg(p, level), expected)


# Costs


def cost_of(threshold, scores, is_anomaly, prevalence, false_alarm_cost, miss_cost) -> float:
    """Expected cost per image, with the images weighted to the prevalence one by one."""
    total = 0.0
    for score, anomalous in zip(scores, is_anomaly, strict=True):
        if anomalous and not score > threshold:
            total += prevalence * miss_cost / is_anomaly.sum()
        elif not anomalous and score > threshold:
            total += (1 - prevalence) * false_alarm_cost / (~is_anomaly).sum()
    return total


@pytest.mark.parametrize("prevalence", [0.001, 0.2, 0.9])
@pytest.mark.parametrize("costs", [(1.0, 1.0), (1, 50), (7.5, 0.5)])
def test_no_threshold_is_cheaper_than_the_cheapest(prevalence, costs):
    random = np.random.RandomState(6)
    scores = np.round(np.concatenate([random.randn(40), random.randn(25) + 1.5]), 1)
    is_anomaly = np.repeat([False, True], [40, 25])
    setting = (scores, is_anomaly, prevalence, *costs)
    best = cost_of(thresholds.cheapest(*setting), *setting)
    assert best <= min(cost_of(t, *setting) for t in np.linspace(-5, 6, 2201)) + 1e-12


def test_of_equal_costs_fewer_alarms():
    scores, is_anomaly = np.array([1.0, 2, 3, 4]), np.array([False, True, False, True])
    assert thresholds.cheapest(scores, is_anomaly, 0.5) == 3


def test_when_a_miss_costs_all_everything_is_flagged():
    scores, is_anomaly = np.array([2.0, 1, 3]), np.array([False, True, False])
    assert (scores > thresholds.cheapest(scores, is_anomaly, 0.5, miss_cost=1000)).all()


def test_normal_theory_gives_the_cheapest_threshold_of_two_bells():
    random = np.random.RandomState(7)
    scores = np.concatenate([random.randn(20_000), random.randn(5_000) + 2])
    is_anomaly = np.arange(25_000) >= 20_000
    ratio = 0.9 * 1 / (0.1 * 4)  # density ratio at which both errors weigh the same
    found = thresholds.cheapest(scores, is_anomaly, 0.1, 1, 4)
    assert abs(found - (1 + math.log(ratio) / 2)) < 0.15


# Tails

LAWS = {"exponential": stats.expon(), "Pareto": stats.pareto(3), "uniform": stats.uniform()}


@pytest.mark.parametrize("law", ["exponential", "Pareto"])
@pytest.mark.parametrize("n", [300, 1000])
def test_beyond_the_last_score_a_tail_beats_a_quantile(law, n, monkeypatch):
    monkeypatch.setattr(thresholds, "_fit_p_value", lambda *fit: 1.0)  # slow, and tested below
    rate, law = 0.1 / n, LAWS[law]
    by_tail, by_quantile = [], []
    for seed in range(200):
        scores = law.rvs(n, random_state=np.random.RandomState(seed))
        by_tail.append(law.sf(thresholds.tail(scores, rate)))
        by_quantile.append(law.sf(thresholds.quantile(scores, rate)))
    assert np.mean(by_quantile) > 5 * rate
    assert np.mean(by_tail) < np.mean(by_quantile) / 3
    assert rate / 5 < np.median(by_tail) < 3 * rate


@pytest.mark.parametrize("shape", [-0.4, -0.1, 0.2, 0.6])
def test_the_fit_is_that_of_maximum_likelihood(shape):
    drawn = stats.genpareto.rvs(shape, scale=2, size=4000, random_state=np.random.RandomState(8))
    likely, _, scale = stats.genpareto.fit(drawn, floc=0)
    found = thresholds._fit_pareto(np.sort(drawn))
    np.testing.assert_allclose(found, (likely, scale), rtol=0.03, atol=0.03)


def test_at_the_share_of_the_tail_itself_it_is_the_quantile():
    scores = np.random.RandomState(9).exponential(size=1000)
    assert thresholds.tail(scores, 0.1) == pytest.approx(thresholds.quantile(scores, 0.1))


def warned(draw, n: int) -> float:
    """The share of 40 samples of n scores whose tail draws a warning."""
    count = 0
    for seed in range(40):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            thresholds.tail(draw(np.random.RandomState(seed), n), 0.001)
        assert all(w.category is UserWarning and "conformal" in str(w.message) for w in caught)
        count += bool(caught)
    return count / 40


@pytest.mark.parametrize("law", LAWS)
def test_a_good_tail_is_seldom_warned_of(law):
    assert warned(lambda random, n: LAWS[law].rvs(n, random_state=random), 300) <= 0.15


BAD = {
    "a second lump": lambda random, n: np.r_[random.randn(n - n // 25), 9 + random.rand(n // 25)],
    "rounded": lambda random, n: np.round(3 * random.randn(n)),
}


@pytest.mark.parametrize("tail", BAD)
def test_a_bad_tail_is_warned_of(tail):
    assert warned(BAD[tail], 300) >= 0.9


def test_the_same_scores_give_the_same_tail_and_leave_the_global_seed_alone():
    scores = np.random.RandomState(11).randn(200)
    np.random.seed(3)
    first = thresholds.tail(scores, 0.001)
    after = np.random.rand()
    np.random.seed(3)
    assert after == np.random.rand()
    assert first == thresholds.tail(scores, 0.001)


@pytest.mark.parametrize(("rate", "needed"), [(0.05, 19), (0.01, 99), (0.1, 9), (0.07, 14)])
def test_too_few_scores_for_the_rate_are_told_how_many(complains, rate, needed):
    scores = np.arange(100)  # whole numbers are scores, too
    few = scores[: needed - 1]
    complains(lambda: thresholds.conformal(few, rate), "scores", len(few), needed, rate)
    assert thresholds.conformal(scores[:needed], rate) == needed - 1
