"""An estimator as the content of a file, and the file's content as an estimator."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import numpy as np

from ..data import TableEncoder
from ..detector import AnomalyDetector, archive, description
from ..detector import storage as detectors
from ..detector.calibration import Calibration

if TYPE_CHECKING:
    from .estimator import VAEDetector

NAMES = {"type": "array", "items": {"type": "string"}}
NUMBERS = {"type": "array", "items": {"type": "number"}}
ENCODER = description.object_of(
    max_categories=description.COUNT,
    rows=description.SIZE,
    columns=NAMES,
    medians={"type": "object", "additionalProperties": {"type": "number"}},
    had_missing=NAMES,
    far=NUMBERS,
    categories={"type": "object", "additionalProperties": NAMES},
)
SCHEMA = description.object_of(
    format={"const": archive.FORMAT},
    estimator={"type": "object"},
    columns=NAMES,
    encoder={"anyOf": [ENCODER, {"type": "null"}]},
    detectors={"type": "array", "items": {"type": "object"}, "minItems": 1},
)


def content(estimator: VAEDetector) -> archive.Content:
    """Sizes and numbers of a fitted estimator."""
    arguments = estimator.get_params() | {"hidden": list(estimator.hidden)}
    if isinstance(estimator.random_state, np.random.RandomState):
        arguments["random_state"] = None
    parts = [detectors.content(detector) for detector in estimator.detectors_]
    described = {
        "format": archive.FORMAT,
        "estimator": {k: _plain(v) for k, v in arguments.items()},
        "columns": list(getattr(estimator, "feature_names_in_", [])),
        "encoder": None if estimator.encoder_ is None else estimator.encoder_.state(),
        "detectors": [part.description for part in parts],
    }
    arrays = {"usual": estimator.usual_, "calibration": estimator.calibration_.scores}
    for m, part in enumerate(parts):
        arrays |= {f"detector{m}/{name}": array for name, array in part.arrays.items()}
    return archive.Content(described, arrays)


def load(kind: type[VAEDetector], path: str | Path) -> VAEDetector:
    """The estimator that the file describes. Raises a ValueError for any other file."""
    try:
        return _restore(kind, archive.read(path))
    except OSError:
        raise
    except Exception as error:  # archives, arrays and descriptions can be wrong in many ways
        told = str(error) if isinstance(error, ValueError | zipfile.BadZipFile) else repr(error)
        expected = f"path is {str(path)!r}; expected a file that VAEDetector.save wrote"
        raise ValueError(f"{expected}, but {told}") from error


def _restore(kind: type[VAEDetector], found: archive.Content) -> VAEDetector:
    described, arrays = found.description, dict(found.arrays)
    try:
        jsonschema.validate(described, SCHEMA)
    except jsonschema.ValidationError as error:
        where = "/".join(map(str, error.absolute_path)) or "as a whole"
        raise ValueError(f"its description is wrong at {where}: {error.message[:200]}") from error
    arguments = described["estimator"]
    new = kind(**arguments | {"hidden": tuple(arguments["hidden"])})
    new._check_arguments()
    new.usual_, scores = arrays.pop("usual"), arrays.pop("calibration")
    new.encoder_ = described["encoder"] and TableEncoder.from_state(described["encoder"])
    new.detectors_ = [
        detectors.restore(
            AnomalyDetector, archive.Content(part, detectors.taken(arrays, f"detector{m}/")), None
        )
        for m, part in enumerate(described["detectors"])
    ]
    if arrays:
        raise ValueError(f"it has {sorted(arrays)[:5]}, which no estimator has")
    sizes = {detector.model.data_shape for detector in new.detectors_}
    if sizes != {new.usual_.shape[1:]}:
        raise ValueError(
            f"its models have sizes {sorted(sizes)}, its usual values {new.usual_.shape}"
        )
    new.n_features_in_ = new.usual_.shape[1]
    if described["columns"]:
        new.feature_names_in_ = np.array(described["columns"], dtype=object)
        new.n_features_in_ = len(described["columns"])
    if len(new._sources()) != new.usual_.shape[1]:
        raise ValueError(
            f"its {len(new._sources())} encoded columns are {new.usual_.shape[1]} in its models"
        )
    first = new.detectors_[0]
    new._set_threshold(Calibration.of([scores], first.false_alarm_rate, first.method))
    return new


def _plain(value: object) -> object:
    """A NumPy number as one of Python's."""
    return value.item() if isinstance(value, np.generic) else value
