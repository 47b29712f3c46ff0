"""Encoder and decoder builders: plain functional Keras models, each other's mirror image.

An encoder maps x to [mean, log_var] of q(z given x), each (n, latent_dim). A decoder maps z to the
parameters of p(x given z), one number for each number of x, with no activation on top.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from sklearn.preprocessing import StandardScaler

from .checks import Sizes, check_sizes, is_size


def conv_encoder(
    data_shape: Sequence[int], latent_dim: int, hidden: Sequence[int] = (32, 64), stride: int = 2
) -> keras.Model:
    """Convolutions with `hidden` filters, each dividing the size by `stride`; then two heads."""
    return _conv_encoder(data_shape, latent_dim, hidden, stride, axes=2)


def conv_decoder(
    data_shape: Sequence[int], latent_dim: int, hidden: Sequence[int] = (32, 64), stride: int = 2
) -> keras.Model:
    """The encoder backwards: a dense layer to the smallest map, then transposed convolutions."""
    return _conv_decoder(data_shape, latent_dim, hidden, stride, axes=2)


def conv1d_encoder(
    data_shape: Sequence[int], latent_dim: int, hidden: Sequence[int] = (32, 64), stride: int = 2
) -> keras.Model:
    """`conv_encoder` over one axis: for windows (time, channels)."""
    return _conv_encoder(data_shape, latent_dim, hidden, stride, axes=1)


def conv1d_decoder(
    data_shape: Sequence[int], latent_dim: int, hidden: Sequence[int] = (32, 64), stride: int = 2
) -> keras.Model:
    """`conv_decoder` over one axis: for windows (time, channels)."""
    return _conv_decoder(data_shape, latent_dim, hidden, stride, axes=1)


def dense_encoder(
    data_shape: Sequence[int], latent_dim: int, hidden: Sequence[int] = (256,)
) -> keras.Model:
    """Fully connected layers with `hidden` units, for data of any shape; then two heads."""
    data_shape, latent_dim, hidden = check_sizes(data_shape, latent_dim, hidden)
    inputs = keras.Input(data_shape, name="x")
    x = layers.Flatten()(inputs)
    for units in hidden:
        x = layers.Dense(units, activation="relu")(x)
    return _heads(inputs, x, latent_dim)


def dense_decoder(
    data_shape: Sequence[int], latent_dim: int, hidden: Sequence[int] = (256,)
) -> keras.Model:
    """The dense encoder backwards. With `hidden=()` it is linear: z W + b."""
    data_shape, latent_dim, hidden = check_sizes(data_shape, latent_dim, hidden)
    x = inputs = keras.Input((latent_dim,), name="z")
    for units in reversed(hidden):
        x = layers.Dense(units, activation="relu")(x)
    x = layers.Dense(math.prod(data_shape), name="parameters")(x)
    return keras.Model(inputs, layers.Reshape(data_shape)(x), name="decoder")


def linear_encoder(
    data_shape: Sequence[int], latent_dim: int, hidden: Sequence[int] = ()
) -> keras.Model:
    """The mean is linear in x, and the variance begins the same for all x; see `linear`."""
    _check_linear(hidden)
    encoder = dense_encoder(data_shape, latent_dim, ())
    head = encoder.get_layer("log_var")
    head.set_weights([0 * weight for weight in head.get_weights()])
    return encoder


def linear_decoder(
    data_shape: Sequence[int], latent_dim: int, hidden: Sequence[int] = ()
) -> keras.Model:
    """z W + b."""
    _check_linear(hidden)
    return dense_decoder(data_shape, latent_dim, ())


def _check_linear(hidden: Sequence[int]) -> None:
    if len(hidden):
        raise ValueError(f"hidden is {tuple(hidden)}; expected none for a linear network")


@contextlib.contextmanager
def policy(of_layers: keras.DTypePolicy) -> Iterator[None]:
    """Layers made inside have this precision; the process's own policy stays as it was."""
    before = keras.config.dtype_policy()
    if before == of_layers:
        yield
        return
    keras.config.set_dtype_policy(of_layers)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


CONVOLUTIONS = {
    1: (layers.Conv1D, layers.Conv1DTranspose),
    2: (layers.Conv2D, layers.Conv2DTranspose),
}
SHAPES = {1: "(time, channels)", 2: "(height, width, channels)"}


