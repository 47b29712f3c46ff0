"""Images scored a second, and milliseconds for one: the detector beside PyOD's VAE.

All are trained briefly on the same images, since speed does not depend on how well.
"""

from __future__ import annotations

import argparse
import statistics

from . import contestants, record
from .race import race, timed

NAMES = ("dense", "conv", "pyod")
TRAIN, IMAGES, SINGLES = 2000, 4000, 200


def run(arguments: argparse.Namespace) -> None:
    """Time all, write the record scoring_speed."""
    table = {}
    for kind, images in (("batch", IMAGES), ("single", SINGLES)):
        makers = {
            name: (contestant, name, kind, arguments.data, arguments.threads) for name in NAMES
        }
        seconds = {
            name: statistics.median(times) / images
            for name, times in race(makers, arguments.rounds).items()
        }
        if kind == "batch":
            table["images_per_second"] = {name: round(1 / s) for name, s in seconds.items()}
        else:
            table["single_image_ms"] = {name: round(1000 * s, 2) for name, s in seconds.items()}
    settings = {"threads": arguments.threads, "rounds": arguments.rounds, "images": IMAGES}
    print(record.write("scoring_speed", settings, table))


def contestant(name: str, kind: str, path: str, threads: int):
    """A function that scores all images in one call, or some one by one, and times it."""
    x = contestants.load(path, TRAIN + IMAGES)
    score = _pyod(x, threads) if name == "pyod" else _detector(name, x, threads)
    x = x[TRAIN:]
    if kind == "batch":
        return lambda: timed(lambda: score(x))
    return lambda: timed(lambda: [score(x[i : i + 1]) for i in range(SINGLES)])


def _detector(network: str, x, threads: int):
    import tensorflow as tf

    from vae_lib import VAE, AnomalyDetector, Gaussian

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    vae = VAE(16, Gaussian(0.2), network=network)
    vae.compile(optimizer="adam")
    vae.fit(x[:TRAIN], epochs=1, verbose=0)
    return AnomalyDetector(vae, "relative").score


def _pyod(x, threads: int):
    import torch
    from pyod.models.vae import VAE

    torch.set_num_threads(threads)
    flat = x.reshape(len(x), -1)
    vae = VAE(epoch_num=1, latent_dim=16, encoder_neuron_list=[256], decoder_neuron_list=[256])
    vae.fit(flat[:TRAIN])
    return lambda images: vae.decision_function(images.reshape(len(images), -1))
