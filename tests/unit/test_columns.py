"""Columns that are standardised inside the model."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.preprocessing import StandardScaler

from vae_lib import VAE, AnomalyDetector, ConditionalVAE, losses, scores

SIZES = {"latent_dim": 2, "likelihood": "gaussian", "network": "dense", "hidden": (8,)}


@pytest.fixture
def rows() -> np.ndarray:
    """Columns of all scales, one that is constant: (200, 5)."""
    table = np.random.RandomState(0).randn(200, 5) * [1, 1e4, 1e-4, 0, 7] + [0, 5e4, 1, 0.1, -3]
    return table.astype("float32")


def trained(rows, kind=VAE, **more):
    keras.utils.set_random_seed(0)
    vae = kind(**SIZES, data_shape=(rows.shape[1],), seed=0, **more)
    vae.compile(optimizer="adam")
    return vae


def test_it_is_a_model_of_the_rows_that_scikit_learn_standardises(rows):
    inside, outside = trained(rows, standardise=True), trained(rows)
    scaler = StandardScaler().fit(rows.astype("float64"))
    scaled = scaler.transform(rows.astype("float64")).astype("float32")
    inside.fit(rows, epochs=3, verbose=0, shuffle=False)
    outside.fit(scaled, epochs=3, verbose=0, shuffle=False)
    for name in ("reconstruction", "likelihood", "probability", "elbo", "bound", "joint"):
        found = scores.get(name).fit(inside, rows)(inside, rows)
        expected = scores.get(name).fit(outside, scaled)(outside, scaled)
        np.testing.assert_allclose(found, expected, rtol=2e-2, atol=2e-3, err_msg=name)
    bounds = [
        losses.importance_weighted_bound(m, x, 5) for m, x in ((inside, rows), (outside, scaled))
    ]
    np.testing.assert_allclose(*bounds, rtol=2e-2, atol=2e-3)
    back = scaler.inverse_transform(np.asarray(outside.reconstruct(scaled)))
    np.testing.assert_allclose(inside.reconstruct(rows), back, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(inside.predict(rows, verbose=0), back, rtol=1e-3, atol=1e-3)


def test_a_constant_column_stays_finite_and_a_change_in_it_counts(rows):
    vae = trained(rows, standardise=True)
    vae.fit(rows, epochs=2, verbose=0)
    assert vae.columns.spread.numpy()[3] == 1
    changed = rows.copy()
    changed[:, 3] += 100
    before, after = (scores.get("likelihood")(vae, x) for x in (rows, changed))
    assert np.isfinite(after).all() and (after > before + 10).all()


def test_a_later_fit_keeps_the_scale_and_adapt_changes_it(rows):
    vae = trained(rows, standardise=True)
    vae.fit(rows, epochs=1, verbose=0)
    before = vae.columns.center.numpy()
    vae.fit(rows + 1, epochs=1, verbose=0)
    np.testing.assert_array_equal(vae.columns.center, before)
    vae.adapt(rows + 1)
    assert (vae.columns.center.numpy() != before).any()


def test_batches_give_the_scale_of_the_whole(rows):
    for stream in (
        tf.data.Dataset.from_tensor_slices(rows).batch(32),
        tf.data.Dataset.from_tensor_slices((rows, rows, np.ones(200, "float32"))).batch(64),
    ):
        vae = trained(rows, standardise=True)
        vae.fit(stream, epochs=1, verbose=0)
        np.testing.assert_allclose(
            vae.columns.center, rows.mean(axis=0, dtype="float64"), rtol=1e-4
        )


def test_with_classes(rows):
    classes = np.arange(200) % 2
    vae = trained(rows, ConditionalVAE, classes=2, standardise=True)
    vae.fit(rows, classes, epochs=2, verbose=0)
    assert np.abs(np.asarray(vae.reconstruct(rows, classes))[:, 1]).mean() > 1e4
    detector = AnomalyDetector(vae, "likelihood").calibrate(rows, 0.1, classes=classes)
    assert detector.is_anomaly(rows).mean() <= 0.1


@pytest.mark.parametrize("kind", ["keras", "detector", "weights"])
def test_the_scale_is_saved_with_the_model(rows, tmp_path, kind):
    vae = trained(rows, standardise=True)
    vae.fit(rows, epochs=1, verbose=0)
    if kind == "keras":
        vae.save(tmp_path / "it.keras")
        again = keras.models.load_model(tmp_path / "it.keras")
    elif kind == "detector":
        AnomalyDetector(vae).calibrate(rows).save(tmp_path / "it")
        again = AnomalyDetector.load(tmp_path / "it").model
    else:
        again = trained(rows, standardise=True)
        again.set_weights(vae.get_weights())
    np.testing.assert_array_equal(again.reconstruct(rows), vae.reconstruct(rows))
    again.compile(optimizer="adam")
    again.fit(rows + 1, epochs=1, verbose=0)
    np.testing.assert_array_equal(again.columns.center, vae.columns.center)


def test_another_scale_makes_a_calibration_stale(rows):
    vae = trained(rows, standardise=True)
    vae.fit(rows, epochs=1, verbose=0)
    detector = AnomalyDetector(vae).calibrate(rows)
    vae.adapt(rows * 2)
    with pytest.raises(ValueError, match="calibrate again"):
        detector.is_anomaly(rows)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_large_numbers_under_every_precision(rows, dtype):
    vae = trained(rows, standardise=True, dtype=dtype)
    vae.fit(rows * 100, epochs=1, verbose=0)
    assert np.isfinite(np.asarray(vae.reconstruct(rows * 100))).all()


def test_what_has_no_columns_or_no_rows_yet(rows, complains):
    complains(lambda: VAE(2, "gaussian", (4, 4, 1), standardise=True), "standardise", "(4, 4, 1)")
    complains(lambda: VAE(2, "bernoulli", (4,), "dense", standardise=True), "Bernoulli")
    complains(lambda: trained(rows, standardise=1), "standardise is 1", "True or False")
    vae = trained(rows, standardise=True)
    complains(lambda: vae.encode(rows), "scale is not known", "adapt")
    complains(lambda: scores.get("elbo")(vae, rows), "scale is not known")
    complains(lambda: trained(rows).adapt(rows), "standardise is False")
    complains(lambda: vae.adapt(rows[:, :3]), "x has shape")
    complains(lambda: vae.adapt(rows * np.nan), "NaN")
