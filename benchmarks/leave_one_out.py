"""All classes but one are normal, with their labels or without: test on the whole test set."""

from __future__ import annotations

import argparse

import numpy as np

from . import one_class, protocols, record

EPOCHS, BATCH = 30, 128
CHOSEN = {"without_labels": "neighbours", "with_labels": "fusion"}


def run(arguments: argparse.Namespace) -> None:
    """Every class left out, every seed; write the record leave_one_out_<data>.

    With labels there is one VAE a class, as `AnomalyDetector([vae, ...])` has them: the models are
    those of `one_class`, and an image's score is the smallest over the normal classes. The ensemble
    is one detector: the chosen score's logarithm, averaged over the models of all seeds.
    """
    protocols.set_threads(arguments.threads)
    data = protocols.load(arguments)
    progress = protocols.Progress(arguments, data.sha256, epochs=EPOCHS, batch=BATCH)
    of_classes = one_class.progress_of(arguments, data)
    without, labelled, training = [], [], []
    logs = {c: [] for c in data.classes}
    for seed in range(arguments.seeds):
        models = {c: one_class.class_scores(data, c, seed, of_classes) for c in data.classes}
        without.append({})
        labelled.append({})
        for c in data.classes:
            found = _without_labels(data, c, seed, progress)
            training.append(float(found["training"]))
            truth = data.y_test == c
            logs[c].append(np.log(found[CHOSEN["without_labels"]] + 1e-9))
            without[-1][c] = protocols.aurocs({name: found[name] for name in _compared()}, truth)
            others = [models[other] for other in data.classes if other != c]
            least = {n: np.min([model[n] for model in others], axis=0) for n in _compared()}
            labelled[-1][c] = protocols.aurocs(least, truth)
            print(f"leave_one_out, seed {seed}, class {c}: without labels {without[-1][c]}")
            print(f"  with labels {labelled[-1][c]}", flush=True)
    ensemble = {
        c: protocols.aurocs({CHOSEN["without_labels"]: np.mean(parts, axis=0)}, data.y_test == c)
        for c, parts in logs.items()
    }
    results = {
        "without_labels": protocols.summary(without),
        "with_labels": protocols.summary(labelled),
        "ensemble_without_labels": protocols.summary([ensemble]),
        "training_cpu_seconds": protocols.mean_and_most(training),
        "peak_mib": max(progress.peak_mib, of_classes.peak_mib),
    }
    settings = {**protocols.SETTINGS, "epochs": EPOCHS, "batch": BATCH, "chosen": CHOSEN}
    settings |= {"seeds": arguments.seeds, "threads": arguments.threads, "data": data.sha256}
    print(record.write(protocols.result_name(arguments), settings, results))


def _compared() -> tuple[str, ...]:
    """The scores of many classes: "auto" is for one."""
    return tuple(name for name in protocols.SCORES if name != "auto")


def _without_labels(
    data: protocols.Data, c: int, seed: int, progress: protocols.Progress
) -> dict[str, np.ndarray]:
    return progress.part(
        f"seed{seed}_without{c}",
        lambda: protocols.train_and_score(
            data, data.y_train != c, EPOCHS, BATCH, seed, _compared()
        ),
    )
