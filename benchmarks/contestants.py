"""The same convolutional VAE, trained in five ways; each takes batches and times its own steps.

Every contestant has 32 and 64 filters of 3 x 3 with stride 2, 16 latent dimensions, Bernoulli
pixels, Adam at 0.001, and shuffles 28 x 28 images itself, as a user of it would.
"""

from __future__ import annotations

import numpy as np

from . import record
from .race import timed

LATENT = 16
NAMES = ("fit", "fit_8", "train_vae", "override", "pytorch")
# Multiplications and additions of one forward pass for one image: encoder, heads, decoder
FORWARD_FLOPS = 2 * (
    14 * 14 * 9 * 32
    + 7 * 7 * 9 * 32 * 64
    + 3136 * LATENT * 2
    + LATENT * 3136
    + 7 * 7 * 9 * 64 * 32
    + 14 * 14 * 9 * 32
)


def load(path: str, n: int) -> np.ndarray:
    """The first n training images (n, 28, 28, 1), in 0..1, without importing TensorFlow."""
    with np.load(path) as file:
        x = file["x_train"]
    if len(x) < n or x.shape[1:] != (28, 28) or x.dtype != np.uint8:
        found, expected = f"{x.shape}, {x.dtype}", f"expected ({n} or more, 28, 28), uint8"
        raise record.Unusable(f"x_train of {path} is {found}; {expected}, since networks are fixed")
    return x[:n, ..., np.newaxis].astype("float32") / 255


def make(name: str, x: np.ndarray, batch: int, threads: int):
    """A function that trains for one epoch of x and returns its seconds."""
    if name == "pytorch":
        return _pytorch(x, batch, threads)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if name.startswith("fit"):  # fit_8: eight steps in one call of the graph
        return _fit(x, batch, steps_per_execution=8 if name == "fit_8" else 1)
    return {"train_vae": _train_vae, "override": _override}[name](x, batch)


def _fit(x: np.ndarray, batch: int, steps_per_execution: int):
    from vae_lib import VAE

    vae = VAE(LATENT)
    vae.compile(optimizer="adam", steps_per_execution=steps_per_execution)
    return lambda: timed(lambda: vae.fit(x, batch_size=batch, verbose=0))


def _train_vae(x: np.ndarray, batch: int):
    import keras
    import tensorflow as tf

    from vae_lib import VAE
    from vae_lib.training import train_vae

    vae, optimizer = VAE(LATENT), keras.optimizers.Adam()
    batches = tf.data.Dataset.from_tensor_slices(x).shuffle(len(x)).batch(batch).prefetch(2)
    return lambda: timed(lambda: train_vae(vae, batches, optimizer, epochs=1, verbose=0))


def _override(x: np.ndarray, batch: int):
    """The `train_step` override of the usual tutorials: tape, three metrics, a dict of results."""
    import keras
    import tensorflow as tf
    from keras import ops

    from vae_lib import networks

    class Tutorial(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder = networks.conv_encoder((28, 28, 1), LATENT)
            self.decoder = networks.conv_decoder((28, 28, 1), LATENT)
            self.seed_generator = keras.random.SeedGenerator(0)
            self.trackers = [keras.metrics.Mean(name=n) for n in ("loss", "reconstruction", "kl")]

        @property
        def metrics(self):
            return self.trackers

        def train_step(self, x):
            with tf.GradientTape() as tape:
                mean, log_var = self.encoder(x)
                eps = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
                logits = self.decoder(mean + ops.exp(0.5 * log_var) * eps)
                loss = keras.losses.binary_crossentropy(x, ops.sigmoid(logits))
                reconstruction = ops.mean(ops.sum(loss, axis=(1, 2)))
                kl = -0.5 * (1 + log_var - ops.square(mean) - ops.exp(log_var))
                kl = ops.mean(ops.sum(kl, axis=1))
                total = reconstruction + kl
            gradients = tape.gradient(total, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
            for tracker, value in zip(self.trackers, (total, reconstruction, kl), strict=True):
                tracker.update_state(value)
            return {tracker.name: tracker.result() for tracker in self.trackers}

    model = Tutorial()
    model.compile(optimizer="adam")
    return lambda: timed(lambda: model.fit(x, batch_size=batch, verbose=0))


def _pytorch(x: np.ndarray, batch: int, threads: int):
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten()
    )
    heads = nn.Linear(3136, 2 * LATENT)
    decoder = nn.Sequential(
        nn.Linear(LATENT, 3136),
        nn.ReLU(),
        nn.Unflatten(1, (64, 7, 7)),
        nn.ConvTranspose2d(64, 32, 3, 2, 1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 3, 2, 1, output_padding=1),
    )
    model = nn.ModuleList([encoder, heads, decoder])
    optimizer = torch.optim.Adam(model.parameters())
    images = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))

    def epoch() -> None:
        for index in torch.randperm(len(images)).split(batch):
            part = images[index]
            mean, log_var = heads(encoder(part)).chunk(2, dim=1)
            logits = decoder(mean + torch.exp(0.5 * log_var) * torch.randn_like(mean))
            sums = functional.binary_cross_entropy_with_logits(logits, part, reduction="sum")
            kl = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum()
            optimizer.zero_grad(set_to_none=True)
            ((sums + kl) / len(part)).backward()
            optimizer.step()

    return lambda: timed(epoch)
