"""Whether the records still hold after a change of the library that should change no result.

Two of the shortest runs are made again, one of images and one of tables, with the first seed. Where
each figure equals the record's, all records of the same library take the present fingerprint.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

from vae_lib import records

from . import one_class, protocols, record, tables

FOLDER = Path(records.__file__).parent
IMAGES, TABLES = "one_class_letters", "tables_keel"


def run(arguments: argparse.Namespace) -> None:
    """Compare, then renew the fingerprints; raises `record.Unusable` where a figure differs."""
    before = _record(IMAGES)["library"]
    if _record(TABLES)["library"] != before:
        raise record.Unusable(f"{IMAGES} and {TABLES} are of two libraries; expected one")
    differing = {
        **_differing(IMAGES, _of_images(arguments), lambda found: found["auroc"]),
        **_differing(TABLES, _of_tables(arguments), lambda found: found),
    }
    if differing:
        told = ", ".join(f"{k}: {then} and now {now}" for k, (then, now) in differing.items())
        raise record.Unusable(f"figures have changed ({told}); expected a run of all benchmarks")
    for path in sorted(FOLDER.glob("*.json")):
        if (document := _record(path.stem)).get("library") == before:
            now = {"library": record.library(), "confirmed": datetime.date.today().isoformat()}
            text = json.dumps(document | now, indent=2, allow_nan=False) + "\n"
            record.write_whole(path, text)
            print(f"{path.stem} holds")


def _record(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def _differing(name: str, found: dict[str, float], part) -> dict[str, tuple[float, float]]:
    """Of the figures of the first seed, those that are not the record's."""
    kept = part(_record(name)["results"])
    then = {key: kept[key]["by_seed"][0] for key in found}
    return {f"{name}, {k}": (then[k], found[k]) for k in found if then[k] != found[k]}


def _of_images(arguments: argparse.Namespace) -> dict[str, float]:
    protocols.set_threads(arguments.threads)
    data = protocols.load(argparse.Namespace(data=arguments.letters))
    rows = {}
    for c in data.classes:
        found = protocols.train_and_score(
            data, data.y_train == c, one_class.EPOCHS, one_class.BATCH, 0
        )
        values = {name: found[name] for name in protocols.SCORES}
        rows[c] = protocols.aurocs(values, data.y_test != c)
        print(f"{IMAGES}, class {c}: {rows[c]}", flush=True)
    return {name: table["by_seed"][0] for name, table in protocols.summary([rows]).items()}


def _of_tables(arguments: argparse.Namespace) -> dict[str, float]:
    name, files = "vae_lib_one_model", tables.found(Path(arguments.keel))
    areas = {}
    for path in files:
        train, test, truth = tables.split(*tables.read(path), seed=0)
        found = tables.scores_of(name, train, test, seed=0, threads=arguments.threads)["scores"]
        areas[path.stem] = [{"auroc": float(tables.MEASURES["auroc"](truth, found))}]
        print(f"{TABLES}, {path.stem}: {areas[path.stem][0]['auroc']:.4f}", flush=True)
    return {name: round(tables.mean_of(areas, "auroc"), 4)}
