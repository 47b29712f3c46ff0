"""Tables: half of the normal rows train, the others and all anomalies test; ours beside rivals.

A table is an .npz of `X` (n, features) and `y` (n,), 1 for an anomaly, as ADBench has them. Of more
than 5,000 rows as many are drawn. The rivals get columns standardised by the training rows, ours
standardises them itself; the rivals' settings are the packages' own.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
from pathlib import Path

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from . import peers, protocols, record
from .race import CONTEXT

MOST = 5000  # rows of a table
LEAST = 20  # normal rows of a table
OURS = ("vae_lib_linear", "vae_lib_one_model", "vae_lib")
NAMES = (*OURS, "knn_5", "knn_3", "lof", "isolation_forest", "pca")
OF_PYOD = ("ecod", "pyod_vae", "pyod_autoencoder")
SETTINGS = {"network": "dense", "hidden": (64,), "latent_dim": 16}
CHOSEN = "joint"
MODELS = 3  # whose log-scores are averaged
MEASURES = {"auroc": roc_auc_score, "average_precision": average_precision_score}


def run(arguments: argparse.Namespace) -> None:
    """Every detector on every table and seed; write the record tables_<folder>."""
    files = found(Path(arguments.data))
    for path in files:
        read(path)  # what is no table is told before hours have gone by
    chosen, by_name = arguments.detectors or names(), {}
    protocols.check_detectors(chosen, NAMES + OF_PYOD)
    for name in chosen:
        with CONTEXT.Pool(1) as pool:
            by_name[name] = pool.apply(measure, (name, files, arguments))
        print(f"{name}: {mean_of(by_name[name], 'auroc')}", flush=True)
    settings = {**SETTINGS, "chosen": CHOSEN, "models": MODELS, "seeds": arguments.seeds}
    settings |= {"threads": arguments.threads, "most": MOST, "data": digest(files)}
    print(record.write(protocols.result_name(arguments), settings, summary(by_name)))


def names() -> tuple[str, ...]:
    """All detectors whose packages are installed."""
    if importlib.util.find_spec("pyod"):
        return NAMES + OF_PYOD
    print(f"PyOD is not installed (benchmarks/requirements.txt): without {', '.join(OF_PYOD)}")
    return NAMES


def found(folder: Path) -> list[Path]:
    """The tables in a folder, by name."""
    files = sorted(folder.glob("*.npz")) if folder.is_dir() else []
    if not files:
        raise record.Unusable(f"{folder} has no table; expected a folder of .npz files")
    return files


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """X as floats, y as booleans. Raises `record.Unusable` for a file that has not both."""
    try:
        with np.load(path) as file:
            x, y = file["X"].astype("float64"), file["y"].ravel()
    except (KeyError, ValueError, OSError) as error:
        raise record.Unusable(f"{path.name}: {error}; expected X and y, numbers") from error
    if x.ndim != 2 or len(x) != len(y) or not np.isfinite(x).all():
        shapes = f"X {x.shape} and y {y.shape}"
        raise record.Unusable(f"{path.name}: {shapes}; expected finite (n, features) and (n,)")
    if set(np.unique(y).tolist()) != {0, 1} or (y == 0).sum() < LEAST:
        raise record.Unusable(f"{path.name}: expected y of 0 and 1, {LEAST} or more of them 0")
    return x, y == 1


def digest(files: list[Path]) -> str:
    """Of names and contents."""
    whole = hashlib.sha256()
    for path in files:
        whole.update(path.name.encode() + path.read_bytes())
    return whole.hexdigest()


def split(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training rows, test rows, whether those are anomalies."""
    rng = np.random.RandomState(seed)
    some = rng.permutation(len(x))[:MOST]
    x, y = x[some], y[some]
    normal = rng.permutation(np.flatnonzero(~y))
    train = normal[: len(normal) // 2]
    test = np.setdiff1d(np.arange(len(x)), train)
    rows = StandardScaler().fit(x[train]).transform(x).astype("float32")
    return rows[train], rows[test], y[test]


def measure(name: str, files: list[Path], arguments: argparse.Namespace) -> dict:
    """One detector: for each table its figures of each seed, and seconds."""
    protocols.set_threads(arguments.threads)
    progress = protocols.Progress(
        arguments, digest(files), **SETTINGS, chosen=CHOSEN, recipe=record.recipe()
    )
    tables = {}
    for path in files:
        x, y = read(path)
        seeds = []
        for seed in range(arguments.seeds):
            train, test, truth = split(x, y, seed)
            found = progress.part(
                f"{name}_{path.stem}_seed{seed}",
                lambda train=train, test=test, seed=seed: _scores(
                    name, train, test, seed, arguments.threads
                ),
            )
            figures = {k: float(f(truth, found["scores"])) for k, f in MEASURES.items()}
            seeds.append(figures | {"cpu_seconds": float(found["cpu_seconds"])})
        tables[path.stem] = seeds
    return tables


def mean_of(tables: dict, figure: str) -> float:
    """Over tables and seeds."""
    return round(float(np.mean([[s[figure] for s in seeds] for seeds in tables.values()])), 4)


def summary(by_name: dict[str, dict]) -> dict[str, dict]:
    """For each detector its means, its mean rank by AUROC, and the AUROC of each table."""
    areas = {
        name: np.array([[s["auroc"] for s in seeds] for seeds in tables.values()])
        for name, tables in by_name.items()
    }  # (tables, seeds)
    ranks = rankdata([-of_tables.mean(axis=1) for of_tables in areas.values()], axis=0)
    return {
        name: {
            **{figure: mean_of(tables, figure) for figure in (*MEASURES, "cpu_seconds")},
            "by_seed": areas[name].mean(axis=0).round(4).tolist(),
            "mean_rank": round(float(rank.mean()), 2),
            "by_table": dict(zip(tables, areas[name].mean(axis=1).round(4).tolist(), strict=True)),
        }
        for (name, tables), rank in zip(by_name.items(), ranks, strict=True)
    }


def _scores(name: str, train: np.ndarray, test: np.ndarray, seed: int, threads: int) -> dict:
    start = record.cpu_seconds()
    make = _vae_lib if name in OURS else _rival
    found = make(name, train, seed, threads)(test)
    # a rival's NaN or infinity, far out, is its most anomalous; ours would be an error
    scores = np.nan_to_num(np.asarray(found, "float64"), nan=1e300, posinf=1e300)
    return {"scores": scores, "cpu_seconds": record.cpu_seconds() - start}


def _vae_lib(name: str, train: np.ndarray, seed: int, threads: int) -> peers.Scorer:
    """The linear model, which is the default; a deep one; or `MODELS` deep ones.

    Of several, with other seeds and other rows held out, the log-scores are averaged.
    """
    network = "linear" if name == "vae_lib_linear" else SETTINGS["network"]
    count = MODELS if name == "vae_lib" else 1
    models = [_one_model(network, train, seed * MODELS + m) for m in range(count)]
    return lambda new: np.mean([np.log(score(new) + 1e-9) for score in models], axis=0)


def _one_model(network: str, train: np.ndarray, seed: int) -> peers.Scorer:
    """A deep one is stopped by the bound of a fifth of the training rows, which have no labels."""
    from vae_lib import scores
    from vae_lib.detector.recipe import Recipe

    hidden = None if network == "linear" else SETTINGS["hidden"]
    recipe = Recipe(network=network, hidden=hidden, latent_dim=SETTINGS["latent_dim"])
    vae, held = recipe.train(train, seed, CHOSEN)
    score = scores.get(CHOSEN).fit(vae, train, held)
    return lambda new: score(vae, new)


def _rival(name: str, train: np.ndarray, seed: int, threads: int) -> peers.Scorer:
    if name in ("knn_5", "knn_3", "isolation_forest"):
        return peers.fit(name, train, seed, threads)
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    if name == "lof":
        from sklearn.neighbors import LocalOutlierFactor

        lof = LocalOutlierFactor(n_neighbors=min(20, len(train) - 1), novelty=True).fit(train)
        return lambda new: -lof.score_samples(new)
    if name == "pca":
        from sklearn.decomposition import PCA

        pca = PCA(0.95).fit(train)  # components for 95 % of the variance
        return lambda new: ((new - pca.inverse_transform(pca.transform(new))) ** 2).sum(axis=1)
    if name == "ecod":
        from pyod.models.ecod import ECOD

        return ECOD().fit(train).decision_function
    return peers.fit(name, train, seed, threads)
