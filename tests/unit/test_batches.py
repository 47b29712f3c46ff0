"""Data in batches: trained on as arrays are, and refused wherever in it something is wrong."""

from __future__ import annotations

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from vae_lib import VAE, ConditionalVAE, Gaussian, batches

FORM = batches.Form((4, 4, 1), True)


def dataset(*arrays: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0]).batch(4)


class Rows(keras.utils.PyDataset):
    """One batch."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> np.ndarray:
        return np.zeros((12, 4, 4, 1), "float32")


@pytest.mark.parametrize("make", [Rows, lambda: (x for x in [Rows()[0]])], ids=["Keras", "Python"])
def test_other_sources_of_batches_are_refused(make_vae, images, complains, make):
    vae, x = make_vae(), make()
    expected = "expected floats of shape ('n', 4, 4, 1), as an array or a tf.data.Dataset"
    for call in (vae.fit, vae.evaluate, vae.predict, vae.encode):
        complains(lambda call=call: call(x), f"x is a {type(x).__name__}; {expected}")
    call = lambda: vae.fit(images, validation_data=x)  # noqa: E731
    complains(call, f"validation_data is a {type(x).__name__}; {expected}")


def test_labels_come_with_the_images(images):
    labels, both = np.arange(12) % 2, []
    for x, options in (((images, labels), {"batch_size": 4}), ((dataset(images, labels),), {})):
        keras.utils.set_random_seed(1)
        vae = ConditionalVAE(2, 2, data_shape=(4, 4, 1), network="dense", hidden=(5,), seed=3)
        vae.compile("sgd", run_eagerly=True)
        vae.fit(*x, shuffle=False, verbose=0, **options)
        both.append(vae.get_weights())
    for a, b in zip(*both, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x * 255, "values in"),
        (lambda x: x - 0.5, "expected 0..1"),
        (lambda x: np.where(np.arange(12)[:, None, None, None] == 9, np.nan, x), "NaN or infinite"),
    ],
)
def test_wrong_values_in_a_late_batch(make_vae, images, complains, change, words):
    x = np.concatenate([images[:8], change(images)[8:]])
    complains(lambda: make_vae().fit(dataset(x), verbose=0), words)
    complains(lambda: make_vae().evaluate(dataset(x), verbose=0), words)
    complains(lambda: make_vae().predict(dataset(x), verbose=0), words)
    complains(lambda: make_vae().fit(images, validation_data=dataset(x), verbose=0), words)
    complains(lambda: make_vae(graph=True).fit(dataset(x), verbose=0), words)


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_wrong_weights_in_a_late_batch(make_vae, images, complains, wrong):
    weight = np.where(np.arange(12) == 9, wrong, 1.0)
    x = dataset(images, np.zeros(12), weight)
    complains(lambda: make_vae().fit(x, verbose=0), "sample_weight", "expected finite numbers")
    complains(lambda: make_vae().fit(images, sample_weight=weight), "sample_weight has values in")


def test_wrong_labels_in_a_late_batch(images, complains):
    vae = ConditionalVAE(2, 2, data_shape=(4, 4, 1), network="dense", hidden=(5,))
    vae.compile("sgd", run_eagerly=True)
    labels = np.where(np.arange(12) == 9, 2, 0)
    complains(lambda: vae.fit(dataset(images, labels), verbose=0), "expected integers in 0..1")


def test_all_of_it_as_arrays(images):
    x, y = batches.whole(dataset(images, np.arange(12)), FORM)
    np.testing.assert_array_equal(x, images)
    np.testing.assert_array_equal(y, np.arange(12))
    assert batches.whole(dataset(images), FORM)[1] is None


def test_what_never_ends_or_never_begins(images, complains):
    whole = lambda x: lambda: batches.whole(x, FORM)  # noqa: E731
    complains(whole(dataset(images).repeat()), "x repeats for ever")
    complains(whole(dataset(images).take(0)), "x is empty")


# What else `fit` and `compile` do


def test_a_loss_that_is_not_finite_ends_training(make_vae, images):
    vae = make_vae(learning_rate=1e30, graph=True, likelihood=Gaussian(0.1))
    seen = []
    count = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    with pytest.raises(FloatingPointError, match="standardise tables"):
        vae.fit(images, epochs=50, batch_size=4, verbose=0, callbacks=count)
    assert len(seen) < 50


def test_a_loss_of_ones_own_is_refused(vae, complains):
    complains(lambda: vae.compile(loss="mse"), "loss is 'mse'", "the negative ELBO")
    complains(lambda: vae.compile("adam", "mse"), "loss is 'mse'")
    complains(lambda: vae.compile(loss_weights=[1]), "loss_weights is [1]")


def test_metrics_compare_images_with_their_reconstruction(make_vae, images):
    vae = make_vae()
    vae.compile("sgd", metrics=["mse"], run_eagerly=True)
    found = vae.evaluate(images, batch_size=12, verbose=0, return_dict=True)
    redrawn = vae.likelihood.mean(vae(images)["parameters"])
    assert found["mse"] == pytest.approx(np.mean((images - redrawn) ** 2), rel=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_a_keras_file_keeps_the_precision_of_its_networks(make_vae, images, tmp_path, policy):
    vae = make_vae(dtype=policy)
    assert keras.config.dtype_policy().name == "float32"
    vae.save(tmp_path / "it.keras")
    loaded = keras.saving.load_model(tmp_path / "it.keras")
    assert loaded.encoder.dtype_policy.name == loaded.dtype_policy.name == policy
    np.testing.assert_array_equal(loaded.reconstruct(images), vae.reconstruct(images))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_that_was_forked_says_so(vae, images):
    read, write = os.pipe()
    vae.encode(images)
    if (child := os.fork()) == 0:
        try:
            vae.encode(images)
            told = b"nothing"
        except BaseException as error:
            told = f"{type(error).__name__} {error}".encode()
        os.write(write, told)
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(read, 1000).decode()
    assert told.startswith("RuntimeError") and "after the fork" in told


def test_a_subclass_with_a_loss_of_its_own_is_trained(make_vae, images):
    class Error(VAE):
        def compute_loss(
            self, x=None, y=None, y_pred=None, sample_weight=None, training=True
        ):  # updates no metric of the VAE's
            return keras.ops.mean((x - y_pred["parameters"]) ** 2)

    vae = Error(2, data_shape=(4, 4, 1), network="dense", hidden=(5,))
    vae.compile("sgd")
    history = vae.fit(images, epochs=2, verbose=0, validation_data=(images,)).history
    assert history["loss"][1] < history["loss"][0]
