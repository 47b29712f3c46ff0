"""How far what the encoder makes of an image is from what it makes of normal ones."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from sklearn.covariance import LedoitWolf

from ..checks import check_count, is_real
from ..model import VAE
from .base import Score
from .errors import residual

SMALLEST = 1e-3  # deviation of a residual: a column that every row has right may not decide alone


@dataclasses.dataclass(eq=False)
class LatentDistance(Score):
    """Squared Mahalanobis distance of the posterior mean from those of normal images.

    The covariance is shrunk after Ledoit and Wolf (2004), so that few images are enough.
    """

    name = "latent"
    positive = True
    fewest = 2
    learned = ("center", "whitening")

    def features(self, vae: VAE, x):
        """What the distance is measured in: (n, features)."""
        return vae.encode(x)[0]

    def terms(self, vae: VAE, x):
        """One for each direction."""
        features = self.features(vae, x)
        center, whitening = (ops.cast(a, features.dtype) for a in (self.center, self.whitening))
        return ((features - center) @ whitening) ** 2

    def fit(self, vae: VAE, images: np.ndarray, held_out=None) -> LatentDistance:
        """Mean and covariance of the features of normal images (n, *data_shape), n at least 2."""
        features = self.features(vae, self._normal(vae, images, self.fewest))
        features = ops.convert_to_numpy(features)
        if not np.isfinite(features).all():
            problem = f"score is {self.label()}, and what it learns from is not finite"
            raise ValueError(f"{problem}; expected a model without NaN in its weights")
        estimate = LedoitWolf().fit(features.astype("float64"))
        root = np.linalg.cholesky(estimate.precision_ + 1e-9 * np.eye(features.shape[1]))
        self._learn(vae, center=estimate.location_, whitening=root)
        return self


@dataclasses.dataclass(eq=False)
class ActivationDistance(LatentDistance):
    """Mahalanobis distance between the hidden activations of x and of its reconstruction.

    After Kim et al. (2020), "RaPP", but as a share of the activations' own norm. A convolution's
    maps count by their root mean square, so that what is learned stays small.
    """

    name = "activations"
    directions_only = True

    def check_model(self, vae: VAE) -> None:
        """The encoder must show hidden layers."""
        super().check_model(vae)
        _hidden_layers(vae)

    def features(self, vae: VAE, x):
        """Difference of the activations of the encoder's hidden layers: (n, units)."""
        hidden = _hidden_layers(vae)
        activations = (hidden(vae.standardise(image)) for image in (x, vae.reconstruct(x)))
        parts = []
        for pair in zip(*map(keras.tree.flatten, activations), strict=True):
            a, b = (ops.cast(part, vae.variable_dtype) for part in pair)
            axes = tuple(range(1, len(a.shape) - 1))
            norm = ops.sqrt(ops.sum(a**2, axis=(*axes, -1), keepdims=True)) + 1e-6
            share = (a - b) / norm
            parts.append(ops.sqrt(ops.mean(share**2, axis=axes) + 1e-12) if axes else share)
        return ops.concatenate(parts, axis=-1)


@dataclasses.dataclass(eq=False)
class NeighbourDistance(Score):
    """Mean cosine distance, in 0..2, to the `k` nearest normal images; equation (7.1).

    The cosine is the mean of two: between the activations of the encoder's last hidden layer, and
    between posterior means. An encoder that shows no hidden layer is asked for the second alone.
    The decoder takes no part: so a simple shape that any decoder draws well is no easy way past it.
    What the encoder makes of all images that it is fitted on is kept and compared with, `units +
    latent_dim` numbers an image (a convolution's units are all pixels of its last maps, thousands):
    the more images, the better, the slower and the larger.
    """

    name = "neighbours"
    positive = True
    directions_only = True
    k: int = 5
    learned = ("references",)

    def __post_init__(self):
        check_count("k", self.k)

    @property
    def fewest(self) -> int:
        """Each image has k neighbours."""
        return self.k

    def features(self, vae: VAE, x):
        """Activations and posterior means side by side, of length 1: (n, units + latent_dim)."""
        hidden = _hidden_outputs(vae)
        last = [keras.Model(vae.encoder.input, hidden[-1])(vae.standardise(x))] if hidden else []
        rows = [ops.reshape(part, (ops.shape(x)[0], -1)) for part in (*last, vae.encode(x)[0])]
        rows = [ops.cast(row, vae.variable_dtype) for row in rows]
        parts = [ops.normalize(row, axis=-1) for row in rows]
        return ops.concatenate(parts, axis=-1) / len(parts) ** 0.5

    def terms(self, vae: VAE, x):
        """One an image."""
        features = self.features(vae, x)
        similarities = features @ ops.transpose(ops.cast(self.references, features.dtype))
        nearest = ops.mean(ops.top_k(similarities, self.k)[0], axis=-1)
        return ops.maximum(1 - nearest, 0)  # a cosine may be rounded to a little more than 1

    def fit(self, vae: VAE, images: np.ndarray, held_out=None) -> NeighbourDistance:
        """Keep the features of normal images (n, *data_shape), n at least k."""
        images = self._normal(vae, images, self.fewest)
        self._learn(vae, references=self.features(vae, images))
        return self


