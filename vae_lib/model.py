"""The variational autoencoder as an ordinary `keras.Model`.

Only what is particular to a VAE is overridden: the forward pass and the loss. `fit`, callbacks,
`sample_weight`, `evaluate`, saving and `tf.distribute` are Keras's own.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from . import likelihoods, losses, networks
from .checks import check_input, check_networks, check_sizes

EVALUATION_SEED = 0  # `evaluate` draws the same noise each time, so that its ELBO is repeatable


@keras.saving.register_keras_serializable(package="vae_lib")
class VAE(keras.Model):
    """Encoder q(z given x), decoder p(x given z) and their loss, in nats per example.

    Args:
        latent_dim: number of latent dimensions, at least 1.
        likelihood: "bernoulli", "gaussian", or an object from `likelihoods`.
        data_shape: (height, width, channels) of an image, or (features,) for a table.
        network: "conv" or "dense".
        hidden: filters or units of the encoder's layers; the decoder mirrors them. The default is
            (32, 64) for "conv" and (256,) for "dense".
        beta: weight of the KL term (1 is the evidence lower bound).
        seed: of the sampling noise; None takes it from `keras.utils.set_random_seed`.
        encoder, decoder: your own Keras models instead of `network`, as `networks` describes them.

    Training minimises `loss` = `reconstruction` + beta `kl` (Kingma and Welling, 2014). Raises a
    ValueError for wrong sizes, and for data of the wrong shape, type or range.
    """

    def __init__(
        self,
        latent_dim: int = 16,
        likelihood: str | keras.layers.Layer = "bernoulli",
        data_shape: Sequence[int] = (28, 28, 1),
        network: str = "conv",
        hidden: Sequence[int] | None = None,
        beta: float = 1.0,
        seed: int | None = None,
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if network not in ("conv", "dense"):
            raise ValueError(f"network is {network!r}; expected 'conv' or 'dense'")
        if not (isinstance(beta, numbers.Real) and 0 <= beta < float("inf")):
            raise ValueError(f"beta is {beta!r}; expected a finite number of at least 0")
        data_shape, latent_dim, layers = check_sizes(data_shape, latent_dim, hidden or ())
        sizes = {} if hidden is None else {"hidden": layers}
        self.latent_dim, self.data_shape = latent_dim, data_shape
        make_encoder, make_decoder = {
            "conv": (networks.conv_encoder, networks.conv_decoder),
            "dense": (networks.dense_encoder, networks.dense_decoder),
        }[network]
        self.encoder = encoder or make_encoder(data_shape, latent_dim, **sizes)
        self.decoder = decoder or make_decoder(data_shape, latent_dim, **sizes)
        check_networks(self.encoder, self.decoder, data_shape, latent_dim)
        likelihood = likelihoods.get(likelihood)
        if likelihood.built:  # another model's, or just loaded: this model gets its own sigma
            likelihood = likelihood.from_config(likelihood.get_config())
        self.likelihood = likelihood
        self.likelihood.build(data_shape)
        self.beta = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(beta), trainable=False, name="beta"
        )
        self.noise = keras.random.SeedGenerator(seed)
        self.reconstruction_mean = keras.metrics.Mean(name="reconstruction")
        self.kl_mean = keras.metrics.Mean(name="kl")
        self._config = {
            "network": network,
            "hidden": None if hidden is None else layers,
            "seed": seed,
            "own": (encoder is not None, decoder is not None),
        }
        self.build((None, *data_shape))

    def build(self, input_shape: Sequence[int | None]) -> None:
        """All weights exist already; Keras's `export` wants to know the shape of x."""
        self.built = True

    def encode(self, x):
        """mean and log-variance of q(z given x), each (n, latent_dim)."""
        self._check(x)
        mean, log_var = self.encoder(x)
        return ops.cast(mean, self.variable_dtype), ops.cast(log_var, self.variable_dtype)

    def reparameterize(self, mean, log_var, seed=None):
        """z = mean + exp(log_var / 2) eps, eps ~ N(0, I): gradients reach both; equation (3.2)."""
        seed = self.noise if seed is None else seed
        eps = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=seed)
        return mean + ops.exp(0.5 * log_var) * eps

    def decode(self, z, apply_sigmoid: bool = False):
        """The likelihood's parameters (Bernoulli: logits), or E[x given z] with `apply_sigmoid`."""
        parameters = ops.cast(self.decoder(z), self.variable_dtype)
        return self.likelihood.mean(parameters) if apply_sigmoid else parameters

    def sample(self, eps=None, n: int = 16, seed: int | None = None):
        """Images E[x given z] decoded from `eps` (n, latent_dim), or from n draws of the prior."""
        if eps is None:
            seed = self.noise if seed is None else seed
            eps = keras.random.normal((n, self.latent_dim), seed=seed)
        return self.decode(eps, apply_sigmoid=True)

    def reconstruct(self, x):
        """E[x given z] at z = the posterior mean: deterministic, in the shape of x."""
        return self.decode(self.encode(x)[0], apply_sigmoid=True)

    def call(self, x, training: bool = False):
        """One pass with one noise sample: a dict of mean, log_var, z and decoder parameters."""
        mean, log_var = self.encode(x)
        z = self.reparameterize(mean, log_var, seed=None if training else EVALUATION_SEED)
        return {"mean": mean, "log_var": log_var, "z": z, "parameters": self.decode(z)}

    def kl(self, y_pred):
        """The KL term of each example, (n,), in nats, from what `call` gives."""
        return losses.kl_divergence(y_pred["mean"], y_pred["log_var"])

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Negative ELBO in nats: the (weighted) mean over the batch of reconstruction + beta kl."""
        reconstruction = losses.reconstruction(self.likelihood, x, y_pred["parameters"])
        kl = self.kl(y_pred)
        if sample_weight is not None:
            weight = ops.reshape(ops.cast(sample_weight, kl.dtype), ops.shape(kl))
            reconstruction, kl = weight * reconstruction, weight * kl
        self.reconstruction_mean.update_state(reconstruction)
        self.kl_mean.update_state(kl)
        loss = -ops.mean(losses.elbo(reconstruction, kl, self.beta))
        loss += sum(self.losses)  # regularisers of your own networks
        # tf.distribute sums gradients over replicas; Keras multiplies the reported loss back
        return loss / tf.distribute.get_strategy().num_replicas_in_sync

    def predict_step(self, batch):
        """What `predict` does with one batch."""
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        return self.reconstruct(x)

    def fit(self, x=None, y=None, *, validation_data=None, sample_weight=None, **kwargs):
        """As in Keras; x is an array (n, *data_shape) or a tf.data.Dataset of batches."""
        self._check(x)
        y = _target(x, y, sample_weight)
        if isinstance(validation_data, (tuple, list)):
            x_val, y_val, weight = keras.utils.unpack_x_y_sample_weight(tuple(validation_data))
            self._check(x_val, "validation_data")
            validation_data = (x_val, _target(x_val, y_val, weight), weight)
        elif validation_data is not None:
            self._check(validation_data, "validation_data")
        return super().fit(
            x, y, validation_data=validation_data, sample_weight=sample_weight, **kwargs
        )

    def evaluate(self, x=None, y=None, *, sample_weight=None, **kwargs):
        """As in Keras; one-sample estimates of the terms, with the same noise in every batch.

        Two calls agree exactly; compare models at the same `batch_size`.
        """
        self._check(x)
        y = _target(x, y, sample_weight)
        return super().evaluate(x, y, sample_weight=sample_weight, **kwargs)

    def predict(self, x, *args, **kwargs):
        """As in Keras; reconstructions E[x given z] at the posterior mean, in the shape of x."""
        self._check(x)
        return super().predict(x, *args, **kwargs)

    def _check(self, x, name: str = "x") -> None:
        check_input(x, self.data_shape, self.likelihood.unit_interval, name)

    def get_config(self):
        """Everything that `from_config` needs; own networks and likelihoods are nested."""
        encoder, decoder = (
            keras.saving.serialize_keras_object(model) if own else None
            for model, own in zip((self.encoder, self.decoder), self._config["own"], strict=True)
        )
        return {
            **super().get_config(),
            "latent_dim": self.latent_dim,
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
            "data_shape": self.data_shape,
            "network": self._config["network"],
            "hidden": self._config["hidden"],
            "beta": float(self.beta.numpy()),
            "seed": self._config["seed"],
            "encoder": encoder,
            "decoder": decoder,
        }

    @classmethod
    def from_config(cls, config):
        """The model that `get_config` describes, with new weights."""
        nested = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("likelihood", "encoder", "decoder")
            if config[name] is not None
        }
        return cls(**{**config, **nested})


def _target(x, y, sample_weight):
    """A y that nothing reads: without one, Keras drops the weights of arrays in silence."""
    dropped = y is None and sample_weight is not None and hasattr(x, "shape")
    return np.zeros(len(x)) if dropped else y
