"""The detector: what it promises with its threshold, and what it writes and reads."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from vae_lib import VAE, AnomalyDetector, Gaussian, data, scores


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
    detector = AnomalyDetector(vae, "relative")
    assert detector.score(TEST).shape == (400,)  # which needs no threshold
    detector.calibrate(CALIBRATION, 0.1, method=method)
    flagged = (detector.calibration_scores > detector.threshold).mean()
    assert abs(flagged - 0.1) < 0.03


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


def test_a_score_that_learns_is_not_calibrated_on_what_it_learned_from(vae):
    detector = AnomalyDetector(vae, "latent").calibrate(CALIBRATION, 0.1)
    assert len(detector.calibration_scores) == 60
    expected = scores.get("latent").fit(vae, CALIBRATION[::2])(vae, CALIBRATION[1::2])
    np.testing.assert_array_equal(detector.calibration_scores, expected)


def test_the_heatmap_sums_to_the_score_and_shows_where(detector):
    shares = detector.explain(ODD)
    np.testing.assert_allclose(shares.sum((1, 2, 3)), detector.score(ODD), rtol=1e-4)
    assert shares.shape == ODD.shape


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


def test_labelled_anomalies_among_the_calibration_images(vae, complains):
    images = np.concatenate([CALIBRATION, ODD])
    mixed = data.Labelled(images, np.arange(len(images)) >= 120, np.zeros(len(images), int))
    complains(lambda: AnomalyDetector(vae).calibrate(mixed), "60 labelled anomalies", "normal")
    clean = data.Labelled(CALIBRATION, np.zeros(120, bool), np.zeros(120, int))
    expected = AnomalyDetector(vae).calibrate(CALIBRATION).threshold
    assert AnomalyDetector(vae).calibrate(clean).threshold == expected


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


def test_a_list_of_one_still_has_a_class(vae, tmp_path):
    detector = AnomalyDetector([vae]).calibrate(CALIBRATION, classes=np.zeros(120, int))
    detector.save(tmp_path / "one.detector")
    assert AnomalyDetector.load(tmp_path / "one.detector").threshold.shape == (1,)
