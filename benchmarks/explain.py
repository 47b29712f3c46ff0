"""Whose explanation names the column of a cell that was swapped? Tables as in `tables`.

In held-out normal rows one cell each is swapped with that of another such row. An explanation is
right if it gives this column the largest share. Some swaps change next to nothing, so those that
move the cell by a standard deviation or more are also counted by themselves. One VAE serves ours.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

from . import protocols, record, tables

SWAPS = 200  # of a table and seed
LARGE = 1.0  # standard deviations
FIGURES = ("first", "first_of_large")


def run(arguments: argparse.Namespace) -> None:
    """Every explanation on every table and seed; write the record explain_<folder>."""
    files = tables.found(Path(arguments.data))
    protocols.set_threads(arguments.threads)
    progress = protocols.Progress(
        arguments, tables.digest(files), swaps=SWAPS, recipe=record.recipe()
    )
    by_table = {}
    for path in files:
        x, y = tables.read(path)
        seeds = []
        for seed in range(arguments.seeds):
            train, test, truth = tables.split(x, y, seed)
            part = lambda rows=train, new=test[~truth], seed=seed: measure(rows, new, seed)  # noqa: E731
            found = progress.part(f"{path.stem}_seed{seed}", part)
            seeds.append({n: found[n] for n in found if n not in ("seconds", "peak")})
        by_table[path.stem] = seeds
        print(path.stem, {n: round(float(v[1]), 2) for n, v in seeds[0].items()}, flush=True)
    settings = {"seeds": arguments.seeds, "threads": arguments.threads, "swaps": SWAPS}
    settings |= {"large": LARGE, "data": tables.digest(files)}
    print(record.write(protocols.result_name(arguments), settings, summary(by_table)))


def measure(train: np.ndarray, normal: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """For each explanation how often it is right: of all swaps, and of the large ones."""
    rows, swapped, moved = swaps(normal, train.std(axis=0), seed)
    large = moved >= LARGE
    found = {}
    for name, explain in explanations(train, seed).items():
        right = np.asarray(explain(rows)).argmax(axis=1) == swapped
        found[name] = np.array([right.mean(), right[large].mean()])
    return found


def swaps(
    normal: np.ndarray, deviations: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows with a cell from another row, its column, and by how many deviations it has moved."""
    rng = np.random.RandomState(seed)
    rows, columns, moved = [], [], []
    varying = np.flatnonzero(deviations > 0)
    while len(rows) < SWAPS:
        one, other = rng.randint(len(normal), size=2)
        column = rng.choice(varying)
        change = abs(normal[one, column] - normal[other, column]) / deviations[column]
        if change > 0:
            row = normal[one].copy()
            row[column] = normal[other, column]
            rows.append(row)
            columns.append(column)
            moved.append(change)
    return np.array(rows), np.array(columns), np.array(moved)


def explanations(train: np.ndarray, seed: int) -> dict[str, Callable]:
    """By name, functions from rows (n, features) to shares (n, features)."""
    from vae_lib import AnomalyDetector, scores
    from vae_lib import explanations as ours

    detector = AnomalyDetector(seed=seed).fit(train)
    ((model, joint),) = detector._now.views
    squares = scores.get("reconstruction")
    pca = PCA(0.95).fit(train)
    gauss = LedoitWolf().fit(train)
    nearest = NearestNeighbors(n_neighbors=3).fit(train)
    forest = IsolationForest(random_state=seed).fit(train)
    usual, names = ours.usual_values(train, range(train.shape[1])), range(train.shape[1])

    def replaced(score: Callable) -> Callable:
        return lambda rows: ours.shares(score, rows, usual, names)

    return {
        "vae_lib": detector.explain,
        "joint_heatmap": lambda rows: joint.map(model, rows),
        "reconstruction_heatmap": lambda rows: squares.map(model, rows),
        "pca_residual": lambda rows: (rows - pca.inverse_transform(pca.transform(rows))) ** 2,
        # each column's squared deviation from what the others predict, over its variance
        "gaussian_conditional": lambda rows: (
            ((rows - gauss.location_) @ gauss.precision_) ** 2 / np.diag(gauss.precision_)
        ),
        "deviation": lambda rows: np.abs((rows - train.mean(axis=0)) / (train.std(axis=0) + 1e-9)),
        "knn_3_replaced": replaced(lambda rows: nearest.kneighbors(rows)[0].mean(axis=1)),
        "isolation_forest_replaced": replaced(lambda rows: -forest.score_samples(rows)),
    }


def summary(by_table: dict[str, list[dict]]) -> dict[str, dict]:
    """For each explanation its means over tables and seeds, and those of each seed and table."""
    names = next(iter(by_table.values()))[0]
    found = {}
    for name in names:
        right = np.array([[seed[name] for seed in seeds] for seeds in by_table.values()])
        found[name] = {
            **dict(zip(FIGURES, right.mean(axis=(0, 1)).round(4).tolist(), strict=True)),
            "first_by_seed": right[..., 0].mean(axis=0).round(4).tolist(),
            "first_of_large_by_seed": right[..., 1].mean(axis=0).round(4).tolist(),
            "by_table": dict(
                zip(by_table, right[..., 0].mean(axis=1).round(4).tolist(), strict=True)
            ),
        }
    return found
