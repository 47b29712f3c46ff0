"""p(x given z) against SciPy in float64, and sigma in its three forms."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy import special, stats

from vae_lib import Bernoulli, Gaussian, likelihoods

unit = st.floats(0, 1, width=32)
logits = st.floats(-30, 30, width=32)


def numpy(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


@pytest.fixture
def learned() -> Gaussian:
    likelihood = Gaussian("learned")
    likelihood.build((4, 4, 1))
    return likelihood


@pytest.fixture
def per_pixel() -> Gaussian:
    likelihood = Gaussian("per_pixel")
    likelihood.build((4, 4, 1))
    return likelihood


# Bernoulli


@given(st.integers(0, 1), logits)
def test_bernoulli_of_black_and_white_pixels_is_scipy_s(x, logit):
    expected = stats.bernoulli.logpmf(x, special.expit(np.float64(logit)))
    log_prob = numpy(Bernoulli().log_prob(np.float32([x]), np.float32([logit])))
    # SciPy's own 1 - p loses digits near 1, hence the absolute part
    np.testing.assert_allclose(log_prob, [expected], rtol=1e-5, atol=1e-5)


@given(unit, logits)
def test_bernoulli_of_grey_pixels_is_the_cross_entropy(x, logit):
    x, logit = np.float32([x]), np.float32([logit])
    wide = logit.astype("float64")
    expected = x * special.log_expit(wide) + (1.0 - x) * special.log_expit(-wide)
    log_prob = numpy(Bernoulli().log_prob(x, logit))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5, atol=1e-5)


@given(unit, logits)
def test_cross_entropy_is_never_below_the_entropy_of_the_pixel(x, logit):
    entropy = stats.entropy([x, 1 - x])
    assert -numpy(Bernoulli().log_prob(np.float32(x), np.float32(logit))) >= entropy - 1e-5


@pytest.mark.parametrize("x", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("logit", [-10_000.0, -100.0, 100.0, 10_000.0])
def test_bernoulli_is_exact_and_finite_far_out(x, logit):
    expected = x * min(logit, 0) - (1 - x) * max(logit, 0)  # log sigmoid is 0 or the logit there
    log_prob = numpy(Bernoulli().log_prob(np.float32(x), np.float32(logit)))
    assert log_prob == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("logit", [-100.0, -1.5, 0.0, 100.0])
def test_the_gradient_of_bernoulli_is_finite_and_closed(logit):
    parameters = tf.Variable([logit, logit])
    with tf.GradientTape() as tape:
        log_prob = Bernoulli().log_prob(tf.constant([0.0, 1.0]), parameters)
    gradient = tape.gradient(log_prob, parameters)
    np.testing.assert_allclose(gradient, np.array([0, 1]) - special.expit(logit), atol=1e-6)


def test_bernoulli_mean_is_the_probability():
    parameters = np.float32([-100, -1, 0, 2, 100])
    np.testing.assert_allclose(Bernoulli().mean(parameters), special.expit(parameters), rtol=1e-6)


# Gaussian


@pytest.mark.parametrize("sigma", [0.05, 0.5, 1, 2.0])
def test_gaussian_with_fixed_sigma_is_scipy_s(images, sigma):
    parameters = images[::-1] * 2 - 0.5
    expected = stats.norm.logpdf(images.astype("float64"), parameters, sigma)
    log_prob = numpy(Gaussian(sigma).log_prob(images, parameters))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-5)


def test_a_density_may_be_above_one():
    assert numpy(Gaussian(0.01).log_prob(np.float32(0.3), np.float32(0.3))) > 3


def test_fixed_sigma_has_no_weight_and_the_others_have_one(learned, per_pixel):
    fixed = Gaussian(0.5)
    fixed.build((4, 4, 1))
    assert fixed.weights == []
    assert [tuple(w.shape) for w in learned.trainable_weights] == [()]
    assert [tuple(w.shape) for w in per_pixel.trainable_weights] == [(4, 4, 1)]


@pytest.mark.parametrize("min_sigma", [1e-6, 0.01, 0.9])
@pytest.mark.parametrize("sigma", ["learned", "per_pixel"])
def test_learned_sigma_starts_at_one(sigma, min_sigma):
    likelihood = Gaussian(sigma, min_sigma=min_sigma)
    likelihood.build((3, 2, 1))
    np.testing.assert_allclose(numpy(likelihood.log_sigma), 0, atol=1e-5)


@given(st.floats(-300, 5), st.sampled_from([0.01, 0.2]))
def test_learned_sigma_never_falls_below_its_floor(factor, min_sigma):
    likelihood = Gaussian("learned", min_sigma=min_sigma)
    likelihood.build((2,))
    assert scale_raw(likelihood, factor) >= min_sigma * (1 - 1e-6)
    assert np.isfinite(numpy(likelihood.log_prob(np.float32([0, 1]), np.float32([0, 0])))).all()


def test_learned_sigma_reaches_its_floor(learned):
    scale_raw(learned, -20)
    assert numpy(ops.exp(learned.log_sigma)) == pytest.approx(0.01, rel=1e-5)


def scale_raw(likelihood: Gaussian, factor) -> np.ndarray:
    """Move sigma away from 1, down if factor < 1, however it is parametrised; return sigma."""
    likelihood.raw_log_sigma.assign(likelihood.raw_log_sigma * np.float32(factor))
    return np.exp(numpy(likelihood.log_sigma).astype("float64"))


@pytest.mark.parametrize("factor", [0.2, 0.7, 1.4])
def test_gaussian_with_learned_sigma_is_scipy_s(images, learned, factor):
    sigma = scale_raw(learned, factor)
    assert sigma < 0.5 if factor < 1 else sigma > 2
    expected = stats.norm.logpdf(images.astype("float64"), 0.3, sigma)
    log_prob = numpy(learned.log_prob(images, np.full_like(images, 0.3)))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-4)


def test_every_pixel_has_its_own_sigma(images, per_pixel):
    sigma = scale_raw(per_pixel, np.linspace(0.2, 1.4, 16).reshape(4, 4, 1))
    assert (np.diff(sigma.ravel()) > 0).all()
    expected = stats.norm.logpdf(images.astype("float64"), 0.3, sigma)
    log_prob = numpy(per_pixel.log_prob(images, np.full_like(images, 0.3)))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-4)


def test_the_best_learned_sigma_is_the_root_mean_square_residual(images, learned):
    # maximum likelihood in closed form, found by climbing
    optimizer = keras.optimizers.Adam(0.02)
    for _ in range(400):
        with tf.GradientTape() as tape:
            loss = -ops.mean(learned.log_prob(images, np.full_like(images, 0.5)))
        optimizer.apply(tape.gradient(loss, learned.trainable_variables), learned.trainable_weights)
    residual = math.sqrt(np.mean((images - 0.5) ** 2))
    assert numpy(ops.exp(learned.log_sigma)) == pytest.approx(residual, rel=1e-3)


def test_gaussian_mean_is_the_parameters_themselves():
    parameters = np.float32([-3, 0.5, 7])
    np.testing.assert_array_equal(numpy(Gaussian().mean(parameters)), parameters)


# Names, configurations, bad input


def test_likelihoods_by_name():
    assert isinstance(likelihoods.get("bernoulli"), Bernoulli)
    gaussian = likelihoods.get("gaussian")
    assert isinstance(gaussian, Gaussian)
    assert gaussian.get_config()["sigma"] == "learned"


def test_a_likelihood_object_stays_itself():
    gaussian = Gaussian(0.2)
    assert likelihoods.get(gaussian) is gaussian


@pytest.mark.parametrize("sigma", [0.25, 2, "learned", "per_pixel"])
def test_a_gaussian_survives_its_configuration(sigma):
    config = keras.saving.serialize_keras_object(Gaussian(sigma, min_sigma=0.03))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config()["sigma"] == sigma
    assert again.min_sigma == 0.03


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.int64(2)])
def test_sigma_may_be_a_numpy_number(number):
    config = Gaussian(number).get_config()
    assert config["sigma"] == number
    assert isinstance(config["sigma"], (int, float))  # JSON knows no others
