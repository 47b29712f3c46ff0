"""The terms of the bound against Monte Carlo, float64 NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops
from scipy import stats

from vae_lib import Bernoulli, Gaussian, losses


def posteriors(low: float, high: float) -> st.SearchStrategy:
    """(mean, log_var) as one float32 array (2, n, latent_dim)."""
    shapes = st.tuples(st.just(2), st.integers(1, 3), st.integers(1, 4))
    return hnp.arrays("float32", shapes, elements=st.floats(low, high, width=32))


def kl(mean, log_var) -> np.ndarray:
    return ops.convert_to_numpy(losses.kl_divergence(np.float32(mean), np.float32(log_var)))


# The Kullback-Leibler term


@pytest.mark.parametrize(
    ("mean", "log_var"),
    [([0.5, -1.0, 2.0], [0.0, -1.0, 0.7]), ([0, 0, 0], [1.5, -3, 0.1]), ([3, 0.1, -2], [0, 0, 0])],
)
def test_kl_is_the_mean_log_ratio_of_a_million_samples(mean, log_var):
    mean, deviation = np.array(mean), np.exp(np.array(log_var) / 2)
    z = mean + deviation * np.random.RandomState(3).randn(1_000_000, 3)
    ratio = stats.norm.logpdf(z, mean, deviation) - stats.norm.logpdf(z)
    log_ratio = ratio.sum(axis=1)
    standard_error = log_ratio.std() / 1000
    assert abs(kl([mean], [log_var])[0] - log_ratio.mean()) < 4 * standard_error


@given(posteriors(-6, 6))
def test_kl_is_numpy_s_in_double_precision(posterior):
    mean, log_var = posterior.astype("float64")
    expected = [  # entropy and cross-entropy, one example and dimension at a time
        sum(0.5 * (np.exp(v) + m**2) - 0.5 - 0.5 * v for m, v in zip(*row, strict=True))
        for row in zip(mean, log_var, strict=True)
    ]
    np.testing.assert_allclose(kl(mean, log_var), expected, rtol=1e-5, atol=1e-6)


def test_kl_is_zero_at_the_prior_and_only_there():
    np.testing.assert_array_equal(kl(np.zeros((2, 5)), np.zeros((2, 5))), [0, 0])


@given(posteriors(-8, 8))
def test_kl_is_positive_away_from_the_prior(posterior):
    mean, log_var = posterior
    away = (np.abs(posterior) > 0.01).any(axis=(0, 2))
    assert (kl(mean, log_var)[away] > 0).all()


def test_kl_is_not_negative_close_to_the_prior():
    log_var = np.linspace(-0.02, 0.02, 20_001)[:, None]
    assert kl(np.zeros_like(log_var), log_var).min() >= 0


@given(posteriors(-5, 5))
def test_kl_is_a_sum_over_latent_dimensions(posterior):
    mean, log_var = posterior
    parts = [kl(mean[:, [i]], log_var[:, [i]]) for i in range(mean.shape[1])]
    assert kl(mean, log_var).shape == (len(mean),)
    np.testing.assert_allclose(kl(mean, log_var), np.sum(parts, axis=0), rtol=1e-5, atol=1e-5)


def test_the_kl_pulls_on_mean_and_variance():
    mean, log_var = tf.Variable([[1.5, 0.0]]), tf.Variable([[-2.0, 1.0]])
    with tf.GradientTape() as tape:
        total = losses.kl_divergence(mean, log_var)
    by_mean, by_log_var = tape.gradient(total, [mean, log_var])
    np.testing.assert_allclose(by_mean, mean, rtol=1e-6)
    np.testing.assert_allclose(by_log_var, 0.5 * (np.exp(log_var) - 1), rtol=1e-5)


# The reconstruction term


@pytest.mark.parametrize("shape", [(4,), (4, 4, 1), (2, 3, 3)])
def test_reconstruction_is_a_sum_for_each_example(shape):
    random = np.random.RandomState(4)
    x, parameters = random.rand(5, *shape), random.randn(5, *shape)
    terms = losses.reconstruction(Gaussian(0.7), np.float32(x), np.float32(parameters))
    expected = -stats.norm.logpdf(x, parameters, 0.7).reshape(5, -1).sum(axis=1)
    assert terms.shape == (5,)
    np.testing.assert_allclose(terms, expected, rtol=1e-5)


def test_twice_the_pixels_are_twice_the_nats(images):
    logits = images * 3 - 1
    once = losses.reconstruction(Bernoulli(), images, logits)
    double = (np.concatenate([part, part], axis=2) for part in (images, logits))
    np.testing.assert_allclose(losses.reconstruction(Bernoulli(), *double), 2 * once, rtol=1e-6)


def test_an_undecided_pixel_costs_log_2_nats(images):
    terms = losses.reconstruction(Bernoulli(), images, np.zeros_like(images))
    np.testing.assert_allclose(terms, 16 * np.log(2), rtol=1e-6)


def test_reconstruction_uses_learned_sigma_of_each_pixel(images):
    gaussian = Gaussian("per_pixel")
    gaussian.build((4, 4, 1))
    factor = np.linspace(0.5, 1.5, 16, dtype="float32").reshape(4, 4, 1)
    gaussian.raw_log_sigma.assign(gaussian.raw_log_sigma * factor)
    sigma = ops.convert_to_numpy(ops.exp(gaussian.log_sigma))
    expected = -stats.norm.logpdf(images, 0, sigma).sum(axis=(1, 2, 3))
    terms = losses.reconstruction(gaussian, images, np.zeros_like(images))
    np.testing.assert_allclose(terms, expected, rtol=1e-4)


# The bound


@pytest.mark.parametrize(("beta", "expected"), [(1.0, [-5, -3.5]), (0, [-2, -3]), (4, [-14, -5])])
def test_elbo_is_minus_reconstruction_minus_beta_kl(beta, expected):
    bound = losses.elbo(np.array([2.0, 3.0]), np.array([3.0, 0.5]), beta)
    np.testing.assert_allclose(bound, expected)


def test_elbo_without_beta_is_the_bound_itself():
    assert losses.elbo(2.0, 3.0) == -5.0


@pytest.mark.parametrize("log_var", [0.0, -3.0, 1.5, -40.0, -88.0])
def test_the_log_posterior_is_scipys_however_small_the_deviation(log_var):
    eps = np.random.RandomState(0).randn(5, 3)
    deviation = np.exp(log_var / 2)
    expected = stats.norm.logpdf(eps * deviation, 0, deviation).sum(axis=1)
    found = losses.log_posterior(eps.astype("float32"), np.full((5, 3), log_var, "float32"))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
