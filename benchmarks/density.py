"""How well a VAE models MNIST: test negative log-likelihood, after Burda et al. (2016), table 1.

Pixels are drawn anew from their grey value in every epoch; the test images are drawn once. Training
goes in stages, each with more draws of z a step than the one before: the first, with one draw, is
the ordinary ELBO and costs least. Run the same command again after an interruption, and it goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from vae_lib import VAE, losses
from vae_lib.training import Resume

from . import protocols, record

BATCH = 100
STAGES = {  # k: (draws of z, epochs, learning rate from, to: along a cosine)
    1: [(1, 480, 1e-3, 1e-5)],
    50: [(1, 200, 1e-3, 7e-4), (8, 100, 7e-4, 1e-4), (50, 10, 2e-4, 2e-6)],
}


@keras.saving.register_keras_serializable(package="benchmarks")
class ImportanceWeightedVAE(VAE):
    """A VAE that is trained on the importance-weighted bound with `draws` of z; equation (4.7)."""

    draws = 1

    def call(self, x, training: bool = False):
        """As in VAE, and the bound while training."""
        if not training or self.draws == 1:
            return super().call(x, training)
        bound = losses.importance_weighted_bound(
            self, x, self.draws, seed=self.noise, chunk=self.draws
        )
        return {"bound": bound}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Negative bound, in nats: the mean over the batch."""
        if "bound" in y_pred:
            return -ops.mean(y_pred["bound"])
        return super().compute_loss(x, y, y_pred, sample_weight, training)


class Clock(keras.callbacks.Callback):
    """Processor and wall time of the training so far, and its memory, over all interruptions."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        nothing = {"cpu": 0.0, "wall": 0.0, "peak_mib": 0.0}
        self.before = json.loads(path.read_text()) if path.exists() else nothing
        self.start = (record.cpu_seconds(), time.perf_counter())

    def read(self) -> dict[str, float]:
        """Seconds and largest memory so far."""
        cpu, wall = record.cpu_seconds() - self.start[0], time.perf_counter() - self.start[1]
        return {
            "cpu": self.before["cpu"] + cpu,
            "wall": self.before["wall"] + wall,
            "peak_mib": max(self.before["peak_mib"], record.peak_memory()),
        }

    def on_epoch_end(self, epoch: int, logs=None):
        """Write them down, so that an interrupted run still counts."""
        record.write_whole(self.path, json.dumps(self.read()))


def train(vae: VAE, x: np.ndarray, k: int, folder: Path, seed: int) -> dict:
    """Run the stages of k that are not finished yet; seconds and memory of them all."""
    clock = Clock(folder / "clock.json")
    for number, (draws, epochs, rate, last) in enumerate(STAGES[k]):
        finished = folder / f"stage{number}.weights.h5"
        if finished.exists():
            vae.load_weights(finished)
            continue
        vae.draws = draws
        steps = epochs * (len(x) // BATCH)
        schedule = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=last / rate)
        vae.compile(optimizer=keras.optimizers.Adam(schedule))
        resume = Resume(folder / f"stage{number}", seed=seed + number)

        def binarise(step, batch, resume=resume):
            seed = tf.stack([resume.epoch, step])
            grey = tf.random.stateless_uniform(tf.shape(batch), seed=seed)
            return tf.cast(grey < batch, "float32")

        batches = resume.batches(x, BATCH).enumerate().map(binarise).prefetch(2)
        vae.fit(batches, epochs=epochs, shuffle=False, verbose=2, callbacks=[resume, clock])
        vae.save_weights(folder / "part.weights.h5")
        (folder / "part.weights.h5").rename(finished)
    return clock.read()


def evaluate(vae: VAE, x: np.ndarray, samples: int) -> np.ndarray:
    """Negative log-likelihood of each image, in nats, from `samples` draws of z."""
    values = []
    progress = keras.utils.Progbar(len(x), unit_name="image")
    for start in range(0, len(x), BATCH):
        batch = tf.constant(x[start : start + BATCH])
        bound = losses.importance_weighted_bound(vae, batch, samples, seed=start, chunk=50)
        values.append(-bound.numpy())
        progress.update(start + len(batch))
    return np.concatenate(values)


def run(arguments: argparse.Namespace) -> None:
    """Train, evaluate, write the record density_k<k>."""
    seed, k = arguments.seed, arguments.k
    protocols.set_threads(arguments.threads)
    keras.utils.set_random_seed(seed)
    dataset = protocols.load(arguments)
    key = {"k": k, "seed": seed, "hidden": arguments.hidden, "stages": STAGES[k]}
    progress = protocols.Progress(arguments, dataset.sha256, **key)
    vae = ImportanceWeightedVAE(
        latent_dim=50,
        data_shape=dataset.x_train.shape[1:],
        network="dense",
        hidden=(arguments.hidden, arguments.hidden),
        seed=seed,
    )
    spent = train(vae, dataset.x_train, k, progress.folder, seed)
    draw = np.random.RandomState(seed).random_sample(dataset.x_test.shape)
    test = (draw < dataset.x_test).astype("float32")
    start = record.cpu_seconds()
    results = {
        "nll": nll_with_error(vae, test, arguments.samples),
        "negative_elbo": nll_with_error(vae, test, 1),
        "training_cpu_minutes": round(spent["cpu"] / 60, 2),
        "training_wall_minutes": round(spent["wall"] / 60, 2),
        "training_peak_mib": spent["peak_mib"],
        "evaluation_cpu_minutes": round((record.cpu_seconds() - start) / 60, 2),
    }
    settings = {
        "k": k,
        "seed": seed,
        "samples": arguments.samples,
        "threads": arguments.threads,
        "hidden": [arguments.hidden] * 2,
        "latent_dim": vae.latent_dim,
        "batch": BATCH,
        "stages": STAGES[k],
        "parameters": vae.count_params(),
        "data": dataset.sha256,
    }
    print(record.write(f"density_k{k}", settings, results))


def nll_with_error(vae: VAE, x: np.ndarray, samples: int) -> dict[str, float]:
    """Mean over the images, in nats, and its standard error."""
    nll = evaluate(vae, x, samples)
    return {"nats": float(nll.mean()), "standard_error": float(nll.std() / len(nll) ** 0.5)}
