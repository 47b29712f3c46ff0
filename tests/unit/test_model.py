"""VAE as an ordinary Keras model: gradients, noise, training, saving, devices, bad input."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import ops

import vae_lib
from vae_lib import VAE, Gaussian, losses, networks

SHAPE = (4, 4, 1)
TERMS = ("loss", "reconstruction", "kl")


def numpy(tensor) -> np.ndarray:
    return tensor.numpy()


def fit(vae: VAE, x, **arguments) -> dict[str, float]:
    """The logs of the last epoch; one batch in the given order unless told otherwise."""
    if not isinstance(x, tf.data.Dataset):
        arguments = {"batch_size": 12, "shuffle": False, **arguments}
    history = vae.fit(x, verbose=0, **arguments).history
    return {name: values[-1] for name, values in history.items()}


def evaluate(vae: VAE, x, **arguments) -> dict[str, float]:
    return vae.evaluate(x, verbose=0, return_dict=True, **arguments)


def copy_weights(source: VAE, target: VAE) -> VAE:
    for old, new in zip(source.trainable_weights, target.trainable_weights, strict=True):
        new.assign(old)
    return target


def without_noise(vae: VAE) -> VAE:
    """Make q(z given x) so narrow (sigma = e^-20) that the noise is lost in rounding."""
    kernel, bias = vae.encoder.get_layer("log_var").weights
    kernel.assign(ops.zeros_like(kernel))
    bias.assign(ops.zeros_like(bias) - 40)
    return vae


def weights_of(vae: VAE) -> np.ndarray:
    return np.concatenate([weight.numpy().ravel() for weight in vae.trainable_weights])


# Reparameterisation


def test_reparameterised_gradients_are_finite_differences(vae):
    random = np.random.RandomState(5)
    mean, log_var = random.randn(2, 3, 2).astype("float32")
    weight = random.randn(3, 2).astype("float32")

    def value(mean, log_var):
        z = vae.reparameterize(ops.convert_to_tensor(mean), ops.convert_to_tensor(log_var), seed=7)
        return ops.sum(weight * ops.sin(z))

    at = [tf.Variable(mean), tf.Variable(log_var)]
    with tf.GradientTape() as tape:
        total = value(*at)
    exact = np.stack(tape.gradient(total, at))

    step = 0.01  # float32: large enough for rounding, small enough for the third derivative
    differences = np.zeros((2, 3, 2))
    for place in np.ndindex(2, 3, 2):
        shift = np.zeros((2, 3, 2), "float32")
        shift[place] = step
        up = value(mean + shift[0], log_var + shift[1])
        down = value(mean - shift[0], log_var - shift[1])
        differences[place] = float(up - down) / (2 * step)
    assert np.abs(exact).min() > 1e-3  # both really receive a gradient
    np.testing.assert_allclose(exact, differences, atol=2e-3)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_gradient_of_the_whole_loss_is_a_finite_difference(make_vae, images, likelihood):
    vae = make_vae(likelihood=likelihood, beta=2.0)

    def loss():
        return vae.compute_loss(images, y_pred=vae(images))  # the same noise at each call

    with tf.GradientTape() as tape:
        total = loss()
    gradients = tape.gradient(total, vae.trainable_variables)
    length = float(tf.linalg.global_norm(gradients))
    directions = [gradient / length for gradient in gradients]
    values = []
    for step in (0.01, -0.02):  # along the gradient its own length is the slope
        for weight, direction in zip(vae.trainable_weights, directions, strict=True):
            weight.assign_add(step * direction)
        values.append(float(loss()))
    assert (values[0] - values[1]) / 0.02 == pytest.approx(length, rel=0.01)


def test_z_has_the_moments_it_is_given(vae):
    n, mean, log_var = 40_000, np.float32([1.0, -2.0]), np.float32([0.6, -1.4])
    tile = lambda row: ops.tile(row[None], (n, 1))  # noqa: E731
    z = numpy(vae.reparameterize(tile(mean), tile(log_var)))
    variance = np.exp(log_var)
    assert (np.abs(z.mean(axis=0) - mean) < 4 * np.sqrt(variance / n)).all()
    assert (np.abs(z.var(axis=0) - variance) < 4 * variance * np.sqrt(2 / n)).all()
    assert abs(np.corrcoef(z.T)[0, 1]) < 4 / np.sqrt(n)


def test_noise_differs_between_examples_dimensions_and_calls(vae):
    zeros = np.zeros((5, 2), "float32")
    draws = np.stack([numpy(vae.reparameterize(zeros, zeros)) for _ in range(3)])
    assert len(np.unique(draws)) == draws.size


def test_noise_has_the_type_of_its_mean(vae):
    zeros = tf.zeros((3, 2), "float64")
    assert vae.reparameterize(zeros, zeros).dtype == tf.float64


def test_training_draws_new_noise_at_each_call_and_evaluation_the_same(vae, images):
    train = [numpy(vae(images, training=True)["z"]) for _ in range(2)]
    test = [numpy(vae(images)["z"]) for _ in range(2)]
    assert np.abs(train[0] - train[1]).min() > 0
    np.testing.assert_array_equal(*test)


def test_noise_is_new_at_each_step_of_fit(make_vae, images):
    vae = make_vae(learning_rate=0.0, graph=True)  # nothing but the noise can change
    history = vae.fit(images, epochs=4, batch_size=12, verbose=0).history
    assert len(set(history["reconstruction"])) == 4
    assert np.ptp(history["kl"]) < 1e-6


# The interface of the lesson


def test_the_parts_make_the_whole(vae, images):
    out = vae(images)
    mean, log_var = vae.encode(images)
    assert mean.shape == log_var.shape == out["z"].shape == (12, 2)
    np.testing.assert_array_equal(out["mean"], mean)
    np.testing.assert_array_equal(out["log_var"], log_var)
    np.testing.assert_array_equal(out["parameters"], vae.decode(out["z"]))


def test_decode_gives_logits_or_probabilities(vae):
    z = np.float32([[0.5, -2], [3, 1]])
    logits, probabilities = numpy(vae.decode(z)), numpy(vae.decode(z, apply_sigmoid=True))
    assert logits.min() < 0
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_sample_decodes_what_it_is_given(vae):
    eps = np.float32([[0, 0], [1, -1]])
    np.testing.assert_array_equal(vae.sample(eps), vae.decode(eps, apply_sigmoid=True))


def test_sample_draws_from_the_prior(vae):
    assert vae.sample().shape == (16, *SHAPE)
    assert vae.sample(n=3).shape == (3, *SHAPE)
    np.testing.assert_array_equal(vae.sample(n=3, seed=4), vae.sample(n=3, seed=4))
    assert np.abs(vae.sample(n=3, seed=4) - vae.sample(n=3, seed=5)).max() > 1e-4
    assert np.abs(vae.sample(n=3) - vae.sample(n=3)).max() > 1e-4


def test_predict_is_the_reconstruction_at_the_posterior_mean(vae, images):
    expected = vae.decode(vae.encode(images)[0], apply_sigmoid=True)
    np.testing.assert_allclose(vae.predict(images, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(vae.reconstruct(images), expected, atol=1e-6)


def test_predict_is_the_same_each_time_and_for_each_batch_size(vae, images):
    whole = vae.predict(images, verbose=0)
    np.testing.assert_array_equal(vae.predict(images, verbose=0), whole)
    for batch_size in (1, 5):
        parts = vae.predict(images, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(parts, whole, atol=1e-6)


# The loss and its unit


def test_an_undecided_model_costs_log_2_nats_a_pixel(make_vae, images):
    vae = make_vae()
    for weight in vae.trainable_weights:
        weight.assign(ops.zeros_like(weight))
    vae.encoder.get_layer("mean").bias.assign([1.0, 2.0])
    logs = evaluate(vae, images, batch_size=5)
    assert logs["reconstruction"] == pytest.approx(16 * np.log(2), rel=1e-6)
    assert logs["kl"] == pytest.approx((1 + 4) / 2, rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("beta", [0.0, 0.5, 4.0])
def test_loss_is_reconstruction_plus_beta_kl_in_every_log(make_vae, images, beta, weighted):
    vae = make_vae(beta=beta, graph=weighted)
    weights = {"sample_weight": np.linspace(0, 3, 12)} if weighted else {}
    trained = fit(vae, images, batch_size=5, validation_split=0.25, **weights)
    validated = {name: trained["val_" + name] for name in TERMS}
    for logs in (trained, validated, evaluate(vae, images, batch_size=5, **weights)):
        assert set(TERMS) <= set(logs)
        assert logs["kl"] > 0
        assert logs["loss"] == pytest.approx(logs["reconstruction"] + beta * logs["kl"], rel=1e-5)


def test_the_logged_terms_are_means_over_examples_of_the_library_s_losses(vae, images):
    out = vae(images)
    logs = evaluate(vae, images, batch_size=12)
    reconstruction = losses.reconstruction(vae.likelihood, images, out["parameters"])
    kl = losses.kl_divergence(out["mean"], out["log_var"])
    assert logs["reconstruction"] == pytest.approx(float(ops.mean(reconstruction)), rel=1e-5)
    assert logs["kl"] == pytest.approx(float(ops.mean(kl)), rel=1e-5)


def test_beta_may_change_while_training(make_vae, images):
    vae = make_vae(graph=True)
    fit(vae, images)
    vae.beta.assign(3.0)
    logs = fit(vae, images)
    assert logs["loss"] == pytest.approx(logs["reconstruction"] + 3 * logs["kl"], rel=1e-5)
    assert vae.get_config()["beta"] == 3.0


def test_beta_weighs_the_gradient_of_the_kl_term(make_vae, images):
    plain, heavy = make_vae(beta=0.0, seed=1), make_vae(beta=2.0, seed=1)
    start = weights_of(copy_weights(plain, heavy))
    with tf.GradientTape() as tape:
        kl = ops.mean(losses.kl_divergence(*plain.encode(images)))
    gradients = tape.gradient(kl, plain.encoder.trainable_variables)
    expected = np.concatenate([numpy(gradient).ravel() for gradient in gradients])
    fit(plain, images)
    fit(heavy, images)
    difference = (weights_of(plain) - weights_of(heavy))[: len(expected)] / (0.01 * 2)
    np.testing.assert_allclose(difference, expected, atol=2e-3)
    assert np.abs(weights_of(plain) - start).max() > 0


# fit, evaluate and what Keras brings along


def test_training_lowers_the_loss(make_vae, images):
    vae = make_vae(learning_rate=0.02, graph=True)
    before = evaluate(vae, images)["loss"]
    fit(vae, images, epochs=30)
    assert evaluate(vae, images)["loss"] < before - 0.5


def test_every_weight_learns(make_vae, images):
    vae = make_vae(likelihood="gaussian")
    with tf.GradientTape() as tape:
        loss = vae.compute_loss(images, y_pred=vae(images, training=True))
    gradients = tape.gradient(loss, vae.trainable_variables)
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)
    assert len(gradients) == (3 + 2) * 2 + 1  # kernels and biases of five layers, and sigma


def test_evaluate_repeats_itself_and_leaves_the_training_noise_alone(vae, images):
    state = numpy(vae.noise.state)
    first = evaluate(vae, images, batch_size=5)
    assert evaluate(vae, images, batch_size=5) == first
    np.testing.assert_array_equal(numpy(vae.noise.state), state)


def test_validation_does_not_change_the_training(make_vae, images):
    alone, watched = make_vae(seed=1), make_vae(seed=1)
    copy_weights(alone, watched)
    fit(alone, images, epochs=2)
    fit(watched, images, epochs=2, validation_data=images)
    np.testing.assert_allclose(weights_of(watched), weights_of(alone), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("batch_size", [1, 5, 12, 100])
def test_what_evaluate_owes_to_the_batch_size(vae, images, batch_size):
    # each batch draws the same noise again, so the reconstruction depends on how images are cut
    # into batches; the KL term, which has no noise, does not, and the last batch counts its images
    assert evaluate(vae, images, batch_size=batch_size)["kl"] == pytest.approx(
        evaluate(vae, images)["kl"], rel=1e-5
    )
    without_noise(vae)
    assert evaluate(vae, images, batch_size=batch_size)["reconstruction"] == pytest.approx(
        evaluate(vae, images)["reconstruction"], rel=1e-5
    )


@pytest.mark.parametrize(
    "validation",
    [
        lambda x: x,
        lambda x: (x,),
        lambda x: (x, None, np.linspace(0, 2, 12)),
        lambda x: [x, None, np.linspace(0, 2, 12)],
        lambda x: tf.data.Dataset.from_tensor_slices(x).batch(5),
        lambda x: tf.constant(x),
    ],
    ids=["array", "tuple", "weighted", "list", "tf.data", "tensor"],
)
def test_validation_data_in_every_form(vae, images, validation):
    given = validation(images)
    logs = fit(vae, images, validation_data=given, validation_batch_size=5)
    weights = given[2] if isinstance(given, (tuple, list)) and len(given) == 3 else None
    expected = evaluate(vae, images, batch_size=5, sample_weight=weights)
    for name in TERMS:
        assert logs[f"val_{name}"] == pytest.approx(expected[name], rel=1e-5)


def test_tf_data_trains_as_arrays_do(make_vae, images):
    one, two = make_vae(seed=1, graph=True), make_vae(seed=1, graph=True)
    copy_weights(one, two)
    weights = np.linspace(0, 2, 12, dtype="float32")
    batches = tf.data.Dataset.from_tensor_slices((images, images, weights)).batch(5)
    logs = fit(one, images, batch_size=5, sample_weight=weights, epochs=2)
    assert fit(two, batches, epochs=2) == pytest.approx(logs, rel=1e-5)
    np.testing.assert_allclose(weights_of(two), weights_of(one), atol=1e-6)


@pytest.mark.parametrize("pack", [lambda x: x, lambda x: (x,), lambda x: (x, x)])
def test_tf_data_without_weights(make_vae, images, pack):
    vae = make_vae(learning_rate=0.0, graph=True)
    batches = tf.data.Dataset.from_tensor_slices(pack(images)).batch(5)
    assert fit(vae, batches)["kl"] == pytest.approx(evaluate(vae, images)["kl"], rel=1e-5)
    assert evaluate(vae, batches) == evaluate(vae, images, batch_size=5)
    np.testing.assert_allclose(
        vae.predict(batches, verbose=0), vae.predict(images, verbose=0), atol=1e-6
    )


def test_callbacks(make_vae, images, tmp_path):
    vae = make_vae(graph=True)
    log, best = tmp_path / "log.csv", tmp_path / "best.keras"
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=1e9)
    callbacks = [
        stop,
        keras.callbacks.CSVLogger(str(log)),
        keras.callbacks.ModelCheckpoint(str(best), monitor="val_loss", save_best_only=True),
    ]
    fit(vae, images, epochs=9, validation_data=images, callbacks=callbacks)
    rows = list(csv.DictReader(log.open()))
    assert len(rows) == 2  # nothing improves by so much: stopped after the second epoch
    assert {*TERMS, *(f"val_{name}" for name in TERMS)} <= set(rows[0])
    kept = evaluate(keras.models.load_model(best), images)["loss"]
    assert kept == pytest.approx(min(float(row["val_loss"]) for row in rows), rel=1e-5)


def test_a_weight_of_zero_removes_the_image(make_vae, images):
    weighted, fewer = without_noise(make_vae()), make_vae()
    copy_weights(weighted, fewer)
    weights = np.repeat([1.0, 0.0], [9, 3])
    logs = fit(weighted, images, sample_weight=weights)
    expected = fit(fewer, images[:9], sample_weight=np.full(9, 9 / 12))  # a mean over 12, not 9
    assert logs == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(weights_of(weighted), weights_of(fewer), atol=1e-6)


def test_weights_scale_the_loss_and_the_step(make_vae, images):
    light, heavy = without_noise(make_vae()), make_vae()
    copy_weights(light, heavy)
    start = weights_of(light)
    logs = fit(light, images)  # as with weights of one
    doubled = fit(heavy, images, sample_weight=np.full(12, 2))
    assert doubled == pytest.approx({name: 2 * value for name, value in logs.items()}, rel=1e-5)
    step, double = weights_of(light) - start, weights_of(heavy) - start
    np.testing.assert_allclose(double, 2 * step, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("shape", [(12,), (12, 1)])
def test_each_image_has_its_own_weight(vae, images, shape):
    weights = np.linspace(0, 3, 12)
    alone = [evaluate(without_noise(vae), images[[i]])["loss"] for i in range(12)]
    logs = evaluate(vae, images, sample_weight=weights.reshape(shape), batch_size=5)
    assert logs["loss"] == pytest.approx(np.mean(weights * alone), rel=1e-5)


def test_a_table_of_numbers(make_vae, table):
    vae = make_vae(data_shape=(13,), likelihood="gaussian", learning_rate=0.001, graph=True)
    before = evaluate(vae, table)["loss"]
    fit(vae, table, epochs=20)
    assert evaluate(vae, table)["loss"] < before
    assert vae.predict(table, verbose=0).shape == (12, 13)
    assert vae.sample(n=2).shape == (2, 13)


# Graphs and compilers


def test_an_unknown_batch_size_is_traced_once(vae, images):
    traces = []

    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE))])
    def everything(x):
        traces.append(x.shape)
        out = vae(x)
        noisy = vae.reparameterize(out["mean"], out["log_var"])
        loss = vae.compute_loss(x, y_pred=out, training=False)
        return loss, noisy, vae.reconstruct(x), vae.sample(n=ops.shape(x)[0])

    for n in (1, 3, 12):
        x = images[:n]
        loss, noisy, reconstructed, sampled = everything(x)
        eager = vae.compute_loss(x, y_pred=vae(x), training=False)
        assert float(loss) == pytest.approx(float(eager), rel=1e-5)
        assert noisy.shape == (n, 2)
        assert reconstructed.shape == sampled.shape == (n, *SHAPE)
    assert len(traces) == 1


def test_fit_traces_its_step_once_whatever_the_batch_size(make_vae, images, monkeypatch):
    vae, calls = make_vae(), []
    vae.compile(keras.optimizers.Adam())  # has weights of its own, unlike SGD
    decode = vae.decode

    def counted(z):
        calls.append(z.shape)
        return decode(z)

    monkeypatch.setattr(vae, "decode", counted)
    fit(vae, images, batch_size=5, epochs=2)
    fit(vae, images[:7], batch_size=3, epochs=2)
    assert len(calls) == 1


def test_the_xla_compiler_takes_it(make_vae, images):
    vae = make_vae(network="conv", likelihood="gaussian", learning_rate=0.0)
    kl = evaluate(vae, images)["kl"]
    predicted = vae.predict(images, verbose=0)
    vae.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=True)
    logs = fit(vae, images)
    assert logs["kl"] == pytest.approx(kl, rel=1e-5)
    np.testing.assert_allclose(vae.predict(images, verbose=0), predicted, atol=1e-5)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_mixed_precision(make_vae, images, likelihood):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        vae = make_vae(likelihood=likelihood)
    finally:
        keras.config.set_dtype_policy("float32")
    logs = fit(vae, images)
    assert logs["loss"] == pytest.approx(logs["reconstruction"] + logs["kl"], rel=1e-5)
    assert vae(images)["parameters"].dtype == vae.encode(images)[1].dtype == tf.float32


# Seeds


def test_one_seed_for_everything_repeats_a_run(make_vae, images):
    runs = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        runs.append(
            make_vae(graph=True).fit(images, epochs=3, batch_size=5, verbose=0).history["loss"]
        )
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-4)
    assert np.abs(np.subtract(runs[0], runs[2])).min() > 1e-3


def test_the_model_s_seed_fixes_its_noise_whatever_the_global_one(make_vae):
    zeros = np.zeros((4, 2), "float32")
    noise = []
    for global_seed, seed in ((1, 5), (2, 5), (1, 6)):
        keras.utils.set_random_seed(global_seed)
        vae = make_vae(seed=seed)
        noise.append([numpy(vae.reparameterize(zeros, zeros)) for _ in range(2)])
    np.testing.assert_array_equal(noise[0], noise[1])
    assert np.abs(np.subtract(noise[0], noise[2])).min() > 0


# Saving

MODELS = {
    "bernoulli": dict,
    "conv": lambda: {"network": "conv", "hidden": (3, 4)},
    "gaussian, fixed": lambda: {"likelihood": Gaussian(0.3)},
    "gaussian, learned": lambda: {"likelihood": "gaussian"},
    "gaussian, floor": lambda: {"likelihood": Gaussian("learned", min_sigma=0.5)},
    "gaussian, per pixel": lambda: {"likelihood": Gaussian("per_pixel"), "network": "conv"},
    "beta": lambda: {"beta": 2.5, "seed": 3},
    "no hidden layers": lambda: {"hidden": ()},
}
every_model = pytest.mark.parametrize("arguments", MODELS.values(), ids=MODELS.keys())


def own_networks() -> dict:
    """An encoder and a decoder that no argument of VAE describes."""
    x = keras.Input(SHAPE)
    body = keras.layers.Dense(6, activation="tanh")(keras.layers.Flatten()(x))
    heads = [keras.layers.Dense(2)(body), keras.layers.Dense(2)(body)]
    return {
        "encoder": keras.Model(x, heads),
        "decoder": networks.conv_decoder(SHAPE, 2, (3,)),
    }


def assert_same_model(one: VAE, two: VAE, x: np.ndarray) -> None:
    """The same predictions, terms and configuration."""
    np.testing.assert_allclose(one.predict(x, verbose=0), two.predict(x, verbose=0), atol=1e-7)
    assert evaluate(one, x) == pytest.approx(evaluate(two, x), rel=1e-6)
    assert json.dumps(one.get_config()) == json.dumps(two.get_config())


@every_model
def test_saved_and_loaded_it_is_the_same_model(make_vae, images, tmp_path, arguments):
    vae = make_vae(learning_rate=0.05, **arguments())
    fit(vae, images, epochs=2)  # so that nothing has its starting value
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    assert isinstance(loaded, VAE)
    assert_same_model(loaded, vae, images)


@pytest.mark.parametrize("own", [("encoder",), ("decoder",), ("encoder", "decoder")])
def test_own_networks_are_saved_too(make_vae, images, tmp_path, own):
    vae = make_vae(**{name: own_networks()[name] for name in own})
    fit(vae, images)
    vae.save(tmp_path / "vae.keras")
    assert_same_model(keras.models.load_model(tmp_path / "vae.keras"), vae, images)


def test_an_untrained_uncompiled_model_is_saved(images, tmp_path):
    vae = VAE(latent_dim=3, data_shape=SHAPE, network="dense", likelihood="gaussian")
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    np.testing.assert_array_equal(loaded.reconstruct(images), vae.reconstruct(images))


def test_a_loaded_model_goes_on_learning(make_vae, images, tmp_path):
    vae = without_noise(make_vae(likelihood="gaussian"))
    vae.compile(optimizer=keras.optimizers.Adam(0.01), run_eagerly=True)
    fit(vae, images)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    assert fit(loaded, images) == pytest.approx(fit(vae, images), rel=1e-5)
    np.testing.assert_allclose(weights_of(loaded), weights_of(vae), atol=1e-5)


def test_weights_alone_are_saved_and_loaded(make_vae, images, tmp_path):
    one, two = make_vae(likelihood="gaussian"), make_vae(likelihood="gaussian")
    fit(one, images)
    one.save_weights(tmp_path / "vae.weights.h5")
    two.load_weights(tmp_path / "vae.weights.h5")
    assert evaluate(two, images) == pytest.approx(evaluate(one, images), rel=1e-6)


@every_model
def test_the_configuration_is_json_and_gives_the_same_architecture(make_vae, arguments):
    vae = make_vae(**arguments())
    again = VAE.from_config(json.loads(json.dumps(vae.get_config())))
    assert [(w.path.split("/")[-1], w.shape) for w in again.weights] == [
        (w.path.split("/")[-1], w.shape) for w in vae.weights
    ]
    assert json.dumps(again.get_config()) == json.dumps(vae.get_config())
    assert float(again.beta) == float(vae.beta)


def test_the_configuration_tells_what_was_asked_for(make_vae):
    asked = {"latent_dim": 3, "hidden": (6, 4), "beta": 0.25, "seed": 8, "network": "dense"}
    asked["name"] = "mine"
    config = make_vae(**asked).get_config()
    assert {name: config[name] for name in asked} == asked
    assert config["data_shape"] == SHAPE


def test_the_configuration_knows_no_numpy(make_vae):
    vae = make_vae(
        latent_dim=np.int64(2),
        hidden=np.array([5, 3]),
        beta=np.float32(0.5),
        data_shape=[4],
    )
    config = json.loads(json.dumps(vae.get_config()))
    assert (config["latent_dim"], config["hidden"], config["beta"]) == (2, [5, 3], 0.5)


def test_a_clone_has_new_weights_and_nothing_in_common(make_vae, images):
    vae = make_vae(likelihood=Gaussian("per_pixel"), beta=0.5, **own_networks())
    clone = keras.models.clone_model(vae)
    clone.compile(optimizer="sgd")
    before = weights_of(vae)
    fit(clone, images)
    np.testing.assert_array_equal(weights_of(vae), before)
    assert float(clone.beta) == 0.5
    assert weights_of(clone).shape == before.shape


def test_two_models_do_not_share_the_sigma_of_one_likelihood(make_vae, images):
    gaussian = Gaussian("learned")
    one, two = make_vae(likelihood=gaussian), make_vae(likelihood=gaussian, data_shape=(2, 2, 1))
    before = float(two.likelihood.log_sigma)
    fit(one, images, epochs=3)
    assert float(one.likelihood.log_sigma) != before
    assert float(two.likelihood.log_sigma) == before


# Own networks


def test_an_exported_model_gives_the_parts_of_the_model(vae, images, tmp_path):
    expected = vae(images)
    vae.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "served"))  # its variables live as long as it
    served = loaded.serve(images)
    for name in ("mean", "log_var", "parameters"):
        np.testing.assert_allclose(served[name], expected[name], rtol=1e-5, atol=1e-6)


def test_own_networks_are_used(make_vae, images):
    own = own_networks()
    vae = make_vae(**own)
    np.testing.assert_array_equal(vae.encode(images)[0], own["encoder"](images)[0])
    assert vae.decoder is own["decoder"]


def test_dropout_of_own_networks_is_on_in_training_only(make_vae, images):
    x = keras.Input(SHAPE)
    body = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    encoder = keras.Model(x, [keras.layers.Dense(2)(body), keras.layers.Dense(2)(body)])
    vae = make_vae(encoder=encoder)
    plain = numpy(vae(images)["mean"])
    np.testing.assert_array_equal(vae.encode(images)[0], plain)
    assert np.abs(numpy(vae(images, training=True)["mean"]) - plain).max() > 0.01


def test_regularisers_of_own_networks_count(make_vae, images):
    x = keras.Input(SHAPE)
    body = keras.layers.Flatten()(x)
    penalty = keras.regularizers.L2(3.0)
    heads = [keras.layers.Dense(2, kernel_regularizer=penalty)(body), keras.layers.Dense(2)(body)]
    vae = make_vae(encoder=keras.Model(x, heads))
    logs = evaluate(vae, images)
    expected = 3 * np.sum(numpy(vae.encoder.layers[-2].kernel) ** 2)
    assert logs["loss"] - logs["reconstruction"] - logs["kl"] == pytest.approx(expected, rel=1e-4)


# Many devices

DEVICES = """
import json, sys
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from vae_lib import VAE

