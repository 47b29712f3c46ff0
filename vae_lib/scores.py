"""Anomaly scores of a trained VAE: one number an image, and higher is more anomalous.

`score(vae, images)` gives (n,) floats. Images go through the model in blocks of one size, the last
one padded, and Monte Carlo scores use the same draws for every image: so a score depends neither on
the batch that an image came in, nor on the call. Scores with a `fit` learn what is usual from
normal images, best from some that the model was not trained on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from sklearn.covariance import LedoitWolf

from . import losses
from .checks import check_count, check_input
from .model import VAE

BLOCK = 16  # images: few enough for one image to be quick, enough for many to be


class Score:
    """What all scores share. A subclass is a dataclass whose `terms` says what one block gives."""

    has_map = False  # whether `terms` are one a pixel
    learned: tuple[str, ...] = ()  # names of the arrays that `fit` sets

    def terms(self, vae: VAE, x):
        """What the score is the sum of, for each image: a tensor (n,) or (n, ...)."""
        raise NotImplementedError

    def fit(self, vae: VAE, images: np.ndarray) -> Score:
        """Learn from normal images what is usual. Most scores have nothing to learn."""
        return self

    def __call__(self, vae: VAE, images: np.ndarray) -> np.ndarray:
        """Scores (n,), float64. Raises a ValueError for images that do not fit the model."""
        return self._run(vae, images, _total)

    def map(self, vae: VAE, images: np.ndarray) -> np.ndarray:
        """The share of each pixel in the score, in the shape of the images; shares sum to it."""
        if not self.has_map:
            raise ValueError(f"score is {_label(self)}, which has no map; use one of {MAPS}")
        return self._run(vae, images, lambda terms: terms)

    def arguments(self) -> dict:
        """What makes a score like this one, as JSON knows it."""
        return dataclasses.asdict(self)

    def state(self) -> dict[str, np.ndarray]:
        """What `fit` has learned, by name."""
        return {name: getattr(self, name) for name in self.learned}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Take what another score of this kind has learned."""
        for name in self.learned:
            setattr(self, name, state[name])
        self._forget()

    def _run(self, vae: VAE, images: np.ndarray, reduce: Callable) -> np.ndarray:
        check_input(images, vae.data_shape, vae.likelihood.unit_interval, "images")
        for name in self.learned:
            if getattr(self, name, None) is None:
                raise ValueError(f"score is {_label(self)}, which has to be fitted: call fit")
        graphs = self.__dict__.setdefault("_graphs", {})
        if (key := (id(vae), reduce is _total)) not in graphs:  # the graph keeps the model alive
            spec = tf.TensorSpec((BLOCK, *vae.data_shape), "float32")
            graphs[key] = tf.function(lambda x: reduce(self.terms(vae, x)), input_signature=[spec])
        images = np.asarray(images, "float32")
        padded = np.concatenate([images, np.repeat(images[-1:], -len(images) % BLOCK, axis=0)])
        blocks = [
            graphs[key](tf.constant(padded[i : i + BLOCK])).numpy()
            for i in range(0, len(padded), BLOCK)
        ]
        return np.concatenate(blocks)[: len(images)].astype("float64")

    def _forget(self) -> None:
        self.__dict__.pop("_graphs", None)  # graphs hold what was learned as constants


def _total(terms):
    return ops.sum(terms, axis=tuple(range(1, len(terms.shape))))


@dataclasses.dataclass(eq=False)
class SquaredError(Score):
    """||x - E[x given z]||^2 at the posterior mean of z; equation (6.1)."""

    has_map = True

    def terms(self, vae: VAE, x):
        """One a pixel."""
        return (x - vae.reconstruct(x)) ** 2


@dataclasses.dataclass(eq=False)
class LocalError(Score):
    """Squared error after averaging over `size` x `size` pixels; equation (6.2).

    A stroke that is a pixel off cancels out; one that is missing does not. Images only.
    """

    size: int = 3
    has_map = True

    def __post_init__(self):
        check_count("size", self.size)

    def terms(self, vae: VAE, x):
        """One a pixel."""
        if len(vae.data_shape) != 3:
            expected = "expected a model of images (height, width, channels)"
            raise ValueError(
                f"score averages over pixels, data_shape is {vae.data_shape}; {expected}"
            )
        error = x - vae.reconstruct(x)
        return ops.average_pool(error, self.size, strides=1, padding="same") ** 2


