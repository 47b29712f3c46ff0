"""Anomaly scores of a trained VAE: one number an image, and higher is more anomalous.

`score(vae, images)` gives (n,) floats. A score depends neither on the batch that an image came in,
nor on the call. Scores with a `fit` learn what is usual from normal images.
"""

from .auto import Auto
from .base import SCORES, Score, fingerprint_of, get
from .distances import ActivationDistance, JointDistance, LatentDistance, NeighbourDistance
from .errors import LargestError, LocalError, RelativeError, SquaredError
from .fusion import Fusion, Typicality
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
    "Auto",
    "Fusion",
    "ImportanceBound",
    "JointDistance",
    "LargestError",
    "LatentDistance",
    "LocalError",
    "NegativeELBO",
    "NegativeLogLikelihood",
    "NeighbourDistance",
    "ReconstructionProbability",
    "RelativeError",
    "Score",
    "SquaredError",
    "Typicality",
    "fingerprint_of",
    "get",
]
