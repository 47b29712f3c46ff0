"""Without labels: a prior that is a mixture of normals."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import ops

from .. import losses
from ..checks import check_count, check_input, check_seed
from ..model import VAE


@keras.saving.register_keras_serializable(package="vae_lib")
class MixtureVAE(VAE):
    """A VAE whose prior p(z) is a learned mixture of diagonal normals; Jiang et al. (2017), "VaDE".

    Args:
        components: number of normals in the prior.

    The other arguments are those of `VAE`. The KL term has no closed form here: training and
    `evaluate` estimate it from one draw, log q(z given x) - log p(z), without bias, so that the
    ELBO stays a lower bound on log p(x); `kl` may be below 0 for single images.
    """

    def __init__(self, components: int = 10, **kwargs):
        check_count("components", components)
        self.components = int(components)  # before the rest, since that calls `build`
        super().__init__(**kwargs)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the prior; its means differ from the start, or all components would stay one."""
        if not self.built:
            shape = (self.components, self.latent_dim)
            start = "zeros" if self.components == 1 else keras.initializers.RandomNormal(stddev=1.0)
            self.prior_mean = self.add_weight(shape=shape, initializer=start, name="prior_mean")
            self.prior_log_var = self.add_weight(
                shape=shape, initializer="zeros", name="prior_log_var"
            )
            self.prior_logits = self.add_weight(
                shape=shape[:1], initializer="zeros", name="prior_logits"
            )
        super().build(input_shape)

    def log_prior(self, z):
        """log p(z) of the mixture, (n,), in nats."""
        check_input(z, (self.latent_dim,), unit_interval=False, name="z")
        return ops.logsumexp(self._log_joint(z), axis=-1)

    def responsibilities(self, x):
        """p(component given z) at z = the posterior mean: (n, components), rows sum to 1."""
        return ops.softmax(self._log_joint(self.encode(x)[0]), axis=-1)

    def sample(self, eps=None, n: int = 16, seed: int | None = None):
        """Images E[x given z] decoded from `eps` (n, latent_dim), or from n draws of the prior."""
        if eps is None:
            if not tf.is_tensor(n):
                check_count("n", n)
            if seed is not None:
                check_seed("seed", seed)
            noise = self.noise if seed is None else keras.random.SeedGenerator(int(seed))
            which = keras.random.categorical(self.prior_logits[None], n, seed=noise)[0]
            mean, log_var = (
                ops.take(w, which, axis=0) for w in (self.prior_mean, self.prior_log_var)
            )
            eps = self.reparameterize(mean, log_var, seed=noise)
        check_input(eps, (self.latent_dim,), unit_interval=False, name="eps")
        return self.decode(eps, apply_sigmoid=True)

    def kl(self, y_pred):
        """log q(z given x) - log p(z) at the z of the pass: (n,), in nats."""
        log_q = losses.log_posterior(y_pred["eps"], y_pred["log_var"])
        return log_q - self.log_prior(y_pred["z"])

    def get_config(self):
        """Everything that `from_config` needs."""
        return {**super().get_config(), "components": self.components}

    def _log_joint(self, z):
        mean, log_var = self.prior_mean, self.prior_log_var
        return ops.log_softmax(self.prior_logits) + losses.log_normal(z[:, None], mean, log_var)
