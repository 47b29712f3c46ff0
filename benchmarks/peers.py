"""Other detectors on the same splits, each in a process of its own: AUROC, seconds, peak memory.

All get raw pixels in 0..1; PyOD's networks standardise them first, as shipped. Settings are the
packages' own, save where a name says otherwise: the number of PCA's components, neighbours, and
PyOD's KL capacity, which is 0 as shipped and so takes the KL term away. `pca_32_relative` gives PCA
the score of this library's VAE, so that the score's share of the success can be seen. A name that
ends with `_by_class` has the labels: one detector a class, and the smallest score over them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from . import one_class, protocols, record
from .race import CONTEXT
from .small_detection import relative_error

ONE_CLASS = (
    "vae_lib",
    "pca_32",
    "pca_32_relative",
    "knn_5",
    "knn_5_cosine",
    "one_class_svm",
    "isolation_forest",
    "pyod_vae",
    "pyod_vae_capacity_1000",
    "pyod_autoencoder",
    "pyod_deep_svdd",
)
BY_CLASS = "_by_class"
# The others take hours on 54,000 images
LEAVE_ONE_OUT = (
    *("pca_32", "pca_32_relative", "knn_5", "knn_5_cosine", "isolation_forest"),
    "pca_32_relative" + BY_CLASS,
)
Scorer = Callable[[np.ndarray], np.ndarray]


def run(arguments: argparse.Namespace) -> None:
    """Every peer, one after the other; write the record peers_<protocol>_<data>."""
    data, results = protocols.load(arguments).sha256, {}
    known = ONE_CLASS if arguments.protocol == "one_class" else LEAVE_ONE_OUT
    chosen = arguments.detectors or known
    protocols.check_detectors(chosen, known)
    for name in chosen:
        with CONTEXT.Pool(1) as pool:
            results[name] = pool.apply(measure, (name, arguments))
        print(f"{name}: {results[name]}", flush=True)
    settings = {"seeds": arguments.seeds, "threads": arguments.threads, "data": data}
    settings["pyod_classes"] = arguments.pyod_classes or "all"
    arguments.name = f"peers_{arguments.protocol}"
    print(record.write(protocols.result_name(arguments), settings, results))


def measure(name: str, arguments: argparse.Namespace) -> dict:
    """One peer on every class."""
    protocols.set_threads(arguments.threads)
    data = protocols.load(arguments)
    progress = protocols.Progress(arguments, data.sha256, protocol=arguments.protocol)
    by_seed, spent = [], {"fit": [], "score": []}
    for seed in range(arguments.seeds):
        rows = {}
        some = arguments.pyod_classes if name.startswith("pyod") else None
        for c in some or data.classes:
            found = progress.part(
                f"{name}_seed{seed}_class{c}",
                lambda c=c, seed=seed: _scores(name, data, c, seed, arguments),
            )
            is_class = data.y_test == c
            truth = ~is_class if arguments.protocol == "one_class" else is_class
            rows[c] = protocols.aurocs({name: found["scores"]}, truth)
            for part, values in spent.items():
                values.append(float(found[part]))
        by_seed.append(rows)
    return {
        "auroc": protocols.summary(by_seed)[name],
        "fit_cpu_seconds": round(float(np.mean(spent["fit"])), 2),
        "score_cpu_seconds": round(float(np.mean(spent["score"])), 2),
        "peak_mib": progress.peak_mib,
    }


def _scores(name: str, data: protocols.Data, c: int, seed: int, arguments) -> dict:
    chosen = (data.y_train == c) == (arguments.protocol == "one_class")
    start = record.cpu_seconds()
    x, one = data.x_train[chosen], name.removesuffix(BY_CLASS)
    groups = [x]
    if name.endswith(BY_CLASS):
        labels = data.y_train[chosen]
        groups = [x[labels == k] for k in np.unique(labels)]
    scorers = [fit(one, group, seed, arguments.threads) for group in groups]
    fitted = record.cpu_seconds()
    found = np.min([scorer(data.x_test) for scorer in scorers], axis=0)
    score = record.cpu_seconds() - fitted  # of the processor, all threads together
    return {"scores": found, "fit": fitted - start, "score": score}


def fit(name: str, x: np.ndarray, seed: int, threads: int) -> Scorer:
    """A function that scores images: higher is more anomalous."""
    if name == "vae_lib":
        return _vae_lib(x, seed)
    if name.startswith("pca_32"):
        return _pca(name, x, seed, threads)
    make = _pyod if name.startswith("pyod") else _scikit_learn
    scorer = make(name, x.reshape(len(x), -1), seed, threads)
    return lambda images: scorer(images.reshape(len(images), -1))


def _vae_lib(x: np.ndarray, seed: int) -> Scorer:
    from vae_lib import scores

    normal = protocols.hold_out(x, seed)
    vae = protocols.train(normal[0], one_class.EPOCHS, one_class.BATCH, seed)
    score = scores.get(one_class.CHOSEN).fit(vae, *normal)
    return lambda images: score(vae, images)


def _pca(name: str, x: np.ndarray, seed: int, threads: int) -> Scorer:
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    rows = x.reshape(len(x), -1)
    pca = PCA(min(32, *rows.shape), random_state=seed).fit(rows)

    def score(images: np.ndarray) -> np.ndarray:
        rebuilt = pca.inverse_transform(pca.transform(images.reshape(len(images), -1)))
        rebuilt = rebuilt.reshape(images.shape)
        if name == "pca_32_relative":
            return relative_error(images, rebuilt)
        return ((images - rebuilt) ** 2).sum(axis=(1, 2, 3))

    return score


def _scikit_learn(name: str, x: np.ndarray, seed: int, threads: int) -> Scorer:
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import NearestNeighbors
    from sklearn.svm import OneClassSVM
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    if name.startswith("knn"):
        metric = "cosine" if name.endswith("cosine") else "minkowski"
        neighbours = NearestNeighbors(
            n_neighbors=int(name.split("_")[1]), metric=metric, n_jobs=threads
        ).fit(x)
        return lambda new: neighbours.kneighbors(new)[0].mean(axis=1)
    detector = OneClassSVM() if name == "one_class_svm" else IsolationForest(random_state=seed)
    detector.fit(x)
    return lambda new: -detector.score_samples(new)


def _pyod(name: str, x: np.ndarray, seed: int, threads: int) -> Scorer:
    import torch
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.models.deep_svdd import DeepSVDD
    from pyod.models.vae import VAE

    torch.set_num_threads(threads)
    common = {"random_state": seed, "verbose": 0}
    detector = {
        "pyod_vae": lambda: VAE(**common),
        "pyod_vae_capacity_1000": lambda: VAE(capacity=1000.0, **common),
        "pyod_autoencoder": lambda: AutoEncoder(**common),
        "pyod_deep_svdd": lambda: DeepSVDD(n_features=x.shape[1], **common),
    }[name]()
    detector.fit(x)
    return detector.decision_function
