"""A detector as the content of a file, and the file's content as a detector."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .. import scores
from ..classes import check_labels
from ..model import VAE
from . import description
from .archive import FORMAT, Content
from .calibration import Calibration
from .own import NAME, OwnScore, digest
from .state import State, check_models

if TYPE_CHECKING:
    from .detector import AnomalyDetector

PLACES = ("calibration/scores", "calibration/classes")


def content(detector: AnomalyDetector) -> Content:
    """Sizes and numbers of a calibrated detector."""
    score, calibration = detector._score, detector._now.calibration
    name = NAME if isinstance(score, OwnScore) else score.name
    if name is None:
        found = f"score is a {score.label()}, which has no name"
        raise ValueError(f"{found}; give its class one, and define it before you load")
    described = {
        "format": FORMAT,
        "written_by": description.written_by(),
        "models": [description.describe(model) for model in detector._models],
        "one_model": not detector._listed,
        "score": {"name": name, "arguments": score.arguments()},
        "fits_score": detector._fits_score,
        "threshold": calibration.thresholds.tolist(),
        "false_alarm_rate": calibration.false_alarm_rate,
        "method": calibration.method,
    }
    if detector._now.columns is not None:
        described["columns"] = list(detector._now.columns)
    arrays = dict(zip(PLACES, (calibration.scores, calibration.classes), strict=True))
    for m, model in enumerate(detector._models):
        arrays |= {f"model{m}/{i}": weight for i, weight in enumerate(model.get_weights())}
    for c, (_, one) in enumerate(detector._now.views):
        arrays |= {f"score{c}/{name}": array for name, array in one.state().items()}
    return Content(described, arrays)


def restore(
    kind: type[AnomalyDetector], content: Content, own: VAE | Sequence[VAE] | None
) -> AnomalyDetector:
    """The detector that `content` came from; `own` are models with parts of the user's own.

    Raises a ValueError, or whatever a wrong content leads to: nothing in it is trusted.
    """
    described, arrays = content.description, dict(content.arrays)
    description.check(described)
    models = _models(described["models"], arrays, own)
    name, arguments = described["score"]["name"], described["score"]["arguments"]
    known = {**scores.SCORES, NAME: OwnScore}
    if name not in known:
        found = f"its score is {name!r}, and none of {tuple(scores.SCORES)}"
        raise ValueError(f"{found}: define its class first")
    score = known[name](**arguments)
    detector = kind(models[0] if described["one_model"] else models, score)
    views = detector._now.views
    found, classes = (arrays.pop(place) for place in PLACES)
    check_labels(classes, len(found), len(views), "calibration/classes")
    parts = [found[classes == c] for c in range(len(views))]
    with warnings.catch_warnings():  # "tail" has warned when it was calibrated
        warnings.simplefilter("ignore")
        calibration = Calibration.of(parts, described["false_alarm_rate"], described["method"])
    told, limits = described["threshold"], calibration.thresholds.tolist()
    if len(told) != len(limits) or not np.allclose(told, limits, rtol=1e-6, atol=0):
        raise ValueError(f"its threshold is {told}, by its scores {limits}")
    for c, (view, one) in enumerate(views):
        state = taken(arrays, f"score{c}/")
        one.set_state(state)
        if one.state().keys() != state.keys():
            raise ValueError(f"its score has learned {sorted(state)}, not {sorted(one.state())}")
        one.trace(view)  # do the sizes of what it has learned fit the model's?
    if arrays:
        raise ValueError(f"it has {sorted(arrays)[:5]}, which no detector has")
    weights = [digest(view) for view, _ in views]
    calibration = calibration._replace(thresholds=np.array(described["threshold"]))
    columns, shape = described.get("columns"), models[0].form().data_shape
    if columns is not None and (len(columns),) != shape:
        raise ValueError(f"it names {len(columns)} columns of rows of {shape}")
    detector._now = State(views, weights, calibration, None if columns is None else tuple(columns))
    detector._fits_score = bool(score.learned) and described["fits_score"]
    return detector


def _models(described: list[dict], arrays: dict, own: VAE | Sequence[VAE] | None) -> list[VAE]:
    """The models with their weights, which are taken out of `arrays`."""
    given = [None] * len(described) if own is None else check_models(own)
    if len(given) != len(described):
        raise ValueError(f"it has {len(described)} models, and model is {len(given)}")
    parts = [taken(arrays, f"model{m}/") for m in range(len(described))]
    weights = [[part.pop(str(i)) for i in range(len(part))] for part in parts]
    return [description.build(*parts) for parts in zip(described, weights, given, strict=True)]


def taken(arrays: dict, start: str) -> dict[str, np.ndarray]:
    """Those whose names have this start, without it; they are taken out."""
    names = [name for name in arrays if name.startswith(start)]
    return {name.removeprefix(start): arrays.pop(name) for name in names}
