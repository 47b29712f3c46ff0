"""The variational autoencoder as an ordinary `keras.Model`.

Only what is particular to a VAE is overridden: the forward pass and the loss. Callbacks,
`sample_weight`, saving and `tf.distribute` are Keras's own; so are `fit`, `evaluate` and `predict`,
behind the checks of `batches.CheckedModel`.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import ops

from . import likelihoods, losses, networks
from .batches import CheckedModel, Form, arrays, is_stream
from .checks import (
    check_beta,
    check_count,
    check_input,
    check_networks,
    check_process,
    check_seed,
    check_shapes,
    check_sizes,
)

EVALUATION_SEED = 0  # `evaluate` draws the same noise each time, so that its ELBO is repeatable
POLICIES = ("float32", "float64", "mixed_float16", "mixed_bfloat16")
LARGEST_LOG_VAR = 30.0  # its exp is 1e13: beyond any posterior, and far from where float32 ends


@keras.saving.register_keras_serializable(package="vae_lib")
class VAE(CheckedModel):
    """Encoder q(z given x), decoder p(x given z) and their loss, in nats per example.

    Args:
        latent_dim: number of latent dimensions, at least 1.
        likelihood: "bernoulli", "gaussian", or an object from `likelihoods`.
        data_shape: (height, width, channels) of an image, (features,) for a table, or
            (time, channels) for windows of a series.
        network: "conv" for images, "conv1d" for windows, "dense" for any, or "linear", which
            `fit_linear` solves at once.
        hidden: filters or units of the encoder's layers; the decoder mirrors them. The default is
            (32, 64) for convolutions, (256,) for "dense" and none for "linear".
        beta: weight of the KL term (1 is the evidence lower bound).
        standardise: for tables and windows: whether the model takes them to mean 0 and deviation 1
            by column or channel, as the rows of the first `fit` have them, or those of `adapt`. All
            that goes in and comes out is in its own units; terms of the loss are of standardised
            rows.
        seed: of the sampling noise; None takes it from `keras.utils.set_random_seed`.
        encoder, decoder: your own Keras models instead of `network`, as `networks` describes them.

    Training minimises `loss` = `reconstruction` + beta `kl` (Kingma and Welling, 2014); a loss that
    is not finite ends it with a FloatingPointError. Raises a ValueError for wrong sizes, and for
    data of the wrong shape, type or range, wherever in a data set they come.
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
        standardise: bool = False,
        **kwargs,
    ):
        check_process()
        super().__init__(**kwargs)
        if self.dtype_policy.name not in POLICIES:
            raise ValueError(f"dtype is {self.dtype_policy.name!r}; expected one of {POLICIES}")
        make_encoder, make_decoder = networks.builders(network)
        check_beta(beta)
        if seed is not None:
            check_seed("seed", seed)
        data_shape, latent_dim, layers = check_sizes(
            data_shape, latent_dim, () if hidden is None else hidden
        )
        sizes = {} if hidden is None else {"hidden": layers}
        self.latent_dim, self.data_shape, self.network = latent_dim, data_shape, network
        likelihood = likelihoods.get(likelihood)
        check_standardise(standardise, data_shape, likelihood)
        with networks.policy(self.dtype_policy):
            own = encoder is not None, decoder is not None
            self.encoder = encoder if own[0] else make_encoder(data_shape, latent_dim, **sizes)
            self.decoder = decoder if own[1] else make_decoder(data_shape, latent_dim, **sizes)
            check_networks(self.encoder, self.decoder, data_shape, latent_dim)
            if likelihood.built or likelihood.dtype_policy != self.dtype_policy:
                # another model's, or just loaded: this model gets its own sigma
                config = {**likelihood.get_config(), "dtype": self.dtype_policy.name}
                likelihood = likelihood.from_config(config)
            self.likelihood = likelihood
            self.likelihood.build(data_shape)
        self.beta = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(beta), trainable=False, name="beta"
        )
        self.columns = None
        if standardise:
            self.columns = networks.Columns(data_shape[-1], dtype=self.variable_dtype)
            self.autocast = False  # float16 ends at 65,504, and a table's own units do not
        self.noise = keras.random.SeedGenerator(seed)
        self.reconstruction_mean = keras.metrics.Mean(name="reconstruction")
        self.kl_mean = keras.metrics.Mean(name="kl")
        self._config = {
            "network": network,
            "hidden": None if hidden is None else layers,
            "seed": None if seed is None else int(seed),
            "own": own,
            "standardise": bool(standardise),
        }
        self.build((None, *data_shape))

    def build(self, input_shape: Sequence[int | None]) -> None:
        """All weights exist already; Keras's `export` wants to know the shape of x."""
        self.built = True

    def encode(self, x):
        """mean and log-variance of q(z given x), each (n, latent_dim)."""
        self._check(x)
        mean, log_var = self.encoder(self.standardise(x))
        log_var = bounded(ops.cast(log_var, self.variable_dtype))
        return ops.cast(mean, self.variable_dtype), log_var

    def reparameterize(self, mean, log_var, seed=None, eps=None):
        """z = mean + exp(log_var / 2) eps: gradients reach both; equation (3.2).

        eps ~ N(0, I) is drawn by `seed`, or given in the shape of mean.
        """
        check_shapes("number", mean=mean, log_var=log_var, eps=0.0 if eps is None else eps)
        eps = self.draw(mean, seed) if eps is None else eps
        return mean + ops.exp(0.5 * log_var) * eps

    def draw(self, mean, seed=None):
        """eps ~ N(0, I) in the shape of mean, by the model's own noise unless a seed is given."""
        seed = self.noise if seed is None else seed
        return keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=seed)

    def decode(self, z, apply_sigmoid: bool = False):
        """The likelihood's parameters (Bernoulli: logits), or E[x given z] with `apply_sigmoid`."""
        check_input(z, (self.latent_dim,), unit_interval=False, name="z")
        parameters = ops.cast(self.decoder(z), self.variable_dtype)
        return self.expected(parameters) if apply_sigmoid else parameters

    def sample(self, eps=None, n: int = 16, seed: int | None = None):
        """Images E[x given z] decoded from `eps` (n, latent_dim), or from n draws of the prior."""
        if eps is None:
            if not tf.is_tensor(n):
                check_count("n", n)
            if seed is not None:
                check_seed("seed", seed)
                seed = keras.random.SeedGenerator(int(seed))
            eps = self.draw_prior(n, self.noise if seed is None else seed)
        check_input(eps, (self.latent_dim,), unit_interval=False, name="eps")
        return self.decode(eps, apply_sigmoid=True)

    def draw_prior(self, n: int, noise: keras.random.SeedGenerator):
        """n draws of z from the prior p(z), (n, latent_dim)."""
        return keras.random.normal((n, self.latent_dim), dtype=self.variable_dtype, seed=noise)

    def reconstruct(self, x):
        """E[x given z] at z = the posterior mean: deterministic, in the shape of x."""
        return self.decode(self.encode(x)[0], apply_sigmoid=True)

    def call(self, x, training: bool = False):
        """One pass with one draw of eps: a dict of mean, log_var, eps, z, decoder parameters."""
        mean, log_var = self.encode(x)
        eps = self.draw(mean, seed=None if training else EVALUATION_SEED)
        z = self.reparameterize(mean, log_var, eps=eps)
        parameters = self.decode(z)
        return {"mean": mean, "log_var": log_var, "eps": eps, "z": z, "parameters": parameters}

    def standardise(self, x):
        """x as the likelihood takes it: of a table with `standardise`, by column."""
        return x if self.columns is None else self.columns.standardise(x)

    def expected(self, parameters):
        """E[x given z] from the likelihood's parameters, in the units of x."""
        mean = self.likelihood.mean(parameters)
        return mean if self.columns is None else self.columns.restore(mean)

    def adapt(self, x) -> None:
        """Take the columns' means and deviations from the rows x; `fit` does so for its first x.

        Raises a ValueError for a model without `standardise`, and for rows that do not fit.
        """
        if self.columns is None:
            raise ValueError("standardise is False; expected a model with standardise=True")
        self.columns.adapt(rows for rows, _ in arrays(x, self.form()))

    def fit(self, x=None, y=None, **kwargs):
        """As in Keras; where columns are standardised, the first x tells how."""
        if not (self.columns is None or self.columns.adapted):
            self.adapt(x)
        return super().fit(x, y, **kwargs)

    def kl(self, y_pred):
        """The KL term of each example, (n,), in nats, from what `call` gives."""
        return losses.kl_divergence(y_pred["mean"], y_pred["log_var"])

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Negative ELBO in nats: the (weighted) mean over the batch of reconstruction + beta kl."""
        x = ops.cast(x, self.variable_dtype)  # Keras makes 32-bit batches for 64-bit models
        x = self.standardise(x)
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

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Metrics of `compile`, of x and its reconstruction from the pass's z."""
        redrawn = self.expected(y_pred["parameters"])
        return super().compute_metrics(x, x, redrawn, sample_weight)

    def predict_step(self, batch):
        """What `predict` does with one batch."""
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        return self.reconstruct(x)

    def form(self, name: str = "x") -> Form:
        """What x must look like, for `batches`."""
        return Form(self.data_shape, self.likelihood.unit_interval, name)

    def _check(self, x) -> None:
        if is_stream(x):
            raise ValueError(f"x is a {type(x).__name__}; expected one batch, as an array")
        check_input(x, *self.form())
        if self.columns is not None and not self.columns.adapted:
            raise ValueError("the columns' scale is not known yet; expected fit or adapt before")

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
            "standardise": self._config["standardise"],
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


def check_standardise(standardise: bool, data_shape: Sequence[int], likelihood) -> None:
    """Raise a ValueError where there are no columns to standardise."""
    if not isinstance(standardise, bool):
        raise ValueError(f"standardise is {standardise!r}; expected True or False")
    if standardise and (len(data_shape) > 2 or likelihood.unit_interval):
        found = f"data_shape {data_shape} and a {type(likelihood).__name__} likelihood"
        expected = "tables, (features,), and windows, (time, channels), with 'gaussian'"
        raise ValueError(f"standardise is for {expected}; found {found}")


@ops.custom_gradient
def bounded(log_var):
    """log_var below what float32 can no longer exp; the gradient passes, so that it comes back.

    Only inputs far from all training data reach the bound, and would give an infinite KL.
    """
    return ops.minimum(log_var, LARGEST_LOG_VAR), lambda upstream: upstream
