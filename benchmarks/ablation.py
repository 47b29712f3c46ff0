"""What each setting and each half of the neighbour distance bring, in both protocols.

Meant for the data that settings are chosen on. Every other class takes part, with one seed.
"""

from __future__ import annotations

import argparse

import numpy as np

from vae_lib import VAE, scores

from . import leave_one_out, one_class, protocols, record

CHANGES = {
    "as it is": {},
    "4 latents": {"latent_dim": 4},
    "64 latents": {"latent_dim": 64},
    "sigma 0.1": {"sigma": 0.1},
    "sigma 0.4": {"sigma": 0.4},
    "two hidden layers": {"hidden": [256, 256]},
    "no KL term": {"beta": 0.0},
    "half the epochs": {"share_of_epochs": 0.5},
}
PROTOCOLS = {"one_class": one_class, "leave_one_out": leave_one_out}


class HiddenNeighbours(scores.NeighbourDistance):
    """The first of the two cosines alone, between activations of the last hidden layer."""

    def features(self, vae: VAE, x):
        """Of length 1: (n, units)."""
        return super().features(vae, x)[:, : -vae.latent_dim] * 2**0.5


class CodeNeighbours(scores.NeighbourDistance):
    """The second alone, between posterior means."""

    def features(self, vae: VAE, x):
        """Of length 1: (n, latent_dim)."""
        return super().features(vae, x)[:, -vae.latent_dim :] * 2**0.5


SCORES = ("relative", "neighbours", HiddenNeighbours(), CodeNeighbours(), "fusion")
NAMES = tuple(map(protocols.name_of, SCORES))


def run(arguments: argparse.Namespace) -> None:
    """Every change on every other class; write the record ablation_<data>."""
    protocols.set_threads(arguments.threads)
    data = protocols.load(arguments)
    results = {}
    for change, settings in CHANGES.items():
        progress = protocols.Progress(arguments, data.sha256, change=settings)
        results[change] = {}
        for name, protocol in PROTOCOLS.items():
            rows = {}
            for c in data.classes[::2]:
                found = progress.part(
                    f"{name}_{c}", lambda c=c, p=protocol, s=settings: _scores(data, c, p, s)
                )
                truth = (data.y_test == c) != (protocol is one_class)
                rows[c] = protocols.aurocs({name: found[name] for name in NAMES}, truth)
            results[change][name] = protocols.summary([rows])
            means = {score: table["mean"] for score, table in results[change][name].items()}
            print(f"{change}, {name}: {means}", flush=True)
    settings = {**protocols.SETTINGS, "changes": CHANGES, "seeds": 1}
    settings |= {"threads": arguments.threads, "data": data.sha256}
    print(record.write(protocols.result_name(arguments), settings, results))


def _scores(data: protocols.Data, c: int, protocol, changes: dict) -> dict[str, np.ndarray]:
    is_normal = (data.y_train == c) == (protocol is one_class)
    others = dict(changes)
    epochs = round(protocol.EPOCHS * others.pop("share_of_epochs", 1))
    sizes = epochs, protocol.BATCH
    return protocols.train_and_score(data, is_normal, *sizes, seed=0, chosen=SCORES, **others)
