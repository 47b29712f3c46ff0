"""Data in batches: trained on as arrays are, and refused wherever in it something is wrong."""

from __future__ import annotations

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from vae_lib import VAE, ConditionalVAE, Gaussian, batches

FORM = batches.Form((4, 4, 1), True)


class Rows(keras.utils.PyDataset):
    """Batches of four of one array, or of several side by side."""

    def __init__(self, *arrays: np.ndarray, **kwargs):
        super().__init__(**kwargs)
        self.arrays, self.ended = arrays, 0

    def __len__(self) -> int:
        return -(-len(self.arrays[0]) // 4)

    def __getitem__(self, index: int):
        parts = tuple(array[4 * index : 4 * index + 4] for array in self.arrays)
        return parts if len(parts) > 1 else parts[0]

    def on_epoch_end(self) -> None:
        self.ended += 1


def dataset(*arrays: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0]).batch(4)


def generator(*arrays: np.ndarray):
    rows = Rows(*arrays)
    return (rows[i] for i in range(len(rows)))


KINDS = (dataset, Rows, generator)
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
def test_training_on_batches_is_training_on_arrays(make_vae, images, kind):
    one, other = (make_vae(seed=3) for _ in range(2))
    other.set_weights(one.get_weights())
    one.fit(images, batch_size=4, shuffle=False, verbose=0)
    other.fit(kind(images), shuffle=False, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    expected = one.evaluate(images, batch_size=4, verbose=0)
    np.testing.assert_allclose(one.evaluate(kind(images), verbose=0), expected, rtol=1e-6)
    np.testing.assert_allclose(
        one.predict(kind(images), verbose=0), one.predict(images, verbose=0), atol=1e-6
    )


@each_kind
def test_weights_in_batches_are_weights(make_vae, images, kind):
    weight = np.arange(12) / 6.0
    one, other = (make_vae(seed=3) for _ in range(2))
    other.set_weights(one.get_weights())
    one.fit(images, sample_weight=weight, batch_size=4, shuffle=False, verbose=0)
    other.fit(kind(images, np.zeros(12), weight), shuffle=False, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@each_kind
def test_labels_come_with_the_images(images, kind):
    labels, both = np.arange(12) % 2, []
    for x in ((images, labels), (kind(images, labels),)):
        keras.utils.set_random_seed(1)
        vae = ConditionalVAE(2, 2, data_shape=(4, 4, 1), network="dense", hidden=(5,), seed=3)
        vae.compile("sgd", run_eagerly=True)
        vae.fit(*x, shuffle=False, verbose=0, **({"batch_size": 4} if len(x) > 1 else {}))
        both.append(vae.get_weights())
    for a, b in zip(*both, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@each_kind
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x * 255, "values in"),
        (lambda x: x - 0.5, "expected 0..1"),
        (lambda x: np.where(np.arange(12)[:, None, None, None] == 9, np.nan, x), "NaN or infinite"),
    ],
)
def test_wrong_values_in_a_late_batch(make_vae, images, complains, kind, change, words):
    x = np.concatenate([images[:8], change(images)[8:]])
    complains(lambda: make_vae().fit(kind(x), verbose=0), words)
    complains(lambda: make_vae().evaluate(kind(x), verbose=0), words)
    complains(lambda: make_vae().predict(kind(x), verbose=0), words)
    complains(lambda: make_vae().fit(images, validation_data=kind(x), verbose=0), words)
    complains(lambda: make_vae(graph=True).fit(kind(x), verbose=0), words)


@each_kind
@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_wrong_weights_in_a_late_batch(make_vae, images, complains, kind, wrong):
    weight = np.where(np.arange(12) == 9, wrong, 1.0)
    x = kind(images, np.zeros(12), weight)
    complains(lambda: make_vae().fit(x, verbose=0), "sample_weight", "expected finite numbers")
    complains(lambda: make_vae().fit(images, sample_weight=weight), "sample_weight has values in")


@each_kind
def test_wrong_labels_in_a_late_batch(images, complains, kind):
    vae = ConditionalVAE(2, 2, data_shape=(4, 4, 1), network="dense", hidden=(5,))
    vae.compile("sgd", run_eagerly=True)
    labels = np.where(np.arange(12) == 9, 2, 0)
    complains(lambda: vae.fit(kind(images, labels), verbose=0), "expected integers in 0..1")
    complains(lambda: vae.fit(kind(images), verbose=0), "batches of x alone", "expected (x, y)")
    complains(lambda: vae.fit(kind(images), labels, verbose=0), "y came beside x")


def test_a_py_dataset_keeps_its_workers_and_is_told_of_epochs(make_vae, images):
    rows = Rows(images, workers=2, max_queue_size=3)
    checked = batches.checked(rows, FORM)
    assert (checked.workers, checked.max_queue_size, checked.num_batches) == (2, 3, 3)
    make_vae().fit(rows, epochs=3, verbose=0)
    assert rows.ended >= 3  # Keras tells once more when it stops


@each_kind
def test_all_of_it_as_arrays(images, kind):
    x, y = batches.whole(kind(images, np.arange(12)), FORM)
    np.testing.assert_array_equal(x, images)
    np.testing.assert_array_equal(y, np.arange(12))
    assert batches.whole(kind(images), FORM)[1] is None


def test_what_never_ends_or_never_begins(images, complains):
    whole = lambda x: lambda: batches.whole(x, FORM)  # noqa: E731
    complains(whole(dataset(images).repeat()), "x repeats for ever")
    complains(whole(dataset(images).take(0)), "x is empty")
    complains(whole(generator(images[:0])), "x is empty")
    complains(whole(dataset(images).map(lambda x: {"x": x})), "x has elements")
    complains(whole(dataset(images).unbatch()), "x has batches of shape (4, 4, 1)")
    complains(whole(dataset((images * 255).astype("uint8"))), "dtype uint8", "expected floats")


# What else `fit` and `compile` do


def test_a_loss_that_is_no_number_ends_training(make_vae, images):
    vae = make_vae(learning_rate=1e30, graph=True, likelihood=Gaussian(0.1))
    seen = []
    count = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    with pytest.raises(FloatingPointError, match="standardised"):
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
