"""The linear VAE against oracles: scikit-learn's probabilistic PCA, and gradient descent."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.decomposition import PCA

from vae_lib import VAE, AnomalyDetector, Gaussian, fit_linear, losses

LATENT, FEATURES = 3, 8


def rows(n: int = 400, seed: int = 0) -> np.ndarray:
    """Three sources in eight columns, and noise."""
    rng = np.random.RandomState(seed)
    mix = np.random.RandomState(1).standard_normal((LATENT, FEATURES))
    x = rng.standard_normal((n, LATENT)) @ mix + 0.4 * rng.standard_normal((n, FEATURES))
    return x.astype("float32")


def linear(x: np.ndarray, latent_dim: int = LATENT, sigma="learned", **options) -> VAE:
    vae = VAE(latent_dim, Gaussian(sigma), x.shape[1:], "linear", **options)
    return fit_linear(vae, x)


def negative_elbo(vae: VAE, x: np.ndarray) -> float:
    """Exact, since the decoder is linear: with the mean of the squares over all draws of z."""
    mean, log_var = (np.asarray(part, "float64") for part in vae.encode(x))
    decoder = np.asarray(vae.decoder.get_layer("parameters").get_weights()[0], "float64")
    log_sigma = float(vae.likelihood.log_sigma)
    error = np.asarray(vae.standardise(x), "float64").reshape(len(x), -1)
    error = error - np.asarray(vae.decode(mean.astype("float32"))).reshape(len(x), -1)
    squares = np.sum(error**2, axis=1) + np.exp(log_var) @ np.sum(decoder**2, axis=1)
    constant = error.shape[1] * (log_sigma + 0.5 * np.log(2 * np.pi))
    kl = 0.5 * np.sum(mean**2 + np.exp(log_var) - log_var - 1, axis=1)
    return np.mean(constant + squares / (2 * np.exp(2 * log_sigma)) + float(vae.beta) * kl)


def test_it_is_probabilistic_pca() -> None:
    x, new = rows(), rows(200, seed=2)
    pca, vae = PCA(LATENT, svd_solver="full").fit(x), linear(x)
    share = (len(x) - 1) / len(x)  # scikit-learn divides by n - 1
    noise = share * pca.noise_variance_
    assert float(np.exp(vae.likelihood.log_sigma)) ** 2 == pytest.approx(noise, rel=1e-4)
    np.testing.assert_allclose(
        vae.decode(np.zeros((1, LATENT), "float32"))[0], pca.mean_, atol=1e-5
    )
    exact = pca.get_covariance() * share
    decoder = vae.decoder.get_layer("parameters").get_weights()[0]
    np.testing.assert_allclose(decoder.T @ decoder + noise * np.eye(FEATURES), exact, atol=1e-4)
    one_draw = losses.importance_weighted_bound(vae, new, k=1)  # exact: q is the posterior
    np.testing.assert_allclose(one_draw, pca.score_samples(new), atol=0.1)


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("sigma", ["learned", 0.7])
def test_no_step_of_gradient_descent_improves_it(beta, sigma) -> None:
    x = rows()
    vae = linear(x, sigma=sigma, beta=beta)
    best = negative_elbo(vae, x)
    for scale in (0.9, 1.1):
        for weight in vae.trainable_weights:
            before = weight.numpy()
            weight.assign(before * scale + 0.02 * (scale - 1))
            assert negative_elbo(vae, x) > best - 1e-4, (weight.path, scale)
            weight.assign(before)
    keras.utils.set_random_seed(0)
    vae.compile(keras.optimizers.Adam(1e-3))
    vae.fit(x, epochs=20, batch_size=len(x), verbose=0)
    assert negative_elbo(vae, x) > best - 2e-3


def test_a_latent_collapses_where_its_variance_is_below_beta_sigma_squared() -> None:
    x = rows()
    variances = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    sigma = 0.7
    for used in (1, 2, 3):
        between = (variances[used - 1] + variances[used]) / 2 / sigma**2
        vae = linear(x, 6, sigma=sigma, beta=float(between))
        kl = 0.5 * np.mean(np.square(vae.encode(x)[0]), axis=0) - 0.5 * vae.encode(x)[1][0]
        active = np.mean(np.square(vae.encode(x)[0]), axis=0) > 1e-6
        assert active.sum() == used and active[:used].all(), kl


@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 1)])
@pytest.mark.parametrize("n", [12, 200])
def test_windows_and_images_with_fewer_items_than_numbers(shape, n) -> None:
    rng = np.random.RandomState(0)
    basis = rng.standard_normal((2, np.prod(shape)))
    x = (0.1 * rng.standard_normal((n, 2)) @ basis + 0.5).reshape(n, *shape).astype("float32")
    x += 0.02 * rng.standard_normal(x.shape).astype("float32")
    vae = linear(x, 2)
    error = np.mean((vae.reconstruct(x) - x) ** 2)
    assert error < 0.1 * x.var() and np.isfinite(negative_elbo(vae, x))


def test_standardised_columns_and_constant_ones() -> None:
    x = rows() * [1, 10, 100, 1e3, 1, 1, 1, 0] + 5
    vae = linear(x.astype("float32"), standardise=True)
    scaled = linear(((x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)).astype("float32"))
    assert float(vae.likelihood.log_sigma) == pytest.approx(
        float(scaled.likelihood.log_sigma), abs=1e-3
    )


def test_more_latents_than_directions_leave_some_at_the_prior() -> None:
    vae = linear(rows(), 20)
    mean, log_var = vae.encode(rows())
    np.testing.assert_array_equal(mean[:, FEATURES - 1 :], 0)
    np.testing.assert_array_equal(log_var[:, FEATURES - 1 :], 0)


def test_constant_rows_have_the_smallest_sigma() -> None:
    vae = linear(np.ones((10, 4), "float32"), 2)
    assert float(np.exp(vae.likelihood.log_sigma)) == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize(
    ("options", "x", "message"),
    [
        ({"network": "dense"}, rows(), "network is 'dense'; expected 'linear'"),
        ({"likelihood": "bernoulli"}, rows(), "likelihood is Bernoulli"),
        ({"likelihood": Gaussian("per_pixel")}, rows(), "one sigma"),
        ({"beta": 0}, rows(), "beta is 0"),
        ({}, rows(1), "x has 1 rows; expected 2 or more"),
        ({}, rows()[:, :3], "shape"),
        ({}, rows() * np.nan, "NaN"),
    ],
)
def test_what_cannot_be_solved_is_refused(options, x, message) -> None:
    vae = VAE(
        **{"latent_dim": 2, "likelihood": "gaussian", "data_shape": (FEATURES,)}
        | {"network": "linear"}
        | options
    )
    with pytest.raises(ValueError, match=message):
        fit_linear(vae, x)


def test_hidden_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden is .*; expected none"):
        VAE(2, "gaussian", (4,), "linear", hidden=(8,))


def test_the_detector_solves_it_explains_saves_and_exports(tmp_path) -> None:
    detector = AnomalyDetector(network="linear").fit(rows())
    assert detector.model.network == "linear"
    new = rows(20, seed=3)
    new[0, 4] += 8
    assert detector.is_anomaly(new)[0] and detector.explain(new)[0].argmax() == 4
    detector.save(tmp_path / "linear.zip")
    again = AnomalyDetector.load(tmp_path / "linear.zip")
    np.testing.assert_array_equal(again.score(new), detector.score(new))


def test_rows_and_windows_are_linear_unless_another_network_is_asked_for() -> None:
    assert AnomalyDetector().fit(rows()).model.network == "linear"
    windows = rows().reshape(50, 8, 8)
    assert AnomalyDetector().fit(windows).model.network == "linear"
    for asked in ({"network": "dense", "epochs": 1}, {"epochs": 1}, {"batch_size": 99}):
        assert AnomalyDetector(**asked).fit(rows(60)).model.network == "dense"
