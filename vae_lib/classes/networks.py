"""The encoders and decoders of `vae_lib.networks`, with the class as a second input."""

from __future__ import annotations

import math

import keras
from keras import layers, ops

from .. import networks


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


def encoder(network: str, data_shape, latent_dim: int, classes: int, sizes) -> keras.Model:
    """The encoder of `networks`, with the class as one more channel, or as columns."""
    x, y = keras.Input(data_shape, name="x"), keras.Input((classes,), name="y")
    place = y
    if len(data_shape) > 1:
        place = layers.Dense(math.prod(data_shape[:-1]), use_bias=False, name="class_map")(y)
        place = layers.Reshape((*data_shape[:-1], 1))(place)
    both = layers.Concatenate()([x, place])
    make, _ = networks.builders(network)
    return keras.Model([x, y], make(both.shape[1:], latent_dim, **sizes)(both), name="encoder")


def decoder(network: str, data_shape, latent_dim: int, classes: int, sizes) -> keras.Model:
    """The decoder of `networks`, where the class stands beside z."""
    z, y = keras.Input((latent_dim,), name="z"), keras.Input((classes,), name="y")
    _, make = networks.builders(network)
    inner = make(data_shape, latent_dim + classes, **sizes)
    return keras.Model([z, y], inner(layers.Concatenate()([z, y])), name="decoder")
