"""Many normal classes: a conditional VAE where labels exist, a mixture prior where they do not."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from . import losses, networks
from .batches import asserted, is_stream
from .checks import check_count, check_input, check_labels, check_sizes, plain_array
from .model import VAE, bounded


class Given:
    """A `ConditionalVAE` under one class: `scores` and `losses` use it as they use a VAE."""

    reparameterize, draw, reconstruct = VAE.reparameterize, VAE.draw, VAE.reconstruct
    sample, draw_prior, form, __call__ = VAE.sample, VAE.draw_prior, VAE.form, VAE.call
    standardise, expected = VAE.standardise, VAE.expected

    def __init__(self, model: ConditionalVAE, y):
        self.model, self.y = model, y
        names = ("data_shape", "latent_dim", "likelihood", "noise", "variable_dtype", "beta")
        for name in (*names, "columns"):
            setattr(self, name, getattr(model, name))
        self.encoder, self.decoder = model.encoder, model.decoder

    def __reduce__(self):
        return Given, (self.model, self.y)  # a copy's parts are those of the copy's model

    def encode(self, x):
        """mean and log-variance of q(z given x, class), each (n, latent_dim)."""
        self.model._check(x)
        mean, log_var = self.encoder(self.standardise(x), self._one_hot(x))
        log_var = bounded(ops.cast(log_var, self.variable_dtype))
        return ops.cast(mean, self.variable_dtype), log_var

    def decode(self, z, apply_sigmoid: bool = False):
        """The likelihood's parameters, or E[x given z, class] with `apply_sigmoid`."""
        check_input(z, (self.latent_dim,), unit_interval=False, name="z")
        parameters = ops.cast(self.decoder(z, self._one_hot(z)), self.variable_dtype)
        return self.expected(parameters) if apply_sigmoid else parameters

    def _one_hot(self, x):
        classes = ops.broadcast_to(ops.cast(self.y, "int32"), (ops.shape(x)[0],))
        return ops.one_hot(classes, self.model.classes)


