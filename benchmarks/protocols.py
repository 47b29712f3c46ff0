"""What the full-size detection benchmarks share: settings, data, the scores of one trained VAE.

Settings, and the score of each protocol, were chosen on the letters and symbols of `glyphs`, by the
same commands, and on no image of a data set in the published tables; what had been seen of digits
before, section 9.7 says.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from vae_lib import VAE, Gaussian, data, scores

from . import record

SETTINGS = {"network": "dense", "hidden": [256], "latent_dim": 16, "sigma": 0.2, "rate": 1e-3}
HELD_OUT = 0.1, 30  # of the normal images: this share, and at least so many where that is a third
LEAST = 10  # training images of a class: enough to look for five neighbours
SCORES = (
    *("reconstruction", "local", "relative", "largest"),
    *("latent", "activations", "neighbours", "kl", "fusion", "typicality", "auto"),
)


class Data(NamedTuple):
    """Images in 0..1, (n, height, width, channels), integer classes (n,), and the file's hash."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    sha256: str

    @property
    def classes(self) -> list[int]:
        """Those of the training images, sorted."""
        return [int(c) for c in np.unique(self.y_train)]


def read(path: str) -> Data:
    """The data set in a file. Raises `record.Unusable` for one that is none."""
    try:
        arrays = data.load(path)
    except (ValueError, OSError) as error:
        raise record.Unusable(f"{path}: {error}") from error
    return Data(*arrays, hashlib.sha256(Path(path).read_bytes()).hexdigest())


def load(arguments: argparse.Namespace) -> Data:
    """The data set of `--data`, fit for every protocol.

    Raises `record.Unusable`, before hours have gone by, for fewer than two classes, for one that is
    in one part only, and for one of too few training images.
    """
    found = read(arguments.data)
    classes, counts = np.unique(found.y_train, return_counts=True)
    if len(classes) < 2:
        raise record.Unusable("y_train of --data has one class; expected two or more")
    if odd := sorted(set(classes.tolist()) ^ set(found.y_test.tolist())):
        raise record.Unusable(f"class {odd[0]} is in one of y_train and y_test; expected in both")
    if counts.min() < LEAST:
        few = f"class {classes[counts.argmin()]} has {counts.min()} training images"
        raise record.Unusable(f"{few}; expected {LEAST} or more")
    return found


def train(x: np.ndarray, epochs: int, batch: int, seed: int, **changes) -> VAE:
    """The VAE of all benchmarks, trained on x; `changes` are other settings than `SETTINGS`."""
    keras.utils.set_random_seed(seed)
    settings = SETTINGS | changes
    rate, sigma = settings.pop("rate"), settings.pop("sigma")
    settings = {"likelihood": Gaussian(sigma)} | settings
    vae = VAE(data_shape=x.shape[1:], **settings)
    steps = epochs * -(-len(x) // batch)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.01)
    vae.compile(optimizer=keras.optimizers.Adam(schedule))
    vae.fit(x, epochs=epochs, batch_size=batch, verbose=0)
    return vae


def hold_out(normal: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images to train on, and a few that tell what is usual; `HELD_OUT` says how many."""
    share, least = HELD_OUT
    n = max(int(share * len(normal)), min(least, len(normal) // 3))
    order = np.random.RandomState(seed).permutation(len(normal))
    return normal[order[n:]], normal[order[:n]]


def all_scores(
    vae: VAE,
    normal: tuple[np.ndarray, np.ndarray],
    x: np.ndarray,
    chosen: tuple[str, ...] | None = None,
) -> dict[str, np.ndarray]:
    """Each chosen score, or all of `SCORES`, of the images x; they learn from `hold_out`."""
    chosen = SCORES if chosen is None else chosen
    return {name: scores.get(name).fit(vae, *normal)(vae, x) for name in chosen}


def train_and_score(
    data: Data,
    is_normal: np.ndarray,
    epochs: int,
    batch: int,
    seed: int,
    chosen: tuple[str, ...] | None = None,
    **changes,
) -> dict[str, np.ndarray | float]:
    """`all_scores` of the test images after a training on those that `is_normal` marks.

    The CPU seconds of the training are there too: `training`.
    """
    normal, start = hold_out(data.x_train[is_normal], seed), record.cpu_seconds()
    vae = train(normal[0], epochs, batch, seed, **changes)
    seconds = record.cpu_seconds() - start
    return {**all_scores(vae, normal, data.x_test, chosen), "training": seconds}


def aurocs(found: dict[str, np.ndarray], is_anomaly: np.ndarray) -> dict[str, float]:
    """Area under the ROC curve of each score."""
    return {name: round(roc_auc_score(is_anomaly, v), 5) for name, v in found.items()}


def summary(by_seed: list[dict[int, dict[str, float]]]) -> dict[str, dict]:
    """For each score: mean over classes and seeds, the mean of each seed, and of each class."""
    table = {}
    for name in by_seed[0][min(by_seed[0])]:
        values = np.array([[row[name] for row in classes.values()] for classes in by_seed])
        table[name] = {
            "mean": round(float(values.mean()), 4),
            "by_seed": values.mean(axis=1).round(4).tolist(),
            "by_class": dict(
                zip(map(str, by_seed[0]), values.mean(axis=0).round(4).tolist(), strict=True)
            ),
        }
    return table


def mean_and_most(values: list[float]) -> dict[str, float]:
    """Of seconds, for the record."""
    return {"mean": round(float(np.mean(values)), 1), "most": round(float(np.max(values)), 1)}


class Progress:
    """Finished parts of a run, kept in a folder of its own, so that a run may be interrupted.

    Another folder serves other code, data, settings, numbers of threads or versions of packages.
    """

    def __init__(self, arguments: argparse.Namespace, sha256: str, **settings):
        key = {"library": record.library(), "benchmarks": record.benchmarks(), "data": sha256}
        key |= {"versions": record.versions(), "threads": arguments.threads}
        text = json.dumps({**key, **SETTINGS, **settings}, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        self.folder = Path(arguments.work) / f"{arguments.name}_{digest}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.peak_mib = 0.0  # the largest of all parts, whichever run they are of

    def part(self, name: str, work: Callable[[], dict[str, np.ndarray | float]]) -> dict:
        """What `work` gives, or gave in an earlier run, its `seconds` and the `peak` in MiB."""
        path = self.folder / f"{name}.npz"
        if not path.exists():
            start = time.perf_counter()
            found = work()
            found["seconds"] = time.perf_counter() - start
            found["peak"] = record.peak_memory()
            temporary = path.with_suffix(".part.npz")
            np.savez(temporary, **found)
            temporary.replace(path)
        with np.load(path) as file:
            found = dict(file)
        self.peak_mib = max(self.peak_mib, float(found["peak"]))
        return found


def check_detectors(chosen: Iterable[str], known: tuple[str, ...]) -> None:
    """Raise `record.Unusable` for names of `--detectors` that are none."""
    if unknown := sorted({*chosen} - {*known}):
        raise record.Unusable(f"--detectors has {unknown}; expected of {known}")


def set_threads(threads: int) -> None:
    """Before TensorFlow's first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def result_name(arguments: argparse.Namespace) -> str:
    """Of the record: protocol and data set."""
    return f"{arguments.name}_{Path(arguments.data).stem}"
