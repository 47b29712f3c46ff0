"""What several scores of one model find together: parts, ways to combine them, one part less.

A fifth of the normal images is kept from training, and tells what is usual: mean and covariance of
the logarithms of the parts. Each combination is a function of the deviations from it.
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np
from keras import ops
from sklearn.covariance import LedoitWolf

from vae_lib import scores

from . import leave_one_out, one_class, protocols, record

HELD = 0.2  # of the normal images of the training part
BELOW = 0.5  # what a deviation below the usual counts beside one above it


@dataclasses.dataclass(eq=False)
class WorstPlace(scores.SquaredError):
    """The largest squared error after averaging over `size` x `size` pixels: of a small fault."""

    size: int = 5
    has_map = False

    def terms(self, vae, x):
        """One an image."""
        errors = ops.average_pool(super().terms(vae, x), self.size, strides=1, padding="same")
        return ops.max(errors, axis=(1, 2, 3))


PARTS = {
    "reconstruction": scores.SquaredError,
    "local": scores.LocalError,
    "local_7": lambda: scores.LocalError(7),
    "worst_place": WorstPlace,
    "relative": scores.RelativeError,
    "latent": scores.LatentDistance,
    "activations": scores.ActivationDistance,
    "neighbours": scores.NeighbourDistance,
    "kl": scores.KL,
}
OLD = ("relative", "neighbours")  # the fusion of chapters 6 and 7


def run(arguments: argparse.Namespace) -> None:
    """Every class, every seed; write the record combination_<protocol>_<data>."""
    protocols.set_threads(arguments.threads)
    data = protocols.load(arguments)
    module = {"one_class": one_class, "leave_one_out": leave_one_out}[arguments.protocol]
    progress = protocols.Progress(
        arguments, data.sha256, protocol=arguments.protocol, epochs=module.EPOCHS, held=HELD
    )
    one, by_seed = arguments.protocol == "one_class", []
    for seed in range(arguments.seeds):
        by_seed.append({})
        for c in data.classes:
            normal = data.x_train[(data.y_train == c) == one]
            logs = progress.part(
                f"seed{seed}_class{c}",
                lambda normal=normal, seed=seed: part_logs(data, normal, module, seed),
            )
            truth = (data.y_test == c) != one
            by_seed[-1][c] = protocols.aurocs(all_of(logs), truth)
            shown = {name: by_seed[-1][c][name] for name in COMBINATIONS}
            print(f"combination, seed {seed}, class {c}: {shown}", flush=True)
    settings = {**protocols.SETTINGS, "epochs": module.EPOCHS, "batch": module.BATCH}
    settings |= {"held": HELD, "below": BELOW, "seeds": arguments.seeds}
    settings |= {"threads": arguments.threads, "data": data.sha256}
    arguments.name = f"combination_{arguments.protocol}"
    print(
        record.write(
            protocols.result_name(arguments), settings, {"auroc": protocols.summary(by_seed)}
        )
    )


def part_logs(data: protocols.Data, normal: np.ndarray, module, seed: int) -> dict:
    """Logarithms of every part, of held-out normal images and of the test images."""
    order = np.random.RandomState(seed).permutation(len(normal))
    held, train = np.split(normal[order], [max(2, int(HELD * len(normal)))])
    vae = protocols.train(train, module.EPOCHS, module.BATCH, seed)
    found = {}
    for name, make in PARTS.items():
        score = make().fit(vae, train)
        for part, images in (("held", held), ("test", data.x_test)):
            found[f"{part}_{name}"] = np.log(score(vae, images) + 1e-9)
    return found


def all_of(logs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each part, each combination of all parts, the last of them without each part in turn."""
    parts = {name: logs[f"test_{name}"] for name in PARTS}
    combined = {name: combine(logs, tuple(PARTS)) for name, combine in COMBINATIONS.items()}
    combined["old_fusion"] = mean(logs, OLD)
    less = {
        f"without_{one}": half_sided(logs, tuple(name for name in PARTS if name != one))
        for one in PARTS
    }
    return parts | combined | less


def mean(logs: dict, names: tuple[str, ...]) -> np.ndarray:
    """Of the standardised logarithms: equation (7.2)."""
    return _standardised(logs, names).mean(axis=1)


def one_sided(logs: dict, names: tuple[str, ...]) -> np.ndarray:
    """Sum of squares of what is above the usual."""
    return (np.clip(_standardised(logs, names), 0, None) ** 2).sum(axis=1)


def whitened(logs: dict, names: tuple[str, ...], below: float) -> np.ndarray:
    """Sum of squares after whitening, where what is below the usual counts `below` times.

    The whitening C^(-1/2) leaves each part as near to itself as it can (ZCA; Kessy et al., 2018).
    With `below` 1 it is the squared Mahalanobis distance.
    """
    held, test = (_matrix(logs, part, names) for part in ("held", "test"))
    estimate = LedoitWolf().fit(held)
    values, vectors = np.linalg.eigh(estimate.covariance_)
    deviations = (test - estimate.location_) @ (vectors / np.sqrt(values)) @ vectors.T
    return (np.where(deviations < 0, below, 1) ** 2 * deviations**2).sum(axis=1)


def half_sided(logs: dict, names: tuple[str, ...]) -> np.ndarray:
    """What is below the usual counts half."""
    return whitened(logs, names, BELOW)


COMBINATIONS = {
    "mean": mean,
    "one_sided": one_sided,
    "whitened_one_sided": lambda logs, names: whitened(logs, names, 0.0),
    "mahalanobis": lambda logs, names: whitened(logs, names, 1.0),
    "half_sided": half_sided,
}


def _matrix(logs: dict, part: str, names: tuple[str, ...]) -> np.ndarray:
    return np.stack([logs[f"{part}_{name}"] for name in names], axis=1)


def _standardised(logs: dict, names: tuple[str, ...]) -> np.ndarray:
    held, test = (_matrix(logs, part, names) for part in ("held", "test"))
    return (test - held.mean(axis=0)) / (held.std(axis=0) + 1e-6)
