"""Results of the full-size benchmarks, and the published figures that they stand beside, as data.

They travel with the library so that the chapters can read them wherever they run. `benchmarks/`
makes the measured ones; each says by which command, with which versions, on which machine.
"""

from __future__ import annotations

import json
from importlib import resources

PUBLISHED = "published"


def names() -> list[str]:
    """What `measured` can give, sorted."""
    files = (file.name for file in resources.files(__name__).iterdir())
    found = (name.removesuffix(".json") for name in files if name.endswith(".json"))
    return sorted(name for name in found if name != PUBLISHED)


def measured(name: str) -> dict:
    """One benchmark's record: command, date, settings, results, versions, machine, fingerprint.

    Raises a ValueError for a name that is not in `names()`.
    """
    if name not in names():
        raise ValueError(f"name is {name!r}; expected one of {names()}")
    return _read(name)


def published() -> dict[str, dict]:
    """Published figures by protocol: its description, and rows of method, figures and source.

    AUROC figures are those of digits 0 to 9, then their mean, as printed; `nll` is in nats.
    """
    return _read(PUBLISHED)


def _read(name: str) -> dict:
    return json.loads(resources.files(__name__).joinpath(f"{name}.json").read_text("utf-8"))
