"""What each setting of the VAE brings: one change at a time, in both protocols.

Meant for the data that settings are chosen on. Every other class takes part, with one seed.
"""

from __future__ import annotations

import argparse

import numpy as np

from . import leave_one_out, one_class, protocols, record

CHANGES = {
    "as it is": {},
    "4 latents": {"latent_dim": 4},
    "64 latents": {"latent_dim": 64},
    "sigma 0.1": {"sigma": 0.1},
    "sigma 0.4": {"sigma": 0.4},
    "two hidden layers": {"hidden": [256, 256]},
    "no KL term": {"beta": 0.0},
}
PROTOCOLS = {"one_class": one_class, "leave_one_out": leave_one_out}
SCORES = ("relative", "neighbours", "fusion")


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
                rows[c] = protocols.aurocs({score: found[score] for score in SCORES}, truth)
            results[change][name] = protocols.summary([rows])
            means = {score: table["mean"] for score, table in results[change][name].items()}
            print(f"{change}, {name}: {means}", flush=True)
    settings = {**protocols.SETTINGS, "changes": CHANGES, "seeds": 1}
    settings |= {"threads": arguments.threads, "data": data.sha256}
    print(record.write(protocols.result_name(arguments), settings, results))


def _scores(data: protocols.Data, c: int, protocol, changes: dict) -> dict[str, np.ndarray]:
    is_normal = (data.y_train == c) == (protocol is one_class)
    sizes = protocol.EPOCHS, protocol.BATCH
    return protocols.train_and_score(data, is_normal, *sizes, seed=0, names=SCORES, **changes)