@dataclasses.dataclass(eq=False)
class RelativeError(LocalError):
    """Local error as a share of the image's energy ||x||^2; equation (6.3).

    What the model leaves unexplained, where 0 is nothing and about 1 everything. A squared error
    grows with the ink: it takes bold digits for anomalies, and misses thin ones.
    """

    def terms(self, vae: VAE, x):
        """One a pixel."""
        energy = ops.sum(x**2, axis=tuple(range(1, len(x.shape))), keepdims=True)
        return super().terms(vae, x) / (energy + 1e-6)  # a black image has no energy


@dataclasses.dataclass(eq=False)
class NegativeLogLikelihood(Score):
    """-log p(x given z) at the posterior mean of z, in nats: `losses.reconstruction`.

    With `excess`, less what the best possible parameters would cost: for grey Bernoulli pixels that
    is the entropy of x, which says nothing about the model.
    """

    excess: bool = False
    has_map = True

    def terms(self, vae: VAE, x):
        """One a pixel."""
        log_prob = vae.likelihood.log_prob(x, vae.decode(vae.encode(x)[0]))
        return (vae.likelihood.best_log_prob(x) if self.excess else 0.0) - log_prob


@dataclasses.dataclass(eq=False)
class KL(Score):
    """KL(q(z given x) || p(z)), in nats: `losses.kl_divergence`."""

    def terms(self, vae: VAE, x):
        """One an image."""
        return losses.kl_divergence(*vae.encode(x))


@dataclasses.dataclass(eq=False)
class ReconstructionProbability(Score):
    """-E[log p(x given z)] over `draws` of z from q(z given x), in nats; An and Cho (2015)."""

    draws: int = 16
    seed: int = 0
    has_map = True

    def __post_init__(self):
        check_count("draws", self.draws)

    def sample(self, vae: VAE, x):
        """mean, log_var; z (draws, n, latent_dim); log p(x given z) of each pixel."""
        mean, log_var = vae.encode(x)
        shape = (self.draws, 1, vae.latent_dim)  # the same draws for every image
        eps = keras.random.normal(shape, seed=self.seed)
        z = mean + ops.exp(0.5 * log_var) * eps
        parameters = vae.decode(ops.reshape(z, (-1, vae.latent_dim)))
        parameters = ops.reshape(parameters, (self.draws, -1, *vae.data_shape))
        return mean, log_var, z, vae.likelihood.log_prob(x, parameters)

    def terms(self, vae: VAE, x):
        """One a pixel."""
        return -ops.mean(self.sample(vae, x)[-1], axis=0)


@dataclasses.dataclass(eq=False)
class NegativeELBO(ReconstructionProbability):
    """Reconstruction probability plus KL, in nats: minus `losses.elbo`."""

    has_map = False

    def terms(self, vae: VAE, x):
        """One an image."""
        mean, log_var, _, log_prob = self.sample(vae, x)
        return losses.kl_divergence(mean, log_var) - _total(ops.mean(log_prob, axis=0))


@dataclasses.dataclass(eq=False)
class ImportanceBound(ReconstructionProbability):
    """Minus `losses.importance_weighted_bound`, from the same `draws` of noise for every image."""

    draws: int = 50
    has_map = False

    def terms(self, vae: VAE, x):
        """One an image."""
        mean, log_var, z, log_prob = self.sample(vae, x)
        log_likelihood = ops.sum(log_prob, axis=tuple(range(2, len(log_prob.shape))))
        log_q = losses.log_normal(z, mean, log_var)
        log_weights = log_likelihood + losses.log_normal(z) - log_q
        return np.log(self.draws) - ops.logsumexp(log_weights, axis=0)


@dataclasses.dataclass(eq=False)
class LatentDistance(Score):
    """Squared Mahalanobis distance of the posterior mean from those of normal images.

    The covariance is shrunk after Ledoit and Wolf (2004), so that few images are enough.
    """

    learned = ("center", "whitening")

    def features(self, vae: VAE, x):
        """What the distance is measured in: (n, features)."""
        return vae.encode(x)[0]

    def terms(self, vae: VAE, x):
        """One for each direction."""
        return ((self.features(vae, x) - self.center) @ self.whitening) ** 2

    def fit(self, vae: VAE, images: np.ndarray) -> LatentDistance:
        """Mean and covariance of the features of normal images (n, *data_shape), n at least 2."""
        check_input(images, vae.data_shape, vae.likelihood.unit_interval, "images")
        if len(images) < 2:
            raise ValueError(f"images has {len(images)} example; expected two or more to fit on")
        features = ops.convert_to_numpy(self.features(vae, np.asarray(images, "float32")))
        estimate = LedoitWolf().fit(features.astype("float64"))
        root = np.linalg.cholesky(estimate.precision_ + 1e-9 * np.eye(features.shape[1]))
        self.center, self.whitening = estimate.location_.astype("f4"), root.astype("f4")
        self._forget()
        return self