@keras.saving.register_keras_serializable(package="vae_lib")
class ConditionalVAE(VAE):
    """p(x given z, y) and q(z given x, y) for a known class y; Sohn, Lee and Yan (2015).

    Args:
        classes: number of classes; labels are integers in 0..classes-1.
        encoder, decoder: your own Keras models of [x, y] and [z, y], y as one-hot (n, classes).

    The other arguments are those of `VAE`. To `fit`, `evaluate`, `predict`, `encode`, `decode` and
    `reconstruct` add y, integers (n,); a tf.data.Dataset has batches (x, y) or (x, y, weight). For
    a new image, whose class nobody knows, `given(c)` is the model under class c.
    """

    def __init__(
        self,
        classes: int,
        latent_dim: int = 16,
        likelihood: str | layers.Layer = "bernoulli",
        data_shape: Sequence[int] = (28, 28, 1),
        network: str = "conv",
        hidden: Sequence[int] | None = None,
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        **kwargs,
    ):
        check_count("classes", classes)
        data_shape, latent_dim, units = check_sizes(
            data_shape, latent_dim, () if hidden is None else hidden
        )
        for name, part in (("encoder", encoder), ("decoder", decoder)):
            if not (part is None or isinstance(part, keras.Layer)):
                found = f"{name} is a {type(part).__name__}"
                raise ValueError(f"{found}; expected a Keras model or layer")
        own, classes = (encoder is not None, decoder is not None), int(classes)
        sizes = {} if hidden is None else {"hidden": units}
        plan = (network, data_shape, latent_dim, classes, sizes)
        pair = {
            "encoder": Conditioned(encoder if own[0] else _encoder(*plan), classes),
            "decoder": Conditioned(decoder if own[1] else _decoder(*plan), classes),
        }
        super().__init__(latent_dim, likelihood, data_shape, network, hidden, **pair, **kwargs)
        self._own, self._config["own"] = own, (False, False)  # `get_config` unpacks them
        self.classes = classes
        self._given: dict[int, Given] = {}

    def given(self, c: int) -> Given:
        """This model under class c, with the same weights."""
        check_labels([c], 1, self.classes, "c")
        return self._given.setdefault(int(c), Given(self, int(c)))

    def encode(self, x, y=None):
        """mean and log-variance of q(z given x, y), each (n, latent_dim)."""
        self._check(x)
        return self._at(x, y).encode(x)

    def decode(self, z, y=None, apply_sigmoid: bool = False):
        """The likelihood's parameters, or E[x given z, y] with `apply_sigmoid`."""
        check_input(z, (self.latent_dim,), unit_interval=False, name="z")
        return self._at(z, y).decode(z, apply_sigmoid)

    def reconstruct(self, x, y=None):
        """E[x given z, y] at z = the posterior mean: deterministic, in the shape of x."""
        self._check(x)
        return self._at(x, y).reconstruct(x)

    def sample(self, eps=None, n: int = 16, seed: int | None = None, classes=None):
        """E[x given z, y] from `eps`, or n draws of the prior; `classes` is one, or one a sample.

        Without `classes` the samples go through them in turn: 0, 1, 2, ...
        """
        if eps is None:
            check_count("n", n)
        else:
            check_input(eps, (self.latent_dim,), unit_interval=False, name="eps")
            n = len(eps)
        y = np.arange(n) % self.classes if classes is None else plain_array(classes, "classes")
        y = np.full(n, y) if y.ndim == 0 else y
        check_labels(y, n, self.classes, "classes")
        return Given(self, y).sample(eps, n, seed)

    def call(self, inputs, training: bool = False):
        """One pass for inputs = (x, y): as in `VAE`."""
        if not (isinstance(inputs, (tuple, list)) and len(inputs) == 2):
            raise ValueError(f"inputs is a {type(inputs).__name__}; expected (x, y)")
        return self._at(*inputs)(inputs[0], training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Negative conditional ELBO in nats, of x = (images, labels): as in `VAE`."""
        return super().compute_loss(x[0], y, y_pred, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Metrics of `compile`, of the images and their reconstruction: as in `VAE`."""
        return super().compute_metrics(x[0], y, y_pred, sample_weight)

    def predict_step(self, batch):
        """What `predict` does with one batch."""
        (x, y), _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        return self.reconstruct(x, y)

    def predict(self, x, y=None, **kwargs):
        """As in Keras; reconstructions E[x given z, y], in the shape of x."""
        return self._predict(self._prepare(x, y)[0], **kwargs)

    def get_config(self):
        """Everything that `from_config` needs."""
        config = {**super().get_config(), "classes": self.classes}
        for name, own in zip(("encoder", "decoder"), self._own, strict=True):
            network = getattr(self, name).network
            config[name] = keras.saving.serialize_keras_object(network) if own else None
        return config

    def _at(self, x, y) -> Given:
        check_labels(y, x.shape[0], self.classes)
        return Given(self, y)

    def _prepare(self, x, y=None, sample_weight=None, name: str = "x"):
        """(x, y) as the model's input, and y once more, since Keras wants a target beside it."""
        if is_stream(x) and y is not None:
            raise ValueError(f"y came beside {name}, which has batches; expected batches (x, y)")
        x, _ = super()._prepare(x, y, sample_weight, name)
        if is_stream(x):
            pair = functools.partial(_paired, self.classes, name)
            return x.map(tf.autograph.experimental.do_not_convert(pair)), None
        check_labels(y, len(x), self.classes, "y" if name == "x" else f"y of {name}")
        y = np.asarray(y)
        return (np.asarray(x), y), y


def _paired(classes: int, name: str, *batch):
    """((x, y), y, ...) from a batch (x, y, ...) of a dataset."""
    if len(batch) < 2:
        raise ValueError(f"{name} has batches of x alone; expected (x, y) with the class of each")
    x, y = batch[:2]
    if not y.dtype.is_integer or y.shape.rank not in (None, 1):
        expected = f"expected integers in 0..{classes - 1}"
        raise ValueError(f"{name} has labels of {y.dtype.name} {y.shape}; {expected}")
    valid = tf.reduce_all((y >= 0) & (y < classes))
    message = f"{name} has labels {{}}; expected integers in 0..{classes - 1}"
    with tf.control_dependencies(asserted(valid, message, y)):
        return ((x, tf.identity(y)), *batch[1:])


@keras.saving.register_keras_serializable(package="vae_lib")
class Conditioned(layers.Layer):
    """A network of two inputs, x or z and a class as zeros and a one (n, classes)."""

    def __init__(self, network: keras.Model, classes: int, **kwargs):
        super().__init__(**kwargs)
        self.network, self.classes = network, classes
        self.built = True

    def call(self, x, one_hot=None):
        """What the network gives; `VAE` looks at its shape without a class."""
        if one_hot is None:
            one_hot = ops.zeros((ops.shape(x)[0], self.classes))
        return self.network([x, one_hot])


def _encoder(network: str, data_shape, latent_dim: int, classes: int, sizes) -> keras.Model:
    """The encoder of `networks`, with the class as one more channel, or as columns."""
    x, y = keras.Input(data_shape, name="x"), keras.Input((classes,), name="y")
    place = y
    if len(data_shape) > 1:
        place = layers.Dense(math.prod(data_shape[:-1]), use_bias=False, name="class_map")(y)
        place = layers.Reshape((*data_shape[:-1], 1))(place)
    both = layers.Concatenate()([x, place])
    make, _ = networks.builders(network)
    return keras.Model([x, y], make(both.shape[1:], latent_dim, **sizes)(both), name="encoder")


def _decoder(network: str, data_shape, latent_dim: int, classes: int, sizes) -> keras.Model:
    """The decoder of `networks`, where the class stands beside z."""
    z, y = keras.Input((latent_dim,), name="z"), keras.Input((classes,), name="y")
    _, make = networks.builders(network)
    inner = make(data_shape, latent_dim + classes, **sizes)
    return keras.Model([z, y], inner(layers.Concatenate()([z, y])), name="decoder")


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

    def draw_prior(self, n: int, noise: keras.random.SeedGenerator):
        """n draws of z from the mixture, (n, latent_dim)."""
        which = keras.random.categorical(self.prior_logits[None], n, seed=noise)[0]
        mean, log_var = (ops.take(w, which, axis=0) for w in (self.prior_mean, self.prior_log_var))
        return self.reparameterize(mean, log_var, seed=noise)

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
