"""What the library accepts, and the ValueError that says what came and what is expected instead."""

from __future__ import annotations

import numbers
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

Sizes = tuple[tuple[int, ...], int, tuple[int, ...]]


def is_size(value: object) -> bool:
    """Whether value is a whole number of at least 1; NumPy's integers count, booleans do not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 1


def check_count(name: str, value: object) -> None:
    """The argument called name must be a whole number of at least 1."""
    if not is_size(value):
        raise ValueError(f"{name} is {value!r}; expected a whole number of at least 1")


def check_sizes(data_shape: Sequence[int], latent_dim: int, hidden: Sequence[int]) -> Sizes:
    """The sizes as Python's own integers, since Keras takes no NumPy ones."""
    check_count("latent_dim", latent_dim)
    for name, sizes in (("data_shape", data_shape), ("hidden", hidden)):
        if not isinstance(sizes, Sequence) or not all(is_size(size) for size in sizes):
            raise ValueError(f"{name} is {sizes!r}; expected whole numbers of at least 1")
    if len(data_shape) == 0:
        raise ValueError("data_shape is (); expected (features,) or (height, width, channels)")
    return tuple(map(int, data_shape)), int(latent_dim), tuple(map(int, hidden))


def check_array(x, data_shape: Sequence[int], unit_interval: bool, name: str = "x") -> None:
    """x must be finite floats of shape (n, *data_shape), within 0..1 if so asked."""
    x = np.asarray(x)
    if x.shape[1:] != tuple(data_shape) or x.ndim == 0:
        expected = f"expected {('n', *data_shape)}, since data_shape is {tuple(data_shape)}"
        raise ValueError(f"{name} has shape {x.shape}; {expected}")
    if len(x) == 0:
        raise ValueError(f"{name} is empty; expected at least one example")
    if not np.issubdtype(x.dtype, np.floating):
        found = f"{name} has dtype {x.dtype}"
        raise ValueError(f"{found}; expected floats (see data.as_images for uint8)")
    low, high = float(x.min()), float(x.max())  # NaN and infinity survive min and max
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} contains NaN or infinite values; expected finite numbers")
    if unit_interval and (low < 0 or high > 1):
        raise ValueError(f"{name} has values in {low:.4g}..{high:.4g}; expected 0..1")


def check_input(x, data_shape: tuple[int, ...], unit_interval: bool, name: str = "x") -> None:
    """x must be an array as above, or a tf.data.Dataset of batches of such a shape and type."""
    expected = f"expected floats of shape {('n', *data_shape)}"
    if isinstance(x, tf.data.Dataset):
        spec = x.element_spec
        spec = spec[0] if isinstance(spec, tuple) else spec
        if not isinstance(spec, tf.TensorSpec):
            raise ValueError(f"{name} has elements {spec}; {expected}")
        if not (spec.dtype.is_floating and spec.shape[1:].is_compatible_with(data_shape)):
            found = f"shape {spec.shape}, dtype {spec.dtype.name}"
            raise ValueError(f"{name} has batches of {found}; {expected}")
    elif x is None or isinstance(x, (tuple, list, dict)):
        raise ValueError(f"{name} is a {type(x).__name__}; {expected}, or a tf.data.Dataset")
    elif isinstance(x, keras.KerasTensor) or tf.is_symbolic_tensor(x):
        return  # inside a graph: only the layers can look at it
    elif tf.is_tensor(x) or hasattr(x, "__array__"):  # arrays, data frames
        check_array(x, data_shape, unit_interval, name)


def check_networks(encoder: keras.Model, decoder: keras.Model, data_shape, latent_dim: int) -> None:
    """The encoder must map x to [mean, log_var], the decoder z to parameters in the shape of x."""
    x, z = keras.KerasTensor((None, *data_shape)), keras.KerasTensor((None, latent_dim))
    for name, network, given, expected in (
        ("encoder", encoder, x, [z.shape, z.shape]),
        ("decoder", decoder, z, [x.shape]),
    ):
        try:
            found = network(given)
        except ValueError as error:
            raise ValueError(f"{name} does not take the shape {given.shape}: {error}") from error
        shapes = [out.shape for out in (found if isinstance(found, (list, tuple)) else [found])]
        if shapes != expected:
            raise ValueError(f"{name} gives the shapes {shapes}; expected {expected}")
