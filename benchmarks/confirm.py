"""Whether the records still hold after a change of the library that should change no result.

Two of the shortest benchmarks are run again, one of images and one of tables, with the first seed.
(The tables are left out where their record is of the present library already.)
Where each figure equals the record's, all records of the same library take the present fingerprint,
save those with a score that was changed on purpose (`--changed`): they are to be measured again.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

from vae_lib import records

from . import one_class, record, tables

FOLDER = Path(records.__file__).parent
IMAGES, TABLES = "one_class_letters", "tables_keel"


def run(arguments: argparse.Namespace) -> None:
    """Compare, then renew the fingerprints; raises `record.Unusable` where a figure differs."""
    before = _read(FOLDER, IMAGES)["library"]
    of_tables = _read(FOLDER, TABLES)["library"]
    measured = of_tables == record.library()  # anew, since the library is as it is
    if not measured and of_tables != before:
        raise record.Unusable(f"{IMAGES} and {TABLES} are of two libraries; expected one")
    common = {"threads": arguments.threads, "work": arguments.work, "seeds": 1}
    one_class.run(argparse.Namespace(name="one_class", data=arguments.letters, **common))
    differing = _differing(IMAGES, lambda results: results["auroc"])
    if not measured:
        options = {"name": "tables", "data": arguments.keel, "detectors": ["vae_lib_one_model"]}
        tables.run(argparse.Namespace(**options, **common))
        differing += _differing(TABLES, lambda results: results)
    told = ", ".join(text for key, text in differing if key not in arguments.changed)
    if told:
        raise record.Unusable(f"figures have changed ({told}); expected a run of all benchmarks")
    for path in sorted(FOLDER.glob("*.json")):
        document = _read(FOLDER, path.stem)
        if document.get("library") == before and not _has(document["results"], arguments.changed):
            now = {"library": record.library(), "confirmed": datetime.date.today().isoformat()}
            text = json.dumps(document | now, indent=2, allow_nan=False) + "\n"
            record.write_whole(path, text)
            print(f"{path.stem} holds")


def _read(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def _has(results: object, names: list[str]) -> bool:
    """Whether one of these is a key in the results, however deep."""
    if not isinstance(results, dict):
        return False
    return any(key in names or _has(value, names) for key, value in results.items())


def _differing(name: str, areas) -> list[tuple[str, str]]:
    """Of the figures of the first seed, those that are not the record's, and what they were."""
    then, now = (areas(_read(folder, name)["results"]) for folder in (FOLDER, record.RESULTS))
    pairs = {key: (then[key]["by_seed"][0], now[key]["by_seed"][0]) for key in now}
    return [(key, f"{name}, {key}: {a} and now {b}") for key, (a, b) in pairs.items() if a != b]
