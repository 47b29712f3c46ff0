"""How far an image is from its reconstruction: a number a pixel, which a heat-map shows."""

from __future__ import annotations

import dataclasses

from keras import ops

from ..checks import check_count
from ..model import VAE
from .base import Score


@dataclasses.dataclass(eq=False)
class SquaredError(Score):
    """||x - E[x given z]||^2 at the posterior mean of z; equation (6.1)."""

    name = "reconstruction"
    positive = True
    has_map = True

    def terms(self, vae: VAE, x):
        """One a pixel."""
        return (x - vae.reconstruct(x)) ** 2


@dataclasses.dataclass(eq=False)
class LocalError(Score):
    """Squared error after averaging over `size` x `size` pixels; equation (6.2).

    A stroke that is a pixel off mostly averages out; one that is missing mostly stays. Images only.
    """

    name = "local"
    positive = True
    images_only = True
    size: int = 3
    has_map = True

    def __post_init__(self):
        check_count("size", self.size)

    def terms(self, vae: VAE, x):
        """One a pixel."""
        error = x - vae.reconstruct(x)
        return ops.average_pool(error, self.size, strides=1, padding="same") ** 2


@dataclasses.dataclass(eq=False)
class RelativeError(LocalError):
    """Local error as a share of the image's energy ||x||^2; equation (6.3).

    What the model leaves unexplained, where 0 is nothing and about 1 everything. A squared error
    grows with the ink: it takes bold digits for anomalies, and misses thin ones.
    """

    name = "relative"

    def terms(self, vae: VAE, x):
        """One a pixel."""
        energy = ops.sum(x**2, axis=tuple(range(1, len(x.shape))), keepdims=True)
        return super().terms(vae, x) / (energy + 1e-6)  # a black image has no energy
