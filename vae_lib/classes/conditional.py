"""With labels: p(x given z, y), and the model under one class."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from ..checks import check_count, check_sizes
from ..model import VAE
from . import networks
from .labels import check_labels


class Given:
    """A `ConditionalVAE` under one class: `scores` and `losses` use it as they use a VAE."""

    reparameterize, reconstruct = VAE.reparameterize, VAE.reconstruct
    sample, __call__ = VAE.sample, VAE.call

    def __init__(self, model: ConditionalVAE, y):
        self.model, self.y = model, y
        for name in ("data_shape", "latent_dim", "likelihood", "noise", "variable_dtype", "beta"):
            setattr(self, name, getattr(model, name))
        self.encoder, self.decoder = model.encoder, model.decoder

    def encode(self, x):
        """mean and log-variance of q(z given x, class), each (n, latent_dim)."""
        self.model._check(x)
        mean, log_var = self.encoder(x, self._one_hot(x))
        return ops.cast(mean, self.variable_dtype), ops.cast(log_var, self.variable_dtype)

    def decode(self, z, apply_sigmoid: bool = False):
        """The likelihood's parameters, or E[x given z, class] with `apply_sigmoid`."""
        parameters = ops.cast(self.decoder(z, self._one_hot(z)), self.variable_dtype)
        return self.likelihood.mean(parameters) if apply_sigmoid else parameters

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
        if network not in ("conv", "dense"):
            raise ValueError(f"network is {network!r}; expected 'conv' or 'dense'")
        shape, latent_dim, layers_ = check_sizes(data_shape, latent_dim, hidden or ())
        sizes = {} if hidden is None else {"hidden": layers_}
        own, classes = (encoder is not None, decoder is not None), int(classes)
        encoder = encoder or networks.encoder(network, shape, latent_dim, classes, sizes)
        decoder = decoder or networks.decoder(network, shape, latent_dim, classes, sizes)
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
        check_labels(np.asarray(c).reshape(-1), 1, self.classes, "c")
        return self._given.setdefault(int(c), Given(self, int(c)))

    def encode(self, x, y=None):
        """mean and log-variance of q(z given x, y), each (n, latent_dim)."""
        return self._at(x, y).encode(x)

    def decode(self, z, y=None, apply_sigmoid: bool = False):
        """The likelihood's parameters, or E[x given z, y] with `apply_sigmoid`."""
        return self._at(z, y).decode(z, apply_sigmoid)

    def reconstruct(self, x, y=None):
        """E[x given z, y] at z = the posterior mean: deterministic, in the shape of x."""
        return self._at(x, y).reconstruct(x)

    def sample(self, eps=None, n: int = 16, seed: int | None = None, classes=None):
        """E[x given z, y] from `eps`, or n draws of the prior; `classes` is one, or one a sample.

        Without `classes` the samples go through them in turn: 0, 1, 2, ...
        """
        n = n if eps is None else len(eps)
        y = np.arange(n) % self.classes if classes is None else np.asarray(classes)
        y = np.full(n, y) if y.ndim == 0 else y
        check_labels(y, n, self.classes, "classes")
        return Given(self, y).sample(eps, n, seed)

    def call(self, inputs, training: bool = False):
        """One pass for inputs = (x, y): as in `VAE`."""
        return self._at(*inputs)(inputs[0], training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Negative conditional ELBO in nats, of x = (images, labels): as in `VAE`."""
        return super().compute_loss(x[0], y, y_pred, sample_weight, training)

    def predict_step(self, batch):
        """What `predict` does with one batch."""
        (x, y), _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        return self.reconstruct(x, y)

    def fit(self, x=None, y=None, *, validation_data=None, **kwargs):
        """As in Keras; validation_data is (x, y), (x, y, weight) or a tf.data.Dataset."""
        x, y = self._pair(x, y)
        if isinstance(validation_data, (tuple, list)):
            x_val, y_val, weight = keras.utils.unpack_x_y_sample_weight(tuple(validation_data))
            validation_data = (*self._pair(x_val, y_val, "validation_data"), weight)
        elif validation_data is not None:
            validation_data, _ = self._pair(validation_data, None, "validation_data")
        return keras.Model.fit(self, x, y, validation_data=validation_data, **kwargs)

    def evaluate(self, x=None, y=None, **kwargs):
        """As in Keras; the same noise in every batch, as in `VAE`."""
        return keras.Model.evaluate(self, *self._pair(x, y), **kwargs)

    def predict(self, x, y=None, **kwargs):
        """As in Keras; reconstructions E[x given z, y], in the shape of x."""
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
        if isinstance(x, tuple) and len(x) == 2:  # already paired: Keras validates so within fit
            x, y = x
        dataset = isinstance(x, tf.data.Dataset)
        if dataset and isinstance(x.element_spec, tuple) and isinstance(x.element_spec[0], tuple):
            return x, None
        self._check(x, name)
        if not dataset:
            label = "y" if name == "x" else f"y of {name}"
            check_labels(y, len(x), self.classes, label)
            y = np.asarray(y)
            return (np.asarray(x), y), y
        spec = x.element_spec
        if y is not None or not isinstance(spec, tuple) or len(spec) < 2:
            found = f"{name} has elements {spec}" + ("" if y is None else ", and y came beside it")
            raise ValueError(f"{found}; expected batches (x, y) with the class of each example")
        if not spec[1].dtype.is_integer:
            found = f"{name} has labels of {spec[1].dtype.name}"
            raise ValueError(f"{found}; expected integers in 0..{self.classes - 1}")

        def pair(x, y, *weight):
            valid = tf.reduce_all((y >= 0) & (y < self.classes))
            tf.debugging.Assert(valid, [f"expected labels in 0..{self.classes - 1}; they are", y])
            return ((x, y), y, *weight)

        return x.map(pair), None
