"""A map of settings: what one change at a time does to the ELBO, and what it does to the AUROC.

Around `DEFAULTS`. Of images every fifth class is the one that is normal, and then the one that is
left out; of a folder of tables `TABLES` take part. A change and the defaults share examples, seeds
and test part, so that their differences are paired. The ELBO is of normal examples that took no
part in training or score: nats each, with beta 1, whatever beta the training had. Of those examples
`pseudo` makes anomalies, and the AUROC on them is measured too: both need normal data alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from keras import ops

from vae_lib import scores
from vae_lib.scores import pseudo
from vae_lib.scores.base import total

from . import combination, protocols, record, tables
from .race import CONTEXT

PROTOCOLS = ("one_class", "leave_one_out")  # of images
EVERY = 5
TABLES = ("page-blocks0", "segment0", "vehicle2")  # neither a coin nor perfect in `tables`
COMMON = {"latent_dim": 16, "depth": 1, "beta": 1.0, "rate": 1e-3, "epochs": 40, "batch": 32}
DEFAULTS = {
    "images": {**COMMON, "width": 256, "sigma": 0.2, "examples": 240, "held_out": 120},
    "tables": {**COMMON, "width": 64, "sigma": "learned", "examples": 200, "held_out": 50},
}
FACTORS = ("width", "epochs", "examples")  # a change of these multiplies
QUARTER, DOUBLE = ("1/4", 0.25), ("x2", 2)
OF_BOTH = {
    "latents": {n: {"latent_dim": n} for n in (2, 4, 8, 32)},
    "layers": {2: {"depth": 2}},
    "width": {name: {"width": n} for name, n in (QUARTER, DOUBLE)},
    "beta": {n: {"beta": n} for n in (0.0, 0.25, 4.0)},
    "rate": {n: {"rate": n} for n in (1e-4, 3e-3)},
    "epochs": {name: {"epochs": n} for name, n in (QUARTER, DOUBLE)},
    "batch": {n: {"batch": n} for n in (8, 128)},
}
OF_IMAGES = {
    "sigma": {n: {"sigma": n} for n in (0.1, 0.4, "learned")},
    "likelihood": {"bernoulli": {"likelihood": "bernoulli"}},
    "examples": {name: {"examples": n} for name, n in (QUARTER, DOUBLE)},
}
OF_TABLES = {
    "sigma": {n: {"sigma": n} for n in (0.2, 1.0)},
    "examples": {"1/4": {"examples": 0.25}},
}
MAPS = {"images": OF_BOTH | OF_IMAGES, "tables": OF_BOTH | OF_TABLES}
CHANGES = {
    kind: {"defaults": {}}
    | {f"{family} {value}": c for family, of in found.items() for value, c in of.items()}
    for kind, found in MAPS.items()
}
PARTS = {"images": combination.PARTS, "tables": ("reconstruction", "joint")}
KEPT = ("elbo", "relative", "neighbours", "fusion", "joint")  # where they are
OF_PSEUDO = ("neighbours", "fusion")


class Task(NamedTuple):
    """Normal examples to train on, test examples, and which of those are anomalies."""

    normal: np.ndarray
    test: np.ndarray
    is_anomaly: np.ndarray


class Together(scores.Score):
    """Several fitted scores side by side, in one graph: (n, scores)."""

    def __init__(self, parts: list[scores.Score]):
        self.parts = parts

    def arguments(self) -> dict:
        """None: each object has its own parts."""
        return {}

    def terms(self, vae, x):
        """One a part."""
        return ops.stack([total(part.terms(vae, x)) for part in self.parts], axis=1)


def run(arguments: argparse.Namespace) -> None:
    """Every change on every task and seed; write the record settings_<data>."""
    kind, sha256, tasks = _tasks(arguments)  # what is no data is told before hours have gone by
    results = {}
    for change in CHANGES[kind]:
        with CONTEXT.Pool(1) as pool:  # memory that TensorFlow keeps goes with its process
            found = pool.apply(of_change, (change, arguments))
        for protocol, figures in found.items():
            results.setdefault(protocol, {})[change] = figures
            means = {name: round(float(np.mean(rows)), 4) for name, rows in figures.items()}
            print(f"{change}, {protocol}: {means}", flush=True)
    settings = {"kind": kind, "defaults": DEFAULTS[kind], "changes": CHANGES[kind]}
    settings |= {"tasks": [f"{protocol} {name}" for protocol, name, _ in tasks]}
    settings |= {"seeds": arguments.seeds, "threads": arguments.threads, "data": sha256}
    print(record.write(protocols.result_name(arguments), settings, results))


def of_change(change: str, arguments: argparse.Namespace) -> dict[str, dict[str, list]]:
    """For each protocol the figures of one change: a row a seed, a column a task."""
    protocols.set_threads(arguments.threads)
    kind, sha256, tasks = _tasks(arguments)
    values = CHANGES[kind][change]
    progress = protocols.Progress(arguments, sha256, kind=kind, change=values)

    def part(protocol: str, name: str, task: Callable, seed: int) -> dict:
        work = lambda: measure(task(seed), kind, values, seed)  # noqa: E731
        return progress.part(f"{protocol}_{name}_seed{seed}", work)

    found = {}
    for protocol in dict.fromkeys(protocol for protocol, *_ in tasks):
        mine = [task for task in tasks if task[0] == protocol]
        rows = [[part(*task, seed) for task in mine] for seed in range(arguments.seeds)]
        found[protocol] = summary(rows)
    return found


def _tasks(arguments: argparse.Namespace) -> tuple[str, str, list]:
    """Kind and hash of the data; for each task its protocol, its name, and a `Task` by seed."""
    if Path(arguments.data).is_dir():
        return "tables", *_tables(arguments)
    return "images", *_images(arguments)


def _images(arguments: argparse.Namespace) -> tuple[str, list]:
    data = protocols.load(arguments)

    def task(c: int, one: bool):
        is_normal = (data.y_train == c) == one
        return Task(data.x_train[is_normal], data.x_test, (data.y_test == c) != one)

    chosen = [(protocol, c) for protocol in PROTOCOLS for c in data.classes[::EVERY]]
    made = {(p, c): task(c, p == "one_class") for p, c in chosen}
    return data.sha256, [(p, str(c), lambda seed, t=t: t) for (p, c), t in made.items()]


def _tables(arguments: argparse.Namespace) -> tuple[str, list]:
    files = [path for path in tables.found(Path(arguments.data)) if path.stem in TABLES]
    if not files:
        raise record.Unusable(f"{arguments.data} has none of the tables {TABLES}")
    rows = {path.stem: tables.read(path) for path in files}
    make = {name: lambda seed, r=r: Task(*tables.split(*r, seed)) for name, r in rows.items()}
    return tables.digest(files), [("one_class", name, of) for name, of in make.items()]


def settings_of(kind: str, change: dict) -> dict:
    """The defaults with the change; examples change, and the number of steps stays."""
    own = DEFAULTS[kind]
    found = own | change
    found |= {name: int(own[name] * change[name]) for name in FACTORS if name in change}
    found["epochs"] = round(found["epochs"] * own["examples"] / found["examples"])
    return found


def measure(task: Task, kind: str, change: dict, seed: int) -> dict[str, float]:
    """AUROC of each score, ELBO in nats, and CPU seconds of the training."""
    settings = settings_of(kind, change)
    held_out, n = settings.pop("held_out"), settings.pop("examples")
    needed = 2 * held_out + n
    if len(task.normal) < needed:
        found = f"--data has a class or table of {len(task.normal)} normal training examples"
        raise record.Unusable(f"{found}; expected {needed} or more")
    order = np.random.RandomState(seed).permutation(len(task.normal))[:needed]
    held, validation, train = np.split(task.normal[order], [held_out, 2 * held_out])
    settings["hidden"] = [settings.pop("width")] * settings.pop("depth")
    sizes, start = (settings.pop("epochs"), settings.pop("batch")), record.cpu_seconds()
    vae = protocols.train(train, *sizes, seed, **settings)
    seconds = record.cpu_seconds() - start

    names = "elbo", *PARTS[kind]
    together = Together([scores.get(name).fit(vae, train, held) for name in names])

    def of(x: np.ndarray) -> dict[str, np.ndarray]:
        found = dict(zip(names, together.of(vae, x, pixels=True)[0].T, strict=True))
        return found if kind == "tables" else found | {"fusion": _fusion(usual, found)}

    usual = dict(zip(names, together.of(vae, held, pixels=True)[0].T, strict=True))
    normal, test = of(validation), of(task.test)
    figures = {"elbo": -normal["elbo"].mean(), "training": seconds}
    kept = {name: test[name] for name in KEPT if name in test}
    areas = protocols.aurocs(kept, task.is_anomaly)
    figures |= {f"auroc_{name}": area for name, area in areas.items()}
    if kind == "images":
        made = [of(make(validation, np.random.RandomState(seed))) for make in pseudo.KINDS]
        truth = np.repeat([0, 1], len(validation))
        for name in OF_PSEUDO:
            pairs = [{name: np.concatenate([normal[name], strange[name]])} for strange in made]
            figures[f"pseudo_{name}"] = np.mean([protocols.aurocs(p, truth)[name] for p in pairs])
    return figures


def _fusion(usual: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> np.ndarray:
    """That of the scores found, (n,), where `usual` are those of normal examples."""
    parts = [("held", usual), ("test", found)]
    logs = {
        f"{part}_{name}": np.log(values[name] + combination.LEAST)
        for part, values in parts
        for name in combination.PARTS
    }
    return combination.half_sided(logs, combination.PARTS)


def summary(rows: list[list[dict[str, float]]]) -> dict[str, list[list[float]]]:
    """Of each figure a row a seed and a column a task."""
    names = [name for name in rows[0][0] if name not in ("seconds", "peak")]  # of `Progress`
    return {name: [[round(float(row[name]), 4) for row in of] for of in rows] for name in names}
