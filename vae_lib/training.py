"""Training in the open, and the callbacks that real training needs.

`train_vae` is what `fit` does, without what `fit` adds: use it to learn, and `fit` to work.
"""

from __future__ import annotations

import math

import keras
import numpy as np
import tensorflow as tf

from . import losses
from .checks import check_count, check_input
from .model import VAE


def train_step(model: VAE, x, optimizer: keras.Optimizer):
    """One step of gradient descent on a batch; returns its loss in nats per example."""
    with tf.GradientTape() as tape:
        loss = losses.compute_loss(model, x)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


@tf.function(reduce_retracing=True)
def _compiled_step(model: VAE, x, optimizer: keras.Optimizer):
    """One graph for full batches, one for a shorter last one; later calls use them again."""
    return train_step(model, x, optimizer)


def train_vae(
    model: VAE, dataset: tf.data.Dataset, optimizer: keras.Optimizer, epochs: int, verbose: int = 1
) -> dict[str, list[float]]:
    """Train on batches of x; returns loss, reconstruction and kl of each epoch, in nats.

    From the same seed and batches it gives the numbers of `fit`. `verbose` is Keras's: 0 is
    silent, 1 a progress bar, 2 a line an epoch.
    """
    check_input(dataset, model.data_shape, model.likelihood.unit_interval, "dataset")
    check_count("epochs", epochs)
    optimizer.build(model.trainable_variables)  # tf.function may not create variables later
    terms = {"reconstruction": model.reconstruction_mean, "kl": model.kl_mean}
    history = {name: [] for name in ("loss", *terms)}
    steps = int(dataset.cardinality())
    steps = steps if steps > 0 else None  # tf.data does not know the length of every pipeline
    for epoch in range(epochs):
        total = count = 0
        for term in terms.values():
            term.reset_state()
        if verbose:
            print(f"Epoch {epoch + 1}/{epochs}")
        progress = keras.utils.Progbar(steps, verbose=verbose, stateful_metrics=list(history))
        for number, x in enumerate(dataset, start=1):
            total += _compiled_step(model, x, optimizer) * len(x)
            count += len(x)
            if verbose:  # reading the means makes each step wait
                progress.update(number, values=_means(total / count, terms), finalize=False)
        for name, value in _means(total / count, terms):
            history[name].append(value)
        progress.update(number, values=_means(total / count, terms), finalize=True)
    return history


def _means(loss, terms: dict[str, keras.metrics.Metric]) -> list[tuple[str, float]]:
    return [("loss", float(loss)), *((name, float(term.result())) for name, term in terms.items())]


class KLWarmUp(keras.callbacks.Callback):
    """Let beta grow linearly from 0 to `beta` over the first `epochs`, against posterior collapse.

    Bowman et al. (2016), "Generating Sentences from a Continuous Space". Losses of different
    epochs do not compare until the warm-up is over; reconstruction and kl always do.
    """

    def __init__(self, epochs: int, beta: float = 1.0):
        super().__init__()
        check_count("epochs", epochs)
        self.epochs, self.beta = epochs, beta

    def on_epoch_begin(self, epoch: int, logs=None):
        """Set beta for this epoch."""
        self.model.beta.assign(self.beta * min(1.0, epoch / self.epochs))


class StopOnNaN(keras.callbacks.Callback):
    """Stop with a FloatingPointError as soon as the loss is NaN or infinite."""

    def on_epoch_begin(self, epoch: int, logs=None):
        """Remember where we are."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs=None):
        """Look at the running loss, which stays NaN once a batch was."""
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(
                f"the loss became {float(logs['loss'])} at step {batch + 1} of epoch "
                f"{self.epoch + 1}; try a smaller learning rate, clipnorm=1.0 in the optimizer, or "
                "a larger min_sigma of a Gaussian likelihood, and look for NaN in the data"
            )


class Resume(keras.callbacks.BackupAndRestore):
    """Back up after each epoch, so that an interrupted `fit` goes on where that epoch ended.

    Run the same script again and it ends with the result of an uninterrupted run: the noise of an
    epoch, and the order of `batches`, follow from the seed and the number of the epoch alone.
    """

    def __init__(self, folder: str, seed: int = 0):
        super().__init__(str(folder), double_checkpoint=True)
        self.seed = seed
        self.epoch = tf.Variable(0, dtype="int64")

    def batches(self, x: np.ndarray, batch_size: int = 32) -> tf.data.Dataset:
        """Batches of x in an order that is new in every epoch, and known from its number."""

        def order(_):
            seed = tf.stack([tf.constant(self.seed, "int64"), self.epoch])
            return tf.random.experimental.stateless_shuffle(tf.range(len(x)), seed=seed)

        index = tf.data.Dataset.range(1).map(order).unbatch().batch(batch_size)
        x = tf.constant(x)
        return index.map(lambda i: tf.gather(x, i)).prefetch(1)

    def on_epoch_begin(self, epoch: int, logs=None):
        """Start the epoch's noise and order from its number."""
        self.epoch.assign(epoch)
        self.model.noise.state.assign([self.seed, epoch])
        super().on_epoch_begin(epoch, logs)
