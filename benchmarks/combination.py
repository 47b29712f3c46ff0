"""What several scores of one model find together: parts, ways to combine them, one part less.

Each combination is a function of how the logarithms of the parts deviate from those of normal
images that the model was not trained on. `half_sided` is `scores.Fusion`.
"""

from __future__ import annotations

import argparse

import numpy as np

from vae_lib import scores
from vae_lib.scores.fusion import LEAST, SHRINKAGE

from . import leave_one_out, one_class, protocols, record

PARTS = scores.fusion.OF_IMAGES
BELOW = scores.Fusion.below


def run(arguments: argparse.Namespace) -> None:
    """Every class, every seed; write the record combination_<protocol>_<data>."""
    protocols.set_threads(arguments.threads)
    data = protocols.load(arguments)
    module = {"one_class": one_class, "leave_one_out": leave_one_out}[arguments.protocol]
    progress = protocols.Progress(
        arguments, data.sha256, protocol=arguments.protocol, epochs=module.EPOCHS
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
    settings |= {"below": BELOW, "shrinkage": SHRINKAGE, "seeds": arguments.seeds}
    settings |= {"threads": arguments.threads, "data": data.sha256}
    arguments.name = f"combination_{arguments.protocol}"
    print(
        record.write(
            protocols.result_name(arguments), settings, {"auroc": protocols.summary(by_seed)}
        )
    )


def part_logs(data: protocols.Data, normal: np.ndarray, module, seed: int) -> dict:
    """Logarithms of every part, of held-out normal images and of the test images."""
    train, held = protocols.hold_out(normal, seed)
    vae = protocols.train(train, module.EPOCHS, module.BATCH, seed)
    found = {}
    for name in PARTS:
        score = scores.get(name).fit(vae, train, held)
        for part, images in (("held", held), ("test", data.x_test)):
            found[f"{part}_{name}"] = np.log(score(vae, images) + LEAST)
    return found


def all_of(logs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each part, each combination of all parts, the last of them without each part in turn."""
    parts = {name: logs[f"test_{name}"] for name in PARTS}
    combined = {name: combine(logs, PARTS) for name, combine in COMBINATIONS.items()}
    combined["mean_of_two"] = mean(logs, ("relative", "neighbours"))
    less = {
        f"without_{one}": half_sided(logs, tuple(name for name in PARTS if name != one))
        for one in PARTS
    }
    return parts | combined | less


def mean(logs: dict, names: tuple[str, ...]) -> np.ndarray:
    """Of the standardised logarithms."""
    return _standardised(logs, names)[1].mean(axis=1)


def one_sided(logs: dict, names: tuple[str, ...]) -> np.ndarray:
    """Sum of squares of what is above the usual."""
    return (np.clip(_standardised(logs, names)[1], 0, None) ** 2).sum(axis=1)


def whitened(
    logs: dict, names: tuple[str, ...], below: float, shrinkage: float = SHRINKAGE
) -> np.ndarray:
    """Sum of squares after whitening, where what is below the usual counts `below` times.

    With `below` 1 it is a squared Mahalanobis distance, shrunk or not.
    """
    held, test = _standardised(logs, names)
    correlation = (1 - shrinkage) * held.T @ held / len(held) + shrinkage * np.eye(len(names))
    values, vectors = np.linalg.eigh(correlation)
    deviations = test @ (vectors / np.sqrt(np.maximum(values, LEAST))) @ vectors.T
    return (np.where(deviations < 0, below, 1) ** 2 * deviations**2).sum(axis=1)


def half_sided(logs: dict, names: tuple[str, ...]) -> np.ndarray:
    """What is below the usual counts half."""
    return whitened(logs, names, BELOW)


COMBINATIONS = {
    "mean": mean,
    "one_sided": one_sided,
    "whitened_one_sided": lambda logs, names: whitened(logs, names, 0.0),
    "mahalanobis": lambda logs, names: whitened(logs, names, 1.0),
    "half_sided_unshrunk": lambda logs, names: whitened(logs, names, BELOW, 0.0),
    "half_sided": half_sided,
}


def _standardised(logs: dict, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Held-out normal images and test images: (n, parts) each, in deviations of the former."""
    held, test = (
        np.stack([logs[f"{part}_{name}"] for name in names], axis=1) for part in ("held", "test")
    )
    location, scale = held.mean(axis=0), held.std(axis=0) + 1e-6
    return (held - location) / scale, (test - location) / scale
