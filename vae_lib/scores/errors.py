"""How far an image is from its reconstruction, and how unlikely it is under the model, in nats."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
from keras import ops

from .. import losses
from ..checks import check_count, check_seed
from ..model import VAE
from .base import Score, total


@dataclasses.dataclass(eq=False)
class SquaredError(Score):
    """||x - E[x given z]||^2 at the posterior mean of z; equation (6.1).

    Of a model that standardises its columns, in standard deviations.
    """

    name = "reconstruction"
    positive = True
    has_map = True

    def terms(self, vae: VAE, x):
        """One a pixel."""
        return residual(vae, x) ** 2


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
        return local_mean(residual(vae, x), self.size) ** 2


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


@dataclasses.dataclass(eq=False)
class LargestError(LocalError):
    """The largest squared error after averaging it over `size` x `size` pixels; equation (6.4).

    A sum over the image lets a small defect drown in the errors of all other pixels.
    """

    name = "largest"
    size: int = 5
    has_map = False

    def terms(self, vae: VAE, x):
        """One an image."""
        return ops.max(local_mean(residual(vae, x) ** 2, self.size), axis=(1, 2, 3))


@dataclasses.dataclass(eq=False)
class NegativeLogLikelihood(Score):
    """-log p(x given z) at the posterior mean of z, in nats: `losses.reconstruction`.

    With `excess`, less what the best possible parameters would cost: for grey Bernoulli pixels that
    is the entropy of x, which says nothing about the model.
    """

    name = "likelihood"
    excess: bool = False
    has_map = True

    def __post_init__(self):
        if not isinstance(self.excess, bool):
            raise ValueError(f"excess is {self.excess!r}; expected True or False")

    def terms(self, vae: VAE, x):
        """One a pixel."""
        parameters = vae.decode(vae.encode(x)[0])
        x = vae.standardise(x)
        log_prob = vae.likelihood.log_prob(x, parameters)
        return (vae.likelihood.best_log_prob(x) if self.excess else 0.0) - log_prob


@dataclasses.dataclass(eq=False)
class KL(Score):
    """KL(q(z given x) || p(z)), in nats: `losses.kl_divergence`."""

    name = "kl"
    standard_prior = True
    positive = True

    def terms(self, vae: VAE, x):
        """One an image."""
        return losses.kl_divergence(*vae.encode(x))


@dataclasses.dataclass(eq=False)
class ReconstructionProbability(Score):
    """-E[log p(x given z)] over `draws` of z from q(z given x), in nats; An and Cho (2015)."""

    name = "probability"
    draws: int = 16
    seed: int = 0
    has_map = True

    def __post_init__(self):
        check_count("draws", self.draws)
        check_seed("seed", self.seed)

    def sample(self, vae: VAE, x):
        """mean, log_var; eps; z (draws, n, latent_dim); log p(x given z) of each pixel."""
        mean, log_var = vae.encode(x)
        shape = (self.draws, 1, vae.latent_dim)  # the same draws for every image
        eps = keras.random.normal(shape, dtype=mean.dtype, seed=self.seed)
        z = mean + ops.exp(0.5 * log_var) * eps
        parameters = vae.decode(ops.reshape(z, (-1, vae.latent_dim)))
        parameters = ops.reshape(parameters, (self.draws, -1, *vae.data_shape))
        return mean, log_var, eps, z, vae.likelihood.log_prob(vae.standardise(x), parameters)

    def terms(self, vae: VAE, x):
        """One a pixel."""
        return -ops.mean(self.sample(vae, x)[-1], axis=0)


@dataclasses.dataclass(eq=False)
class NegativeELBO(ReconstructionProbability):
    """Reconstruction probability plus KL, in nats: minus `losses.elbo`."""

    name = "elbo"
    standard_prior = True
    has_map = False

    def terms(self, vae: VAE, x):
        """One an image."""
        mean, log_var, _, _, log_prob = self.sample(vae, x)
        return losses.kl_divergence(mean, log_var) - total(ops.mean(log_prob, axis=0))


@dataclasses.dataclass(eq=False)
class ImportanceBound(ReconstructionProbability):
    """Minus `losses.importance_weighted_bound`, from the same `draws` of noise for every image."""

    name = "bound"
    standard_prior = True
    draws: int = 50
    has_map = False

    def terms(self, vae: VAE, x):
        """One an image."""
        _, log_var, eps, z, log_prob = self.sample(vae, x)
        log_likelihood = ops.sum(log_prob, axis=tuple(range(2, len(log_prob.shape))))
        log_q = losses.log_posterior(eps, log_var)
        log_weights = log_likelihood + losses.log_normal(z) - log_q
        return np.log(self.draws) - ops.logsumexp(log_weights, axis=0)


def residual(vae: VAE, x):
    """x - E[x given z] at the posterior mean; of standardised columns where the model has them."""
    return vae.standardise(x) - vae.likelihood.mean(vae.decode(vae.encode(x)[0]))


def local_mean(images, size: int):
    """Mean over the size x size pixels around each, as far as they are in the image."""
    return _running_mean(_running_mean(images, size, axis=1), size, axis=2)


def _running_mean(images, size: int, axis: int):
    """A sum of slices: ten times as fast on a processor as Keras's `average_pool`."""
    length, before = images.shape[axis], (size - 1) // 2
    widths, shape = [(0, 0)] * 4, [1] * 4
    widths[axis], shape[axis] = (before, size - 1 - before), length
    padded, whole = ops.pad(images, widths), (slice(None),) * axis
    sums = sum(padded[(*whole, slice(i, i + length))] for i in range(size))
    within = [min(i + size - before, length) - max(i - before, 0) for i in range(length)]
    return sums / ops.reshape(ops.cast(within, images.dtype), shape)
