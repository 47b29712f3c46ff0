"""Everything in one data set is normal; what comes from elsewhere is not.

Test images of `--data` against those of `--other`, and against their own flips, constant images and
noise. No seed's figure depends on what is unseen: the model knows `--data` alone.
"""

from __future__ import annotations

import argparse

import numpy as np

from . import leave_one_out, protocols, record

CHOSEN = "neighbours"


def run(arguments: argparse.Namespace) -> None:
    """Three seeds; write the record out_of_distribution_<data>."""
    protocols.set_threads(arguments.threads)
    data = protocols.load(arguments)
    other = protocols.read(arguments.other)
    if other.x_test.shape[1:] != data.x_test.shape[1:]:
        shapes = f"{other.x_test.shape[1:]}; expected {data.x_test.shape[1:]}, as in --data"
        raise record.Unusable(f"--other has images of shape {shapes}")
    strange = strangers(data.x_test, other.x_test)
    settings = {"epochs": leave_one_out.EPOCHS, "batch": leave_one_out.BATCH}
    settings["other"] = other.sha256
    progress = protocols.Progress(arguments, data.sha256, **settings)
    by_seed, training = [], []
    for seed in range(arguments.seeds):

        def work(seed=seed) -> dict:
            known = protocols.hold_out(data.x_train, seed)
            vae = protocols.train(known[0], settings["epochs"], settings["batch"], seed)
            parts = {"normal": data.x_test, **strange}
            return {
                f"{kind}/{name}": found
                for kind, images in parts.items()
                for name, found in protocols.all_scores(vae, known, images).items()
            }

        found = progress.part(f"seed{seed}", work)
        training.append(float(found["seconds"]))
        by_seed.append({kind: _aurocs(found, kind) for kind in strange})
        print(f"out_of_distribution, seed {seed}: {by_seed[-1]}", flush=True)
    results = {
        "auroc": protocols.summary(by_seed),
        "wall_seconds": protocols.mean_and_most(training),
        "peak_mib": progress.peak_mib,
    }
    settings |= protocols.SETTINGS | {"seeds": arguments.seeds, "threads": arguments.threads}
    settings |= {"chosen": CHOSEN, "data": data.sha256}
    print(record.write(protocols.result_name(arguments), settings, results))


def strangers(x: np.ndarray, other: np.ndarray) -> dict[str, np.ndarray]:
    """Images that have no place in the data set, as many as there are test images of it."""
    rng = np.random.RandomState(0)
    return {
        "other data set": other,
        "upside down": x[:, ::-1],
        "mirrored": x[:, :, ::-1],
        "constant": np.broadcast_to(rng.rand(len(x), 1, 1, 1), x.shape).astype("float32"),
        "noise": rng.rand(*x.shape).astype("float32"),
    }


def _aurocs(found: dict[str, np.ndarray], kind: str) -> dict[str, float]:
    truth = np.repeat([False, True], [len(found[f"{part}/relative"]) for part in ("normal", kind)])
    both = {
        n: np.concatenate([found[f"normal/{n}"], found[f"{kind}/{n}"]]) for n in protocols.SCORES
    }
    return protocols.aurocs(both, truth)
