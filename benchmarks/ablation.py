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
SCORES = ("relative", "neighbours", "fusion")


def run(arguments: argparse.Namespace) -> None:
    """Every change on every other class; write the record ablation_<data>."""
    protocols.set_threads(arguments.threads)
    data = protocols.load(arguments)
    results = {}
    for change, settings in CHANGES.items():
        progress = protocols.Progress(arguments, data.sha256, change=settings)
        results[change] = {}
        for protocol in (one_class, leave_one_out):
            name = protocol.__name__.rpartition(".")[2]
            rows = {}
            for c in data.classes[::2]:
                found = progress.part(
                    f"{name}_{c}", lambda c=c, p=protocol, s=settings: _scores(data, c, p, s)
                )
                is_class = data.y_test == c
                truth = ~is_class if protocol is one_class else is_class
                rows[c] = protocols.aurocs({name: found[name] for name in SCORES}, truth)
            results[change][name] = protocols.summary([rows])
            means = {score: table["mean"] for score, table in results[change][name].items()}
            print(f"{change}, {name}: {means}", flush=True)
    settings = {**protocols.SETTINGS, "changes": CHANGES, "seeds": 1}
    settings |= {"threads": arguments.threads, "data": data.sha256}
    print(record.write(protocols.result_name(arguments), settings, results))


def _scores(data: protocols.Data, c: int, protocol, changes: dict) -> dict[str, np.ndarray]:
    normal = data.x_train[(data.y_train == c) == (protocol is one_class)]
    vae = protocols.train(normal, protocol.EPOCHS, protocol.BATCH, seed=0, **changes)
    return protocols.all_scores(vae, normal, data.x_test, SCORES)
