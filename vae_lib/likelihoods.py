"""p(x given z): what the decoder's output means, and how probable it makes an image.

A likelihood turns the decoder's parameters (one number a pixel and channel) into a log-probability
a pixel. Anything here is per pixel; `losses` sums over pixels. All values are in nats.
"""

from __future__ import annotations

import math

import keras
from keras import ops

from .checks import is_real

# Adam moves a weight by about its learning rate a step, whatever the gradient: at 0.001, sigma
# would take thousands of steps from 1 to 0.1. Ten times the pace lets it settle in a few epochs.
SPEED = 10.0


@keras.saving.register_keras_serializable(package="vae_lib")
class Bernoulli(keras.layers.Layer):
    """Each pixel is a coin with p(x = 1 given z) = sigmoid(logit); equation (2.2).

    The parameters are logits. Pixels must lie in 0..1. A grey pixel x counts as x of a one and
    1 - x of a zero: the cross-entropy, which is never below the entropy of x itself.
    """

    unit_interval = True

    def log_prob(self, x, parameters):
        """log p(x given z) for each pixel, in nats, at most 0; the shape of x."""
        # x log s(l) + (1 - x) log(1 - s(l)), where the large terms cancel on paper, not in floats
        return x * parameters - ops.softplus(parameters)

    def best_log_prob(self, x):
        """The largest log_prob that any logits reach: minus the entropy of each pixel, in nats."""
        return x * ops.log(ops.maximum(x, 1e-30)) + (1 - x) * ops.log(ops.maximum(1 - x, 1e-30))

    def mean(self, parameters):
        """E[x given z] = sigmoid(logits), in 0..1."""
        return ops.sigmoid(parameters)


@keras.saving.register_keras_serializable(package="vae_lib")
class Gaussian(keras.layers.Layer):
    """Each pixel is normal around the decoder's output, with deviation sigma; equation (2.3).

    The parameters are the means, without bounds. `sigma` is a positive number (fixed),
    "learned" (one number for all pixels) or "per_pixel" (one for each pixel and channel); the
    learned ones start at 1 and never fall below `min_sigma`, through a soft floor on log sigma
    after Rybkin, Daniilidis and Levine (2021), "Simple and Effective VAE Training with Calibrated
    Decoders": without it a pixel that is constant in the training data has an unbounded density.
    """

    unit_interval = False

    def __init__(self, sigma: float | str = "learned", min_sigma: float = 0.01, **kwargs):
        if is_real(sigma):
            valid, sigma = 0 < sigma < math.inf, float(sigma)  # JSON knows no NumPy numbers
        else:
            valid = isinstance(sigma, str) and sigma in ("learned", "per_pixel")
        if not valid:
            raise ValueError(
                f"sigma is {sigma!r}; expected a positive number, 'learned' or 'per_pixel'"
            )
        if not (is_real(min_sigma) and 0 < min_sigma < 1):
            raise ValueError(f"min_sigma is {min_sigma!r}; expected a number between 0 and 1")
        super().__init__(**kwargs)
        self._sigma, self.min_sigma = sigma, min_sigma

    def build(self, data_shape: tuple[int, ...]) -> None:
        """Create the learned sigma for data of shape (height, width, channels) or (features,)."""
        if not isinstance(self._sigma, str):
            return
        floor = math.log(self.min_sigma)
        start = math.log(math.expm1(-floor))  # so that log_sigma is 0 and sigma 1 at the start
        self.raw_log_sigma = self.add_weight(
            shape=tuple(data_shape) if self._sigma == "per_pixel" else (),
            initializer=keras.initializers.Constant(start / SPEED),
            name="raw_log_sigma",
        )

    @property
    def log_sigma(self):
        """log sigma, a scalar, or of the shape of one image for "per_pixel"."""
        if not isinstance(self._sigma, str):
            return math.log(self._sigma)
        if not self.built:
            raise ValueError(
                f"sigma is {self._sigma!r}, without a value; expected build(data_shape)"
            )
        return math.log(self.min_sigma) + ops.softplus(SPEED * self.raw_log_sigma)

    @property
    def sigma(self) -> float | str:
        """As it was given: a number, "learned" or "per_pixel"."""
        return self._sigma

    def assign(self, sigma: float) -> None:
        """Set a learned sigma, above `min_sigma`."""
        if isinstance(self._sigma, str):
            above = math.log(sigma) - math.log(self.min_sigma)
            raw = math.log(math.expm1(above)) / SPEED  # the inverse of `log_sigma`
            self.raw_log_sigma.assign(raw + 0 * self.raw_log_sigma)

    def log_prob(self, x, parameters):
        """log density of x given z for each pixel, in nats (above 0 where sigma is small)."""
        log_sigma = ops.cast(self.log_sigma, keras.backend.standardize_dtype(parameters.dtype))
        standardised = (x - parameters) * ops.exp(-log_sigma)
        return -0.5 * (math.log(2 * math.pi) + standardised**2) - log_sigma

    def best_log_prob(self, x):
        """The largest log_prob that any means reach: that of x itself, in nats."""
        return self.log_prob(x, x)

    def mean(self, parameters):
        """E[x given z]: the parameters themselves."""
        return parameters

    def get_config(self):
        """Arguments for `from_config`."""
        return {**super().get_config(), "sigma": self._sigma, "min_sigma": self.min_sigma}


def get(likelihood: str | keras.layers.Layer) -> keras.layers.Layer:
    """A likelihood from its name ("bernoulli", "gaussian"), or the object itself."""
    if isinstance(likelihood, (Bernoulli, Gaussian)):
        return likelihood
    if isinstance(likelihood, str) and likelihood in ("bernoulli", "gaussian"):
        return Bernoulli() if likelihood == "bernoulli" else Gaussian()
    raise ValueError(
        f"likelihood is {likelihood!r}; expected 'bernoulli', 'gaussian', or an object of theirs"
    )
