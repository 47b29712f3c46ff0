"""With labels: p(x given z, y), and the model under one class."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from .. import batches
from ..checked_model import check_parts
from ..checks import check_count, check_input, check_sizes, check_weights, plain_array
from ..model import VAE, bounded
from . import networks
from .labels import check_labels


class Given:
    """A `ConditionalVAE` under one class: `scores` and `losses` use it as they use a VAE."""

    reparameterize, draw, reconstruct = VAE.reparameterize, VAE.draw, VAE.reconstruct
    sample, form, __call__ = VAE.sample, VAE.form, VAE.call
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
        shape, latent_dim, layers_ = check_sizes(data_shape, latent_dim, hidden or ())
        sizes = {} if hidden is None else {"hidden": layers_}
        own, classes = (encoder is not None, decoder is not None), int(classes)
        for name, given in (("encoder", encoder), ("decoder", decoder)):
            if not (given is None or isinstance(given, keras.Layer)):
                found = f"{name} is a {type(given).__name__}"
                raise ValueError(f"{found}; expected a Keras model or layer")
        encoder = (
            encoder if own[0] else networks.encoder(network, shape, latent_dim, classes, sizes)
        )
        decoder = (
            decoder if own[1] else networks.decoder(network, shape, latent_dim, classes, sizes)
        )
        pair = {
            "encoder": networks.Conditioned(encoder, classes),
            "decoder": networks.Conditioned(decoder, classes),
        }
        super().__init__(latent_dim, likelihood, shape, network, hidden, **pair, **kwargs)
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

    def fit(self, x=None, y=None, *, validation_data=None, sample_weight=None, **kwargs):
        """As in Keras; validation_data is (x, y), (x, y, weight) or batches of them."""
        self.adapt_once(x)
        x, y = self._pair(x, y)
        if isinstance(validation_data, (tuple, list)):
            check_parts(validation_data)
            x_val, y_val, weight = keras.utils.unpack_x_y_sample_weight(tuple(validation_data))
            validation_data = (*self._pair(x_val, y_val, "validation_data"), weight)
        elif validation_data is not None:
            validation_data, _ = self._pair(validation_data, None, "validation_data")
        if sample_weight is not None and y is not None:
            check_weights(sample_weight, len(y))
        return self._fit(
            x, y, validation_data=validation_data, sample_weight=sample_weight, **kwargs
        )

    def evaluate(self, x=None, y=None, **kwargs):
        """As in Keras; the same noise in every batch, as in `VAE`."""
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has looked at its validation data
            x, y = self._pair(x, y)
        with batches.plain_errors():
            return keras.Model.evaluate(self, x, y, **kwargs)

    def predict(self, x, y=None, **kwargs):
        """As in Keras; reconstructions E[x given z, y], in the shape of x."""
        with batches.plain_errors():
            return keras.Model.predict(self, self._pair(x, y)[0], **kwargs)

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

    def _pair(self, x, y, name: str = "x"):
        """(x, y) as the model's input, and y once more, since Keras wants a target beside it."""
        checked = self._checked(x, name)
        if not batches.is_stream(x):
            label = "y" if name == "x" else f"y of {name}"
            check_labels(y, len(x), self.classes, label)
            y = np.asarray(y)
            return (np.asarray(x), y), y
        if y is not None:
            raise ValueError(f"y came beside {name}, which has batches; expected batches (x, y)")
        return batches.mapped(checked, functools.partial(_paired, self.classes, name)), None


def _paired(classes: int, name: str, *batch):
    """((x, y), y, ...) from a batch (x, y, ...): tensors of a pipeline, or arrays."""
    if len(batch) < 2:
        raise ValueError(f"{name} has batches of x alone; expected (x, y) with the class of each")
    x, y = batch[:2]
    if not tf.is_symbolic_tensor(y):
        check_labels(y, len(x), classes, f"y of {name}")
        return ((x, y), *batch[1:])
    if not y.dtype.is_integer or y.shape.rank not in (None, 1):
        expected = f"expected integers in 0..{classes - 1}"
        raise ValueError(f"{name} has labels of {y.dtype.name} {y.shape}; {expected}")
    valid = tf.reduce_all((y >= 0) & (y < classes))
    message = f"{name} has labels {{}}; expected integers in 0..{classes - 1}"
    with tf.control_dependencies(batches.asserted(valid, message, y)):
        return ((x, tf.identity(y)), *batch[1:])