x = np.random.RandomState(0).rand(12, 4, 4, 1).astype("float32")
weights = np.linspace(0, 2, 12)

def make():
    keras.utils.set_random_seed(0)
    arguments = {"latent_dim": 2, "data_shape": (4, 4, 1), "network": "dense", "hidden": (5,)}
    vae = VAE(likelihood="gaussian", beta=0.5, **arguments)
    kernel, bias = vae.encoder.get_layer("log_var").weights
    kernel.assign(kernel * 0)
    bias.assign(bias * 0 - 40)  # no noise: replicas draw their own
    vae.compile(optimizer=keras.optimizers.SGD(0.002))
    return vae

def run(vae):
    fit = {"batch_size": 12, "shuffle": False, "verbose": 0}
    start = [w.numpy().tolist() for w in vae.trainable_variables]
    logs = [
        vae.fit(x, **fit).history,
        vae.fit(x, sample_weight=weights, **fit).history,
        vae.evaluate(x, batch_size=12, verbose=0, return_dict=True),
    ]
    flat = np.concatenate([w.numpy().ravel() for w in vae.trainable_variables])
    first = np.concatenate([np.ravel(w) for w in start])
    predicted = vae.predict(x, batch_size=12, verbose=0)
    return {"logs": logs, "first": first.tolist(), "last": flat.tolist(),
            "predicted": predicted.ravel().tolist()}

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    two = make()
result = {"two": run(two), "one": run(make())}
two.save(sys.argv[1])
loaded = keras.models.load_model(sys.argv[1])
result["loaded"] = loaded.predict(x, verbose=0).ravel().tolist()
print("RESULT", json.dumps(result))
"""


def test_two_devices_train_as_one(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", DEVICES, str(tmp_path / "two.keras")],
        cwd=Path(vae_lib.__file__).parents[1],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.rpartition("RESULT")[2])
    one, two = result["one"], result["two"]
    assert two["first"] == one["first"]
    for logs, expected in zip(two["logs"], one["logs"], strict=True):
        for name in TERMS:
            np.testing.assert_allclose(logs[name], expected[name], rtol=1e-5)
    # sums in another order: a dozen units in the last place of a float32, on some processors
    np.testing.assert_allclose(two["last"], one["last"], rtol=2e-6, atol=1e-6)
    assert np.abs(np.subtract(one["last"], one["first"])).max() > 0.01
    assert one["logs"][1]["loss"] != one["logs"][0]["loss"]
    np.testing.assert_allclose(two["predicted"], one["predicted"], atol=1e-6)
    np.testing.assert_allclose(result["loaded"], two["predicted"], atol=1e-6)


# Bad input


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("entrance", ["fit", "evaluate", "predict", "encode", "__call__"])
def test_a_gaussian_takes_any_finite_number_and_no_other(
    make_vae, images, complains, entrance, value
):
    call = getattr(make_vae(likelihood="gaussian"), entrance)
    images[1, 2, 3] = -3.5
    call(images)
    images[1, 2, 3] = value
    complains(lambda: call(images), "x ", "NaN or infinite", "expected finite")


def test_a_data_frame_is_checked_as_an_array_is(make_vae, table, complains):
    vae = make_vae(data_shape=(13,), likelihood="gaussian")
    frame = pd.DataFrame(table)
    assert evaluate(vae, frame) == pytest.approx(evaluate(vae, table), rel=1e-6)
    frame.iloc[3, 4] = np.nan
    for entrance in (vae.fit, vae.evaluate, vae.predict):
        complains(lambda entrance=entrance: entrance(frame), "x ", "NaN", "expected finite")


def test_no_weight_is_dropped_in_silence_when_passed_by_position(vae, images):
    expected = evaluate(without_noise(vae), images)["loss"] * 3
    try:
        loss = vae.evaluate(images, None, 12, 0, np.full(12, 3.0))[0]
    except TypeError:
        return  # refused: as good
    assert loss == pytest.approx(expected, rel=1e-5)