@dataclasses.dataclass(eq=False)
class ActivationDistance(LatentDistance):
    """Mahalanobis distance between the hidden activations of x and of its reconstruction.

    After Kim et al. (2020), "RaPP", but as a share of the activations' own norm. A convolution's
    maps count by their root mean square, so that what is learned stays small.
    """

    def features(self, vae: VAE, x):
        """Difference of the activations of the encoder's hidden layers: (n, units)."""
        hidden = _hidden_layers(vae)
        activations = hidden(x), hidden(vae.reconstruct(x))
        parts = []
        for a, b in zip(*map(keras.tree.flatten, activations), strict=True):
            axes = tuple(range(1, len(a.shape) - 1))
            norm = ops.sqrt(ops.sum(a**2, axis=(*axes, -1), keepdims=True)) + 1e-6
            share = (a - b) / norm
            parts.append(ops.sqrt(ops.mean(share**2, axis=axes) + 1e-12) if axes else share)
        return ops.concatenate(parts, axis=-1)


def _hidden_layers(vae: VAE) -> keras.Model:
    kinds = (keras.layers.Dense, keras.layers.Conv2D)
    layers = vae.encoder.layers if hasattr(vae.encoder, "inputs") else []
    heads = {id(tensor) for tensor in vae.encoder.outputs} if layers else set()
    hidden = [
        layer.output
        for layer in layers
        if isinstance(layer, kinds) and id(layer.output) not in heads
    ]
    if not hidden:
        raise ValueError(
            "score is 'activations', which this encoder cannot give; expected a functional model "
            "with Dense or Conv2D layers before its heads"
        )
    return keras.Model(vae.encoder.input, hidden)


@dataclasses.dataclass(eq=False)
class Fusion(Score):
    """Mean of several scores, each on a log scale and standardised on normal images.

    Only scores that are never negative can take part.
    """

    parts: tuple[str, ...] = ("relative", "activations")
    learned = ("location", "scale")

    def __post_init__(self):
        self.parts = tuple(self.parts)
        if not self.parts or not set(self.parts) <= set(POSITIVE):
            raise ValueError(f"parts is {self.parts}; expected one or more of {POSITIVE}")
        self.scores = [get(name) for name in self.parts]

    def terms(self, vae: VAE, x):
        """One a part."""
        logs = ops.stack([ops.log(_total(s.terms(vae, x)) + 1e-9) for s in self.scores], axis=1)
        return (logs - self.location) / self.scale / len(self.parts)

    def state(self) -> dict[str, np.ndarray]:
        """Its own, and that of its parts with their names in front."""
        nested = zip(self.parts, self.scores, strict=True)
        return super().state() | {f"{n}.{k}": v for n, s in nested for k, v in s.state().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """The reverse of `state`."""
        super().set_state(state)
        for name, score in zip(self.parts, self.scores, strict=True):
            own = {k.removeprefix(f"{name}."): v for k, v in state.items()}
            score.set_state(own)

    def fit(self, vae: VAE, images: np.ndarray) -> Fusion:
        """Fit the parts, then standardise them, on normal images."""
        logs = [np.log(s.fit(vae, images)(vae, images) + 1e-9) for s in self.scores]
        self.location = np.mean(logs, axis=1).astype("f4")
        self.scale = (np.std(logs, axis=1) + 1e-6).astype("f4")
        self._forget()
        return self


SCORES: dict[str, type[Score]] = {
    "reconstruction": SquaredError,
    "local": LocalError,
    "relative": RelativeError,
    "likelihood": NegativeLogLikelihood,
    "kl": KL,
    "elbo": NegativeELBO,
    "bound": ImportanceBound,
    "probability": ReconstructionProbability,
    "latent": LatentDistance,
    "activations": ActivationDistance,
    "fusion": Fusion,
}
MAPS = tuple(name for name, score in SCORES.items() if score.has_map)
POSITIVE = ("reconstruction", "local", "relative", "kl", "latent", "activations")


def get(score: str | Score) -> Score:
    """A new score from its name in `SCORES`, or the object itself."""
    if isinstance(score, Score):
        return score
    if not isinstance(score, str) or score not in SCORES:
        raise ValueError(
            f"score is {score!r}; expected one of {tuple(SCORES)}, or an object of them"
        )
    return SCORES[score]()


def get_name(score: Score) -> str:
    """The name in `SCORES`; a ValueError for a score of your own, which has none."""
    for name, kind in SCORES.items():
        if type(score) is kind:
            return name
    raise ValueError(f"score is a {type(score).__name__}, which has no name; add it to SCORES")


def _label(score: Score) -> str:
    known = type(score) in SCORES.values()
    return repr(get_name(score)) if known else type(score).__name__