@dataclasses.dataclass(eq=False)
class JointDistance(Score):
    """Mean distance to the `k` nearest normal rows, of the row and its residual: equation (9.1).

    The residual x - E[x given z] stands beside the row, in deviations of normal rows and times
    `weight`: two rows are alike if their columns are, and if the model is wrong about them in the
    same way. A column's share of the score is that of its differences in the squared distances. All
    rows of the fit are kept and compared with. For tables: of images it sees shifts as strange.
    """

    name = "joint"
    positive = True
    has_map = True
    k: int = 3
    weight: float = 0.4
    learned = ("deviation", "references")

    def __post_init__(self):
        check_count("k", self.k)
        if not (is_real(self.weight) and 0 <= self.weight < math.inf):
            raise ValueError(f"weight is {self.weight!r}; expected a finite number of at least 0")

    @property
    def fewest(self) -> int:
        """Each row has k neighbours."""
        return self.k

    def features(self, vae: VAE, x):
        """Row and weighed residual side by side: (n, 2 features)."""
        deviation = ops.cast(self.deviation, vae.variable_dtype)
        rows, residuals = _flat(vae.standardise(x)), _flat(residual(vae, x))
        return ops.concatenate([rows, self.weight * residuals / deviation], axis=-1)

    def terms(self, vae: VAE, x):
        """One a feature."""
        features = self.features(vae, x)
        references = ops.cast(self.references, features.dtype)
        products = features @ ops.transpose(references)
        closeness = 2 * products - ops.sum(references**2, axis=-1)  # |f|^2 changes no order
        nearest = ops.take(references, ops.top_k(closeness, self.k)[1], axis=0)
        squares = (features[:, None] - nearest) ** 2
        distances = ops.sqrt(ops.sum(squares, axis=-1, keepdims=True))
        shares = ops.mean(squares / ops.maximum(distances, 1e-12), axis=1)
        by_row, by_residual = ops.split(shares, 2, axis=-1)
        return ops.reshape(by_row + by_residual, (-1, *vae.data_shape))

    def fit(self, vae: VAE, images: np.ndarray, held_out=None) -> JointDistance:
        """Keep normal rows (n, *data_shape), n at least k.

        The residuals' deviation is that of held_out, or of the same rows without it.
        """
        images = self._normal(vae, images, self.fewest)
        new = images if held_out is None else self._normal(vae, held_out, 2, "held_out")
        deviation = np.std(_flat(residual(vae, new)), axis=0) + SMALLEST
        self.deviation = tf.constant(deviation, vae.variable_dtype)
        references = ops.convert_to_numpy(self.features(vae, images))
        self._learn(vae, deviation=deviation, references=references)
        return self


def _flat(x):
    return ops.reshape(x, (-1, math.prod(x.shape[1:])))


def _hidden_outputs(vae: VAE) -> list:
    """What the encoder's dense and convolution layers before its heads give, if it shows any."""
    kinds = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D)
    layers = vae.encoder.layers if hasattr(vae.encoder, "inputs") else []
    heads = {id(tensor) for tensor in vae.encoder.outputs} if layers else set()
    return [
        layer.output
        for layer in layers
        if isinstance(layer, kinds) and id(layer.output) not in heads
    ]


def _hidden_layers(vae: VAE) -> keras.Model:
    hidden = _hidden_outputs(vae)
    if not hidden:
        raise ValueError(
            "the score compares hidden activations, and this encoder shows none; expected a "
            "functional model with dense or convolution layers before its heads"
        )
    return keras.Model(vae.encoder.input, hidden)
