"""The bounds against an oracle: a linear VAE at its optimum is probabilistic PCA."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.stats import norm
from sklearn.decomposition import PCA

from vae_lib import VAE, Gaussian, losses

LATENT, FEATURES = 3, 8


@pytest.fixture(scope="module")
def oracle() -> tuple[PCA, np.ndarray]:
    """Probabilistic PCA of made-up data, and new data: solved by scikit-learn, not by us."""
    rng = np.random.RandomState(0)
    mix = rng.standard_normal((LATENT, FEATURES))
    x = rng.standard_normal((1200, LATENT)) @ mix + 0.4 * rng.standard_normal((1200, FEATURES))
    return PCA(LATENT, svd_solver="full").fit(x[:1000]), x[1000:].astype("float32")


def linear_vae(pca: PCA, spoil: float = 1.0) -> VAE:
    """The same model as a VAE; `spoil` multiplies the variance of the encoder's posterior."""
    total, noise = pca.explained_variance_, pca.noise_variance_
    sizes = {"data_shape": (FEATURES,), "network": "dense", "hidden": ()}
    vae = VAE(LATENT, likelihood=Gaussian(float(np.sqrt(noise))), **sizes)
    vae.decoder.set_weights([np.sqrt(total - noise)[:, None] * pca.components_, pca.mean_])
    to_mean = pca.components_.T * np.sqrt(total - noise) / total
    constant = np.log(spoil * noise / total)
    no_slope = np.zeros((FEATURES, LATENT))
    vae.encoder.set_weights([to_mean, -pca.mean_ @ to_mean, no_slope, constant])
    return vae


def test_the_encoder_holds_the_exact_posterior(oracle) -> None:
    pca, x = oracle
    loadings = pca.components_.T * np.sqrt(pca.explained_variance_ - pca.noise_variance_)
    precision = np.eye(LATENT) + loadings.T @ loadings / pca.noise_variance_
    mean, log_var = linear_vae(pca).encode(x)
    exact = (x - pca.mean_) @ loadings / pca.noise_variance_ @ np.linalg.inv(precision)
    np.testing.assert_allclose(mean, exact, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.exp(log_var[0]), np.diag(np.linalg.inv(precision)), rtol=1e-4)


def test_the_elbo_is_the_exact_log_likelihood(oracle) -> None:
    pca, x = oracle
    vae = linear_vae(pca)
    exact = pca.score_samples(x)
    one_draw = losses.importance_weighted_bound(vae, x, k=1)
    np.testing.assert_allclose(one_draw, exact, atol=0.05)  # every weight is p(x)
    draws = [-float(losses.compute_loss(vae, x)) for _ in range(400)]
    error = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws) - exact.mean()) < 0.05
    assert abs(np.mean(draws) - exact.mean()) < 5 * error + 1e-3


def test_more_draws_give_a_tighter_bound(oracle) -> None:
    pca, x = oracle
    vae = linear_vae(pca, spoil=4.0)
    exact = pca.score_samples(x).mean()
    estimates = {
        k: [losses.importance_weighted_bound(vae, x, k, seed=s).numpy().mean() for s in range(20)]
        for k in (1, 5, 50)
    }
    means = {k: np.mean(values) for k, values in estimates.items()}
    errors = {k: np.std(values, ddof=1) / np.sqrt(20) for k, values in estimates.items()}
    for fewer, more in ((1, 5), (5, 50)):
        assert means[more] - means[fewer] > 3 * np.hypot(errors[fewer], errors[more])
    assert means[50] < exact + 3 * errors[50]
    elbo_gap = LATENT * 0.5 * (4 - 1 - np.log(4))  # KL of the spoilt from the exact posterior
    assert abs(exact - means[1] - elbo_gap) < 4 * errors[1] + 0.01


def test_chunks_do_not_change_the_estimate_in_kind(oracle) -> None:
    pca, x = oracle
    vae = linear_vae(pca, spoil=2.0)
    whole, pieces = (
        losses.importance_weighted_bound(vae, x, 300, chunk=c).numpy() for c in (300, 7)
    )
    assert abs(whole.mean() - pieces.mean()) < 0.02
    np.testing.assert_array_equal(pieces, losses.importance_weighted_bound(vae, x, 300, chunk=7))


def test_weights_of_any_size_are_summed_without_overflow(oracle) -> None:
    pca, x = oracle
    far = x + 1e3
    bound = losses.importance_weighted_bound(linear_vae(pca), far, k=20).numpy()
    np.testing.assert_allclose(bound, pca.score_samples(far), rtol=1e-3)


def test_log_normal_is_scipys() -> None:
    rng = np.random.RandomState(1)
    z, mean, log_var = rng.standard_normal((3, 5, 4)).astype("float32")
    expected = norm.logpdf(z, mean, np.exp(log_var / 2)).sum(axis=-1)
    np.testing.assert_allclose(losses.log_normal(keras.ops.array(z), mean, log_var), expected, 1e-5)