def _conv_encoder(data_shape, latent_dim, hidden, stride, axes: int) -> keras.Model:
    data_shape, latent_dim, hidden = _check_conv(data_shape, latent_dim, hidden, stride, axes)
    convolution, _ = CONVOLUTIONS[axes]
    x = inputs = keras.Input(data_shape, name="x")
    for filters in hidden:
        x = convolution(filters, 3, strides=stride, padding="same", activation="relu")(x)
    return _heads(inputs, layers.Flatten()(x), latent_dim)


def _conv_decoder(data_shape, latent_dim, hidden, stride, axes: int) -> keras.Model:
    data_shape, latent_dim, hidden = _check_conv(data_shape, latent_dim, hidden, stride, axes)
    _, transposed = CONVOLUTIONS[axes]
    *sizes, channels = data_shape
    small = (*(size // stride ** len(hidden) for size in sizes), hidden[-1])
    inputs = keras.Input((latent_dim,), name="z")
    x = layers.Reshape(small)(layers.Dense(math.prod(small), activation="relu")(inputs))
    for filters in reversed(hidden[:-1]):
        x = transposed(filters, 3, strides=stride, padding="same", activation="relu")(x)
    x = transposed(channels, 3, strides=stride, padding="same", name="parameters")(x)
    return keras.Model(inputs, x, name="decoder")


def _heads(inputs, x, latent_dim: int) -> keras.Model:
    mean = layers.Dense(latent_dim, name="mean")(x)
    log_var = layers.Dense(latent_dim, name="log_var")(x)
    return keras.Model(inputs, [mean, log_var], name="encoder")


def _check_conv(
    data_shape: Sequence[int], latent_dim: int, hidden: Sequence[int], stride: int, axes: int
) -> Sizes:
    sizes = check_sizes(data_shape, latent_dim, hidden)
    found = f"data_shape is {tuple(data_shape)}"
    if len(data_shape) != axes + 1 or len(hidden) == 0 or not is_size(stride):
        raise ValueError(
            f"{found}, hidden is {tuple(hidden)}, stride is {stride!r}; expected {SHAPES[axes]}, "
            "at least one layer, and a stride of at least 1; 'dense' takes any shape"
        )
    total = stride ** len(hidden)
    if any(size % total for size in data_shape[:-1]):
        wanted = "a length" if axes == 1 else "a height and a width"
        raise ValueError(
            f"{found}; {len(hidden)} layers of stride {stride} expect {wanted} that {total} "
            "divides; 'dense' takes any"
        )
    return sizes


BUILDERS = {
    "conv": (conv_encoder, conv_decoder),
    "conv1d": (conv1d_encoder, conv1d_decoder),
    "dense": (dense_encoder, dense_decoder),
    "linear": (linear_encoder, linear_decoder),
}


def builders(network: str) -> tuple:
    """The makers of encoder and decoder by name. Raises a ValueError for an unknown name."""
    if not (isinstance(network, str) and network in BUILDERS):
        raise ValueError(f"network is {network!r}; expected one of {tuple(BUILDERS)}")
    return BUILDERS[network]


class Columns(layers.Layer):
    """(x - mean) / deviation along the last axis, and back; a constant is only centred.

    Its weights hold means and deviations, so that a model is saved with the units of its data.
    Keras's `Normalization` computes with copies of its weights, which `set_weights` does not reach.
    """

    def __init__(self, features: int, **kwargs):
        super().__init__(trainable=False, **kwargs)
        options = {"shape": (features,), "initializer": "zeros", "autocast": False}
        self.center = self.add_weight(**options, name="center")
        self.spread = self.add_weight(**options, name="spread")  # 0 until rows were seen
        self.built = True

    @property
    def adapted(self) -> bool:
        """Whether it has seen rows."""
        with tf.init_scope():  # a graph that is being made wants to know it, too
            return bool(ops.convert_to_numpy(self.spread).any())

    def adapt(self, batches: Iterable[np.ndarray]) -> None:
        """Take means and deviations from batches of rows (n, features), or (n, time, channels)."""
        scaler = StandardScaler()
        for rows in batches:
            scaler.partial_fit(np.asarray(rows, "float64").reshape(-1, self.center.shape[0]))
        self.center.assign(scaler.mean_)
        self.spread.assign(scaler.scale_)  # 1 for a constant column

    def standardise(self, x):
        """Rows of mean 0 and deviation 1."""
        return (ops.cast(x, self.center.dtype) - self.center) / self.spread

    def restore(self, x):
        """Standardised rows in the table's units."""
        return x * self.spread + self.center
