"""What the library accepts, and the ValueError that says what came and what is expected instead."""

from __future__ import annotations

import contextlib
import math
import numbers
import os
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

Sizes = tuple[tuple[int, ...], int, tuple[int, ...]]
MOST_LEVELS, DARKEST = 255.0, 8.0  # pictures of levels: none below 0, most above the latter
AS_LEVELS = ", as levels up to 255 are; expected pictures of about unit scale: divide by 255"
_PROCESS = {"used": False, "forked": False}


def is_size(value: object) -> bool:
    """Whether value is a whole number of at least 1; NumPy's integers count, booleans do not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 1


def is_real(value: object) -> bool:
    """Whether value is a real number; NumPy's count, booleans do not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_count(name: str, value: object) -> None:
    """The argument called name must be a whole number of at least 1."""
    if not is_size(value):
        raise ValueError(f"{name} is {value!r}; expected a whole number of at least 1")


def check_seed(name: str, value: object) -> None:
    """The seed called name must be a whole number from 0 to 2**32 - 1, as NumPy takes it."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not (whole and 0 <= value < 2**32):
        raise ValueError(f"{name} is {value!r}; expected a whole number from 0 to 2**32 - 1")


def check_beta(beta: object) -> None:
    """beta must be a finite number of at least 0."""
    if not (is_real(beta) and 0 <= beta < math.inf):
        raise ValueError(f"beta is {beta!r}; expected a finite number of at least 0")


def check_finite(logs: dict | None, when: str) -> None:
    """Raise a FloatingPointError where the loss among Keras's logs is NaN or infinite."""
    loss = float((logs or {}).get("loss", 0.0))
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the loss became {loss} {when}; try a smaller learning rate, clipnorm=1.0 in the "
            "optimizer, or a larger min_sigma of a Gaussian likelihood, and look in the data for "
            "NaN and for large numbers: standardise tables, scale pixels to 0..1"
        )


def check_path(path: object) -> None:
    """path must be a file's name."""
    if not (isinstance(path, (str, os.PathLike)) and str(path)):
        raise ValueError(f"path is {path!r}; expected a file's name, a str or a Path")


def check_process() -> None:
    """Raise a RuntimeError in a process that was forked after TensorFlow's first use: it hangs."""
    if _PROCESS["forked"]:
        raise RuntimeError(
            "this process was forked from one that had already used TensorFlow, which cannot go on "
            "here: build or load the model after the fork, or start processes by 'spawn'"
        )
    _PROCESS["used"] = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _PROCESS.update(forked=_PROCESS["used"]))


def check_sizes(data_shape: Sequence[int], latent_dim: int, hidden: Sequence[int]) -> Sizes:
    """The sizes as Python's own integers, since Keras takes no NumPy ones."""
    check_count("latent_dim", latent_dim)
    data_shape, hidden = (
        sizes.tolist() if isinstance(sizes, np.ndarray) else sizes for sizes in (data_shape, hidden)
    )
    for name, sizes in (("data_shape", data_shape), ("hidden", hidden)):
        listed = isinstance(sizes, Sequence) and not isinstance(sizes, str)
        if not listed or not all(is_size(size) for size in sizes):
            raise ValueError(f"{name} is {sizes!r}; expected whole numbers of at least 1")
    if len(data_shape) == 0:
        raise ValueError("data_shape is (); expected (features,) or (height, width, channels)")
    return tuple(map(int, data_shape)), int(latent_dim), tuple(map(int, hidden))


def plain_array(x, name: str, expected: str = "expected a plain array") -> np.ndarray:
    """x as an array, unless it has a mask or rows of unequal lengths."""
    if isinstance(x, np.ma.MaskedArray):  # NumPy would drop the mask, and show what it hides
        raise ValueError(f"{name} is a masked array; {expected}")
    try:
        return np.asarray(x)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} cannot be read as an array ({error}); {expected}") from error


def check_array(
    x, data_shape: Sequence[int], unit_interval: bool, name: str = "x"
) -> tuple[float, float]:
    """x must be finite floats of shape (n, *data_shape), within 0..1 if so asked.

    Returns the smallest and the largest of them.
    """
    x = plain_array(x, name)
    if x.shape[1:] != tuple(data_shape) or x.ndim == 0:
        expected = f"expected {('n', *data_shape)}, since data_shape is {tuple(data_shape)}"
        raise ValueError(f"{name} has shape {x.shape}; {expected}")
    if len(x) == 0:
        raise ValueError(f"{name} is empty; expected at least one example")
    if not (x.dtype.kind == "f" or x.dtype.name == "bfloat16"):
        advice = "data.as_images for images" if len(data_shape) == 3 else "x.astype('float32')"
        raise ValueError(f"{name} has dtype {x.dtype}; expected floats (see {advice})")
    low, high = float(x.min()), float(x.max())  # NaN and infinity survive min and max
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} contains NaN or infinite values; expected finite numbers")
    if unit_interval and (low < 0 or high > 1):
        raise ValueError(f"{name} has values in {low:.4g}..{high:.4g}; expected 0..1")
    if max(-low, high) > np.finfo("float32").max:
        raise ValueError(f"{name} has values in {low:.4g}..{high:.4g}, which float32 cannot hold")
    return low, high


