"""Peak memory of one epoch of training, and of the importance-weighted bound, each in its process.

The figure is the process's largest resident size: libraries, data and work together. `libraries`
is the size once everything is imported, built and loaded, before the first step.
"""

from __future__ import annotations

import argparse

from . import contestants, record
from .race import CONTEXT

BATCHES = (16, 64, 256, 1024)
DRAWS = (1, 50, 500, 5000)
IMAGES = 4096


def run(arguments: argparse.Namespace) -> None:
    """Measure all, write the record memory."""

    def alone(function, *values) -> dict[str, float]:
        with CONTEXT.Pool(1) as pool:
            return pool.apply(function, (*values, arguments.data, arguments.threads))

    training = {
        name: {str(batch): alone(training_peak, name, batch) for batch in BATCHES}
        for name in contestants.NAMES
    }
    bound = {str(k): alone(bound_peak, k) for k in DRAWS}
    settings = {"threads": arguments.threads, "images": IMAGES, "bound_images": 100, "chunk": 10}
    print(record.write("memory", settings, {"training_mib": training, "bound_mib": bound}))


def training_peak(name: str, batch: int, path: str, threads: int) -> dict[str, float]:
    """MiB before the first step, and at the peak of one epoch."""
    epoch = contestants.make(name, contestants.load(path, IMAGES), batch, threads)
    before = record.peak_memory()
    epoch()
    return {"libraries": before, "peak": record.peak_memory()}


def bound_peak(k: int, path: str, threads: int) -> dict[str, float]:
    """MiB before and after the bound of a hundred images from k draws."""
    import tensorflow as tf

    from vae_lib import VAE, losses

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    vae, x = VAE(contestants.LATENT), contestants.load(path, 100)
    before = record.peak_memory()
    losses.importance_weighted_bound(vae, x, k)
    return {"libraries": before, "peak": record.peak_memory()}
