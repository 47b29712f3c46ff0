"""Anomaly scores of a trained VAE: one number an image, and higher is more anomalous.

A score goes by its name in `SCORES`: `get("neighbours", k=3)` makes one, `score.fit(vae, normal)`
teaches it what is usual, where it has to learn, and `score(vae, images)` gives (n,) floats. A score
depends neither on the batch that an image came in, nor on the call.
"""

from .base import SCORES, Score, get
from .distances import JointDistance, NeighbourDistance
from .errors import LargestError, LocalError, RelativeError, SquaredError
from .fusion import Auto, Fusion, Typicality

__all__ = [
    "SCORES",
    "Auto",
    "Fusion",
    "JointDistance",
    "LargestError",
    "LocalError",
    "NeighbourDistance",
    "RelativeError",
    "Score",
    "SquaredError",
    "Typicality",
    "get",
]
