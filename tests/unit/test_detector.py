"""The detector: what it promises with its threshold, and what it writes and reads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from vae_lib import VAE, AnomalyDetector, Gaussian, data, scores
from vae_lib.detector import evaluation


def blobs(n: int, seed: int, odd: bool = False) -> np.ndarray:
    """Normal images are bright on the left, odd ones on the right, with noise: (n, 4, 4, 1)."""
    images = 0.3 * np.random.RandomState(seed).rand(n, 4, 4, 1)
    images[:, :, 2:] += 0.6 * odd
    images[:, :, :2] += 0.6 * (not odd)
    return images.astype("float32")


NORMAL, CALIBRATION, TEST, ODD = blobs(200, 0), blobs(120, 1), blobs(400, 2), blobs(60, 3, odd=True)


@pytest.fixture(scope="module")
def vae() -> VAE:
    sizes = {"data_shape": (4, 4, 1), "network": "dense", "hidden": (8,)}
    vae = VAE(2, likelihood=Gaussian(0.1), seed=0, **sizes)
    vae.compile(optimizer="adam")
    vae.fit(NORMAL, epochs=20, verbose=0)
    return vae


@pytest.fixture
def detector(vae) -> AnomalyDetector:
    return AnomalyDetector(vae).calibrate(CALIBRATION, false_alarm_rate=0.1)


def test_it_finds_what_is_odd_and_keeps_its_rate(detector):
    assert detector.is_anomaly(ODD).all()
    assert 0.03 < detector.is_anomaly(TEST).mean() < 0.2
    assert detector.is_anomaly(TEST).dtype == bool


@pytest.mark.parametrize("method", ["conformal", "quantile", "tail"])
def test_every_method_gives_a_threshold_among_the_calibration_scores(vae, method):
    detector = AnomalyDetector(vae, "relative").calibrate(CALIBRATION, 0.1, method=method)
    flagged = (detector.calibration_scores > detector.threshold).mean()
    assert abs(flagged - 0.1) < 0.03


def test_p_values_agree_with_the_decision(detector):
    images = np.concatenate([TEST, ODD])
    p = detector.p_value(images)
    assert ((p > 0) & (p <= 1)).all()
    np.testing.assert_array_equal(p <= 0.1, detector.is_anomaly(images))


def test_training_images_are_what_a_score_learns_from(vae):
    held, rest = CALIBRATION[::2], CALIBRATION[1::2]
    expected = scores.Auto().fit(vae, NORMAL, held)(vae, rest)
    found = AnomalyDetector(vae).calibrate(CALIBRATION, 0.1, training=NORMAL)
    np.testing.assert_array_equal(found.calibration_scores, expected)


def test_training_images_of_each_class(two_classes):
    images = np.concatenate([CALIBRATION, blobs(120, 5, odd=True)])
    training = np.concatenate([NORMAL, blobs(200, 6, odd=True)])
    classes, of_training = np.repeat([0, 1], 120), np.repeat([0, 1], 200)
    found = AnomalyDetector(two_classes.model).calibrate(
        images, 0.1, classes=classes, training=(training, of_training)
    )
    score = scores.Fusion().fit(two_classes.model[1], training[200:], images[120::2])
    expected = score(two_classes.model[1], images[121::2])
    np.testing.assert_array_equal(found.calibration_scores[60:], expected)


@pytest.mark.parametrize(
    ("training", "words"),
    [
        (NORMAL[:, :3], ("training has shape",)),
        ((NORMAL, np.zeros(200, int)), ("classes of training came", "without them")),
        (NORMAL[:2], ("has 2", "5")),
    ],
)
def test_training_images_that_do_not_fit(vae, complains, training, words):
    complains(lambda: AnomalyDetector(vae).calibrate(CALIBRATION, training=training), *words)


def test_a_table_is_explained_by_the_names_of_its_columns():
    frame = load_breast_cancer(as_frame=True).data.astype("float32")
    rows = frame.iloc[:, :6]
    vae = VAE(3, "gaussian", (6,), "dense", (16,), standardise=True, seed=0)
    vae.compile(optimizer="adam")
    vae.fit(rows[:300].to_numpy(), epochs=20, verbose=0)
    detector = AnomalyDetector(vae).calibrate(rows[300:450].to_numpy(), training=rows[:300])
    odd = rows[450:].copy()
    odd["mean area"] *= 10
    shares = detector.explain(odd)
    assert shares.columns.equals(odd.columns) and shares.index.equals(odd.index)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (shares.idxmax(axis=1) == "mean area").mean() > 0.9


def test_a_score_that_was_fitted_before_keeps_what_it_learned(vae, tmp_path):
    score = scores.NeighbourDistance().fit(vae, NORMAL)
    detector = AnomalyDetector(vae, score).calibrate(CALIBRATION, 0.1)
    assert len(detector.calibration_scores) == len(CALIBRATION)
    np.testing.assert_array_equal(score.state()["references"], score.features(vae, NORMAL))
    detector.save(tmp_path / "it")
    again = AnomalyDetector.load(tmp_path / "it").calibrate(CALIBRATION, 0.1)
    np.testing.assert_array_equal(again.score(TEST), detector.score(TEST))
    assert again.threshold == detector.threshold


def test_a_score_object_that_is_changed_later_does_not_change_the_detector(vae):
    score = scores.LocalError()
    detector = AnomalyDetector(vae, score).calibrate(CALIBRATION, 0.1)
    before = detector.score(TEST)
    score.size = 1
    np.testing.assert_array_equal(detector.score(TEST), before)


def test_a_smaller_rate_is_a_higher_threshold(vae):
    thresholds = [
        AnomalyDetector(vae).calibrate(CALIBRATION, rate).threshold for rate in (0.2, 0.1, 0.02)
    ]
    assert thresholds == sorted(set(thresholds))


def test_a_score_that_learns_is_not_calibrated_on_what_it_learned_from(vae):
    detector = AnomalyDetector(vae, "latent").calibrate(CALIBRATION, 0.1)
    assert len(detector.calibration_scores) == 60
    expected = scores.get("latent").fit(vae, CALIBRATION[::2])(vae, CALIBRATION[1::2])
    np.testing.assert_array_equal(detector.calibration_scores, expected)


def test_the_heatmap_sums_to_the_score_and_shows_where(detector):
    shares = detector.explain(ODD)
    np.testing.assert_allclose(shares.sum((1, 2, 3)), detector.score(ODD), rtol=1e-4)
    assert shares.shape == ODD.shape


def test_evaluate_is_scikit_learns(detector):
    images = np.concatenate([TEST, ODD[:5], TEST[:3]])
    truth = np.arange(len(images)) >= len(TEST)
    found, score = detector.evaluate(images, truth), detector.score(images)
    assert found.auroc.value == pytest.approx(roc_auc_score(truth, score))
    assert found.average_precision.value == pytest.approx(average_precision_score(truth, score))
    flags = detector.is_anomaly(images)
    assert found.false_alarm_rate.value == pytest.approx(flags[~truth].mean())
    assert found.detection_rate.value == pytest.approx(flags[truth].mean())
    (tn, fp), (fn, tp) = found.confusion
    assert (tn + fp, fn + tp, fp + tp) == (400, 8, flags.sum())
    hard = np.quantile(score[truth], 0.05)  # nineteen of twenty anomalies score higher
    assert found.fpr_at_95_tpr.value == pytest.approx((score[~truth] >= hard).mean(), abs=0.35)
    for interval in found[:-1]:
        assert interval.low <= interval.value <= interval.high


def test_fpr_at_95_tpr_by_hand():
    normal, anomalous = np.arange(100.0), np.arange(80.5, 100.5)
    truth = np.repeat([False, True], [100, 20])
    figures = np.concatenate([normal, anomalous])[:, None]
    found = evaluation.evaluate(figures, truth, lambda rows: rows[:, 0] > 90, 20, 0)
    assert found.fpr_at_95_tpr.value == pytest.approx(0.18)  # above 81.5: 82 to 99


def test_intervals_repeat_and_shrink_with_more_images(detector):
    def width(n):
        images = np.concatenate([TEST[:n], ODD[: n // 4]])
        truth = np.arange(len(images)) >= n
        first, again = (detector.evaluate(images, truth).false_alarm_rate for _ in range(2))
        assert first == again
        return first.high - first.low

    assert width(240) < width(40)


def test_a_table_of_numbers_that_ships_with_scikit_learn():
    table, benign = load_breast_cancer(return_X_y=True)
    normal = table[benign == 1].astype("float32")
    scaler = StandardScaler().fit(normal[:200])
    part = lambda rows: scaler.transform(rows).astype("float32")  # noqa: E731
    sizes = {"data_shape": (30,), "network": "dense", "hidden": (64,)}
    vae = VAE(4, likelihood="gaussian", seed=0, **sizes)
    vae.compile(optimizer="adam")
    vae.fit(part(normal[:200]), epochs=60, verbose=0)
    detector = AnomalyDetector(vae).calibrate(part(normal[200:280]), false_alarm_rate=0.1)
    images = part(np.concatenate([normal[280:], table[benign == 0]]).astype("float32"))
    found = detector.evaluate(images, np.arange(len(images)) >= len(normal) - 280)
    assert found.auroc.low > 0.85 and found.false_alarm_rate.value < 0.25


# Saving and loading

ELSEWHERE = """
import sys, numpy as np
from vae_lib import AnomalyDetector
it = AnomalyDetector.load(sys.argv[1])
images = np.load(sys.argv[2])
np.savez(sys.argv[3], it.score(images), it.is_anomaly(images), it.p_value(images))
"""


@pytest.mark.parametrize("name", ["relative", "bound", "fusion", "latent"])
def test_loaded_it_is_the_same_detector(vae, tmp_path, name):
    detector = AnomalyDetector(vae, name).calibrate(CALIBRATION, 0.07)
    detector.save(tmp_path / "it.detector")
    loaded = AnomalyDetector.load(tmp_path / "it.detector")
    for attribute in ("threshold", "false_alarm_rate", "method"):
        assert getattr(loaded, attribute) == getattr(detector, attribute)
    np.testing.assert_array_equal(loaded.score(TEST), detector.score(TEST))
    np.testing.assert_array_equal(loaded.p_value(ODD), detector.p_value(ODD))


def test_it_loads_in_another_process(detector, tmp_path):
    detector.save(tmp_path / "it.detector")
    np.save(tmp_path / "images.npy", TEST)
    names = ("it.detector", "images.npy", "out.npz")
    words = [str(tmp_path / name) for name in names]
    subprocess.run([sys.executable, "-c", ELSEWHERE, *words], check=True)
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(found["arr_0"], detector.score(TEST))
        np.testing.assert_array_equal(found["arr_1"], detector.is_anomaly(TEST))
        np.testing.assert_array_equal(found["arr_2"], detector.p_value(TEST))


def test_the_arguments_of_a_score_are_saved(vae, tmp_path):
    score = scores.get("bound", draws=7, seed=3)
    AnomalyDetector(vae, score).calibrate(CALIBRATION, 0.1).save(tmp_path / "it")
    loaded = AnomalyDetector.load(tmp_path / "it")
    np.testing.assert_array_equal(loaded.score(ODD), score(vae, ODD))


@pytest.mark.parametrize("network", ["dense", "conv"])
def test_a_detector_of_the_books_size_is_two_megabytes_at_most(network, tmp_path):
    vae = VAE(16, likelihood=Gaussian(0.2), network=network)
    vae.compile(optimizer="adam")
    images = np.random.RandomState(0).rand(40, 28, 28, 1).astype("float32")
    vae.fit(images, verbose=0)  # the optimizer has its moments now
    AnomalyDetector(vae, "fusion").calibrate(images, 0.1).save(tmp_path / "it")
    assert (tmp_path / "it").stat().st_size < 2e6


# Wrong input


@pytest.mark.parametrize("call", ["is_anomaly", "p_value", "judge"])
def test_before_it_is_calibrated(vae, call):
    with pytest.raises(NotFittedError, match="call calibrate first"):
        getattr(AnomalyDetector(vae), call)(TEST)
    with pytest.raises(NotFittedError, match="call calibrate first"):
        AnomalyDetector(vae).save("nowhere")
    assert AnomalyDetector(vae, "relative").score(TEST).shape == (400,)


def test_labelled_anomalies_among_the_calibration_images(vae, complains):
    images = np.concatenate([CALIBRATION, ODD])
    mixed = data.Labelled(images, np.arange(len(images)) >= 120, np.zeros(len(images), int))
    complains(lambda: AnomalyDetector(vae).calibrate(mixed), "60 labelled anomalies", "normal")
    clean = data.Labelled(CALIBRATION, np.zeros(120, bool), np.zeros(120, int))
    expected = AnomalyDetector(vae).calibrate(CALIBRATION).threshold
    assert AnomalyDetector(vae).calibrate(clean).threshold == expected


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, float("nan"), "a"])
def test_rates_outside_zero_to_one(vae, complains, rate):
    complains(lambda: AnomalyDetector(vae).calibrate(CALIBRATION, rate), "false_alarm_rate", rate)


def test_too_few_images_for_the_rate(vae, complains):
    complains(lambda: AnomalyDetector(vae).calibrate(CALIBRATION[:30], 0.01), "15", "99")
    complains(lambda: AnomalyDetector(vae).calibrate(CALIBRATION[:0]), "items is empty")


def test_a_failed_calibration_changes_nothing(detector, complains):
    before = detector.threshold
    complains(lambda: detector.calibrate(CALIBRATION[:30], 0.01), "15", "99")
    complains(lambda: detector.calibrate(CALIBRATION, method="guess"), "method is 'guess'")
    assert detector.threshold == before


def test_what_is_not_a_model_or_a_score(vae, complains):
    complains(lambda: AnomalyDetector("vae"), "model is a str", "VAE")
    complains(lambda: AnomalyDetector(vae, "mse"), "score is 'mse'")
    complains(lambda: AnomalyDetector(vae, "kl").explain(TEST), "kl", "no map")


def test_a_score_of_your_own_works_but_is_not_saved_unless_it_has_a_name(vae, tmp_path, complains):
    class Own(scores.SCORES["kl"]):
        pass

    detector = AnomalyDetector(vae, Own()).calibrate(CALIBRATION, 0.1)
    assert detector.is_anomaly(ODD).shape == (60,)
    complains(lambda: detector.save(tmp_path / "it"), "Own", "no name")
    complains(lambda: detector.explain(ODD), "Own", "no map")
    assert not list(tmp_path.iterdir())


def test_wrong_images(detector, complains):
    for call in (detector.score, detector.is_anomaly, detector.p_value, detector.explain):
        complains(lambda call=call: call(TEST[:, :3]), "items has shape", "4, 4, 1")


@pytest.mark.parametrize(
    "truth", [np.ones(400, bool), np.zeros(400, bool), np.ones(3, bool), np.ones(400)]
)
def test_wrong_labels(detector, complains, truth):
    complains(lambda: detector.evaluate(TEST, truth), "is_anomaly")


@pytest.fixture(scope="module")
def two_classes() -> AnomalyDetector:
    """One VAE for blobs on the left, another for blobs on the right, calibrated on both."""
    sizes = {"data_shape": (4, 4, 1), "network": "dense", "hidden": (8,)}
    models = [VAE(2, likelihood=Gaussian(0.1), seed=c, **sizes) for c in range(2)]
    for c, model in enumerate(models):
        model.compile(optimizer="adam")
        model.fit(blobs(200, c, odd=bool(c)), epochs=20, verbose=0)
    images = np.concatenate([CALIBRATION, blobs(120, 5, odd=True)])
    return AnomalyDetector(models, "relative").calibrate(
        images, 0.1, classes=np.repeat([0, 1], 120)
    )


def test_one_vae_a_class_scores_under_the_class_that_suits_best(two_classes):
    images = np.concatenate([TEST, ODD])
    each = [scores.get("relative")(model, images) for model in two_classes.model]
    np.testing.assert_array_equal(two_classes.class_scores(images), np.stack(each, axis=1))
    np.testing.assert_array_equal(two_classes.score(images), np.min(each, axis=0))
    closest = two_classes.closest_class(images)
    assert (closest == np.repeat([0, 1], [len(TEST), len(ODD)])).mean() > 0.95
    assert two_classes.threshold.shape == (2,)
    bright_at_the_top = np.swapaxes(ODD, 1, 2)
    assert two_classes.is_anomaly(bright_at_the_top).mean() > 0.9
    assert two_classes.is_anomaly(TEST).mean() < 0.2


def test_one_vae_a_class_is_saved_as_one_file(two_classes, tmp_path):
    two_classes.save(tmp_path / "two.detector")
    loaded = AnomalyDetector.load(tmp_path / "two.detector")
    np.testing.assert_array_equal(loaded.class_scores(TEST), two_classes.class_scores(TEST))
    np.testing.assert_array_equal(loaded.is_anomaly(ODD), two_classes.is_anomaly(ODD))
    np.testing.assert_array_equal(loaded.p_value(ODD), two_classes.p_value(ODD))


def test_a_list_of_one_still_has_a_class(vae, tmp_path):
    detector = AnomalyDetector([vae]).calibrate(CALIBRATION, classes=np.zeros(120, int))
    detector.save(tmp_path / "one.detector")
    assert AnomalyDetector.load(tmp_path / "one.detector").threshold.shape == (1,)


def test_lists_that_are_no_models_of_one_shape(vae, complains):
    other = VAE(2, data_shape=(8, 8, 1), network="dense", hidden=(4,))
    each = "one for each normal class"
    complains(lambda: AnomalyDetector([]), "model is a list", each)
    complains(lambda: AnomalyDetector([vae, "vae"]), "model", "str", each)
    complains(lambda: AnomalyDetector([vae, other]), "(4, 4, 1)", "(8, 8, 1)", "one shape")
    complains(lambda: AnomalyDetector([vae, vae]).calibrate(CALIBRATION), "classes", "None")