def check_input(x, data_shape: tuple[int, ...], unit_interval: bool, name: str = "x") -> None:
    """x must be an array as above, and pictures, which have three axes, none of levels up to 255.

    Inside a graph, where it has no values, anything passes.
    """
    if isinstance(x, keras.KerasTensor) or tf.is_symbolic_tensor(x):
        return  # only the layers can look at it
    check_process()
    if not hasattr(x, "__array__"):  # arrays, dense tensors, data frames
        expected = f"expected floats of shape {('n', *data_shape)}"
        raise ValueError(
            f"{name} is a {type(x).__name__}; {expected}, as an array or a tf.data.Dataset"
        )
    low, high = check_array(x, data_shape, unit_interval, name)
    bright = low >= 0 and high > DARKEST and not unit_interval and len(data_shape) == 3
    # most of the pictures: a single strange one among others is for the score to tell
    if bright and np.mean(_means(np.asarray(x)) > DARKEST) > 0.5:
        raise ValueError(f"{name} has values in {low:.4g}..{high:.4g}{AS_LEVELS}")


def _means(images: np.ndarray) -> np.ndarray:
    return np.minimum(images, MOST_LEVELS).mean(axis=(1, 2, 3), dtype="float64")


def check_values(x, data_shape: tuple[int, ...], unit_interval: bool, name: str = "x") -> None:
    """x must be such an array, and no placeholder for one."""
    if isinstance(x, keras.KerasTensor) or tf.is_symbolic_tensor(x):
        expected = f"expected floats of shape {('n', *data_shape)}"
        raise ValueError(f"{name} is a {type(x).__name__}; {expected}, which have values")
    check_input(x, data_shape, unit_interval, name)


def check_weights(weight, n: int, name: str = "sample_weight") -> None:
    """weight must be finite numbers (n,) of at least 0."""
    weight = plain_array(weight, name)
    if weight.shape not in ((n,), (n, 1)) or weight.dtype.kind not in "fiu":
        found = f"shape {weight.shape} and dtype {weight.dtype}"
        raise ValueError(f"{name} has {found}; expected ({n},) of numbers, one for each example")
    if not np.isfinite(weight).all() or weight.min() < 0:
        found = f"values in {weight.min():.4g}..{weight.max():.4g}"
        raise ValueError(f"{name} has {found}; expected finite numbers of at least 0")


def check_labels(y, n: int | None, classes: int, name: str = "y") -> None:
    """y must be integers (n,) in 0..classes-1."""
    expected = f"expected integers in 0..{classes - 1}, one for each example"
    if y is None:
        raise ValueError(f"{name} is None; {expected}, or the model under a class: model.given(c)")
    if isinstance(y, keras.KerasTensor) or tf.is_symbolic_tensor(y):
        return
    y = plain_array(y, name, expected)
    if y.dtype.kind not in "iu" or y.ndim != 1 or (n is not None and len(y) != n):
        found = f"{name} has shape {y.shape} and dtype {y.dtype}"
        raise ValueError(f"{found}; {expected} ({n})")
    if len(y) and (y.min() < 0 or y.max() >= classes):
        raise ValueError(f"{name} has values in {y.min()}..{y.max()}; {expected}")


def shape_of(name: str, term) -> tf.TensorShape:
    """The shape of an array or tensor of floats, or of a number, as far as a graph knows it."""
    if is_real(term):
        return tf.TensorShape(())
    dtype = getattr(term, "dtype", None)
    if dtype is None or not hasattr(term, "__array__") or isinstance(term, np.ma.MaskedArray):
        raise ValueError(f"{name} is a {type(term).__name__}; expected an array of floats")
    if "float" not in getattr(dtype, "name", str(dtype)):
        raise ValueError(f"{name} has dtype {dtype}; expected floats")
    return tf.TensorShape(term.shape)


def check_rows(name: str, term) -> None:
    """The term must be an array of floats, and not a number."""
    if shape_of(name, term).rank == 0:
        raise ValueError(f"{name} has shape (); expected an array of floats, one row an example")


def check_shapes(also: str = "", **terms) -> None:
    """Terms must have the first one's shape: broadcasting would give a wrong number in silence.

    `also` allows for the others, as the function's mathematics wants it, a "number" or what does
    "broadcast" with the first.
    """
    (name, shape), *others = ((name, shape_of(name, term)) for name, term in terms.items())
    for other, its_shape in others:
        valid = shape.is_compatible_with(its_shape) or (also == "number" and its_shape.rank == 0)
        if also == "broadcast":
            with contextlib.suppress(ValueError):
                tf.broadcast_static_shape(shape, its_shape)
                valid = True
        if not valid:
            expected = "shapes that broadcast" if also == "broadcast" else "one shape"
            found = f"{name} has shape {shape} and {other} has shape {its_shape}"
            raise ValueError(f"{found}; expected {expected}")


def check_networks(encoder: keras.Model, decoder: keras.Model, data_shape, latent_dim: int) -> None:
    """The encoder must map x to [mean, log_var], the decoder z to parameters in the shape of x."""
    x, z = keras.KerasTensor((None, *data_shape)), keras.KerasTensor((None, latent_dim))
    for name, network, given, expected in (
        ("encoder", encoder, x, [z.shape, z.shape]),
        ("decoder", decoder, z, [x.shape]),
    ):
        if not isinstance(network, keras.Layer):
            kind = type(network).__name__
            raise ValueError(f"{name} is a {kind}; expected a Keras model or layer")
        try:
            found = network(given)
        except Exception as error:  # layers fail in many ways
            raise ValueError(f"{name} does not take the shape {given.shape}: {error}") from error
        shapes = [out.shape for out in (found if isinstance(found, (list, tuple)) else [found])]
        if shapes != expected:
            raise ValueError(f"{name} gives the shapes {shapes}; expected {expected}")
