"""A PCA in the VAE's place: `one_class` with the same images, scores, seeds, and no training.

Its components stand in a `VAE` as the weights of two layers without a bend, the codes scaled to
variance 1, so that each score is computed by the same code. Where the VAE has a hidden layer, the
PCA has the pixels: so `activations`, `neighbours` and the fusion of all eight find what they need.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
from sklearn.decomposition import PCA

from vae_lib import VAE, Gaussian

from . import protocols, record

COMPONENTS = 32  # as in `peers`


def as_vae(x: np.ndarray, seed: int) -> VAE:
    """The PCA of images (n, height, width, channels), as a model that the library's scores take."""
    shape, rows = x.shape[1:], x.reshape(len(x), -1)
    pca = PCA(min(COMPONENTS, *rows.shape), random_state=seed).fit(rows)
    spread = np.sqrt(pca.explained_variance_)[:, None] + 1e-9
    pixels, codes = rows.shape[1], len(spread)
    image, code = keras.Input(shape), keras.Input((codes,))
    same = keras.layers.Dense(pixels, use_bias=False, kernel_initializer="identity")
    hidden = same(keras.layers.Flatten()(image))
    mean, log_var = keras.layers.Dense(codes), keras.layers.Dense(codes, kernel_initializer="zeros")
    rebuilt = keras.layers.Dense(pixels)
    encoder = keras.Model(image, [mean(hidden), log_var(hidden)])
    decoder = keras.Model(code, keras.layers.Reshape(shape)(rebuilt(code)))
    into = (pca.components_ / spread).T
    mean.set_weights([into, -pca.mean_ @ into])
    rebuilt.set_weights([pca.components_ * spread, pca.mean_])
    likelihood = Gaussian(protocols.SETTINGS["sigma"])
    return VAE(codes, likelihood, shape, encoder=encoder, decoder=decoder)


def run(arguments: argparse.Namespace) -> None:
    """Every class, every seed; write the record pca_<data>."""
    protocols.set_threads(arguments.threads)
    data = protocols.load(arguments)
    progress = protocols.Progress(arguments, data.sha256, components=COMPONENTS)
    by_seed = []
    for seed in range(arguments.seeds):
        rows = {}
        for c in data.classes:
            normal = protocols.hold_out(data.x_train[data.y_train == c], seed)
            found = progress.part(
                f"seed{seed}_class{c}",
                lambda normal=normal, seed=seed: protocols.all_scores(
                    as_vae(normal[0], seed), normal, data.x_test
                ),
            )
            values = {name: found[name] for name in protocols.SCORES}
            rows[c] = protocols.aurocs(values, data.y_test != c)
            print(f"pca, seed {seed}, class {c}: {rows[c]}", flush=True)
        by_seed.append(rows)
    settings = {"components": COMPONENTS, "seeds": arguments.seeds, "threads": arguments.threads}
    settings |= {"data": data.sha256}
    print(
        record.write(
            protocols.result_name(arguments), settings, {"auroc": protocols.summary(by_seed)}
        )
    )
