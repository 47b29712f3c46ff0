"""Anomaly scores of a trained VAE: one number an image, and higher is more anomalous.

`score(vae, images)` gives (n,) floats. A score depends neither on the batch that an image came in,
nor on the call. Scores with a `fit` learn what is usual from normal images.
"""

from .base import SCORES, Score, fingerprint_of, get
from .distances import ActivationDistance, LatentDistance, NeighbourDistance
from .errors import LocalError, RelativeError, SquaredError
from .fusion import Fusion
from .probabilities import (
    KL,
    ImportanceBound,
    NegativeELBO,
    NegativeLogLikelihood,
    ReconstructionProbability,
)

MAPS = tuple(name for name, score in SCORES.items() if score.has_map)

__all__ = [
    "KL",
    "MAPS",
    "SCORES",
    "ActivationDistance",
    "Fusion",
    "ImportanceBound",
    "LatentDistance",
    "LocalError",
    "NegativeELBO",
    "NegativeLogLikelihood",
    "NeighbourDistance",
    "ReconstructionProbability",
    "RelativeError",
    "Score",
    "SquaredError",
    "fingerprint_of",
    "get",
]
