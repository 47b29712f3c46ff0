"""One class is normal: train on all its training images, test on the whole test set."""

from __future__ import annotations

import argparse

import numpy as np

from . import protocols, record

EPOCHS, BATCH = 40, 64
CHOSEN = "auto"


def class_scores(
    data: protocols.Data, c: int, seed: int, progress: protocols.Progress
) -> dict[str, np.ndarray]:
    """Every score of all test images under the model of class c, and its seconds of training."""
    return progress.part(
        f"seed{seed}_class{c}",
        lambda: protocols.train_and_score(data, data.y_train == c, EPOCHS, BATCH, seed),
    )


def progress_of(arguments: argparse.Namespace, data: protocols.Data) -> protocols.Progress:
    """Shared with `leave_one_out`, which uses the same models when it has labels."""
    shared = argparse.Namespace(**{**vars(arguments), "name": "one_class"})
    return protocols.Progress(shared, data.sha256, epochs=EPOCHS, batch=BATCH)


def run(arguments: argparse.Namespace) -> None:
    """Every class, every seed; write the record one_class_<data>."""
    protocols.set_threads(arguments.threads)
    data = protocols.load(arguments)
    progress = progress_of(arguments, data)
    by_seed, training = [], []
    for seed in range(arguments.seeds):
        rows = {}
        for c in data.classes:
            found = class_scores(data, c, seed, progress)
            training.append(float(found["training"]))
            values = {name: found[name] for name in protocols.SCORES}
            rows[c] = protocols.aurocs(values, data.y_test != c)
            print(f"one_class, seed {seed}, class {c}: {rows[c]}", flush=True)
        by_seed.append(rows)
    results = {
        "auroc": protocols.summary(by_seed),
        "training_cpu_seconds": protocols.mean_and_most(training),
        "peak_mib": progress.peak_mib,
    }
    settings = {**protocols.SETTINGS, "epochs": EPOCHS, "batch": BATCH, "chosen": CHOSEN}
    settings |= {"seeds": arguments.seeds, "threads": arguments.threads, "data": data.sha256}
    print(record.write(protocols.result_name(arguments), settings, results))
