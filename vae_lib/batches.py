"""Data that comes in batches: each is checked on its way, and what is wrong is told in a sentence.

A batch is x, or a tuple (x,), (x, y) or (x, y, sample_weight), as Keras has them. They come from a
`tf.data.Dataset`, a `keras.utils.PyDataset` or a generator.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from .checks import AS_LEVELS, DARKEST, MOST_LEVELS, check_input, check_values, check_weights

_NONE = object()


class Form(NamedTuple):
    """What x must look like: see `checks.check_array`."""

    data_shape: tuple[int, ...]
    unit_interval: bool
    name: str = "x"


def is_stream(x: object) -> bool:
    """Whether x comes in batches."""
    return isinstance(x, (tf.data.Dataset, keras.utils.PyDataset, Iterator))


def checked(x, form: Form):
    """x, or batches of it, that raise a ValueError as soon as they are not of that form."""
    if isinstance(x, tf.data.Dataset):
        _check_spec(x, form)
        return mapped(x, functools.partial(_assert_values, form))
    if isinstance(x, keras.utils.PyDataset) and x.num_batches == 0:
        raise ValueError(f"{form.name} is empty; expected at least one batch")
    if isinstance(x, Iterator):  # look at the first batch, since Keras cannot do without one
        first = next(x, _NONE)
        if first is _NONE:
            raise ValueError(f"{form.name} is empty; expected at least one batch")
        x = itertools.chain([first], x)
    if is_stream(x):
        return mapped(x, functools.partial(_check_batch, form))
    check_input(x, *form)
    return x


def mapped(x, change: Callable):
    """Batches after `change`, which takes x, or x, y, or x, y, sample_weight, as they come."""
    if isinstance(x, tf.data.Dataset):
        return x.map(tf.autograph.experimental.do_not_convert(change))  # for plain errors
    if isinstance(x, keras.utils.PyDataset):
        return _Mapped(x, change)
    changed = (_apply(change, batch) for batch in x)
    return (batch if isinstance(batch, tuple) else (batch,) for batch in changed)  # Keras's rule


def arrays(x, form: Form) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """The batches (x, y or None) one after another, checked: NumPy arrays; an array is one batch.

    Raises a ValueError for a data set without an end, and for one without a batch.
    """
    if not is_stream(x):
        check_values(x, *form)
        yield np.asarray(x), None
        return
    length = 0
    if isinstance(x, tf.data.Dataset):
        _check_spec(x, form)
        length = x.cardinality()
    elif isinstance(x, keras.utils.PyDataset):
        length, x = x.num_batches, map(x.__getitem__, range(x.num_batches or 0))
    if length is None or length == tf.data.INFINITE_CARDINALITY:
        raise ValueError(f"{form.name} repeats for ever; expected a data set that ends")
    empty, check = True, functools.partial(_check_batch, form)
    for batch in x:
        inputs, y, _ = keras.utils.unpack_x_y_sample_weight(_apply(check, batch))
        yield np.asarray(inputs), None if y is None else np.asarray(y)
        empty = False
    if empty:
        raise ValueError(f"{form.name} is empty; expected at least one batch")


def whole(x, form: Form) -> tuple[np.ndarray, np.ndarray | None]:
    """All batches as one array, and their y if every batch has one."""
    parts, labels = zip(*arrays(x, form), strict=True)
    if len(parts) == 1:
        return parts[0], labels[0]
    y = None if any(part is None for part in labels) else np.concatenate(labels)
    return np.concatenate(parts), y


@contextlib.contextmanager
def plain_errors():
    """Raise what a pipeline asserted, or its generator raised, as the ValueError that it is."""
    try:
        yield
    except tf.errors.OpError as error:
        for told in (r"assertion failed: \[(.*?; expected.*?)\]", r"ValueError: (.*; expected.*)"):
            if found := re.search(told, str(error)):
                raise ValueError(found[1]) from error
        raise


def asserted(condition, message: str, *values) -> list:
    """An assertion for a pipeline: `plain_errors` raises `message`, its {} filled with values."""
    return [tf.debugging.Assert(condition, [tf.strings.format(message, values)])]


def _check_spec(x: tf.data.Dataset, form: Form) -> None:
    expected = f"expected floats of shape {('n', *form.data_shape)}"
    spec = x.element_spec
    spec = spec[0] if isinstance(spec, tuple) and spec else spec
    if not isinstance(spec, tf.TensorSpec):
        raise ValueError(f"{form.name} has elements {spec}; {expected}")
    if not (spec.dtype.is_floating and spec.shape[1:].is_compatible_with(form.data_shape)):
        found = f"shape {spec.shape}, dtype {spec.dtype.name}"
        raise ValueError(f"{form.name} has batches of {found}; {expected}")


def _assert_values(form: Form, x, *rest):
    """The batch of a dataset, whose values are looked at when they come."""
    low, high = tf.reduce_min(x), tf.reduce_max(x)
    finite = tf.reduce_all(tf.math.is_finite(x))
    told = asserted(finite, f"{form.name} has NaN or infinite values; expected finite numbers")
    if form.unit_interval:
        valid = (low >= 0) & (high <= 1) | ~finite
        told += asserted(valid, f"{form.name} has values in {{}}..{{}}; expected 0..1", low, high)
    elif len(form.data_shape) == 3:
        means = tf.reduce_mean(tf.minimum(tf.cast(x, "float64"), MOST_LEVELS), axis=(1, 2, 3))
        levels = (low >= 0) & (tf.reduce_mean(tf.cast(means > DARKEST, "float64")) > 0.5)
        found = f"{form.name} has values in {{}}..{{}}{AS_LEVELS}"
        told += asserted(~levels | ~finite, found, low, high)
    if len(rest) > 1:
        weight = tf.cast(rest[1], "float64")
        valid = tf.reduce_all((weight >= 0) & tf.math.is_finite(weight))
        told += asserted(valid, "sample_weight is {}; expected finite numbers >= 0", weight)
    with tf.control_dependencies(told):
        x = tf.identity(x)
    return (x, *rest) if rest else x


def _check_batch(form: Form, *batch):
    """A batch of NumPy arrays or tensors, as it came."""
    if not 1 <= len(batch) <= 3:
        expected = "expected x, (x, y) or (x, y, sample_weight)"
        raise ValueError(
            f"{form.name} has a batch {batch if not batch else len(batch)}; {expected}"
        )
    x, *rest = batch
    check_values(x, *form)
    if len(rest) > 1 and rest[1] is not None:
        check_weights(rest[1], len(x))
    return (x, *rest) if rest else x


def _apply(change: Callable, batch):
    return change(*batch) if isinstance(batch, (tuple, list)) else change(batch)


class _Mapped(keras.utils.PyDataset):
    """A PyDataset whose batches are changed, or looked at, on their way."""

    def __init__(self, inner: keras.utils.PyDataset, change: Callable):
        super().__init__(inner.workers, inner.use_multiprocessing, inner.max_queue_size)
        self._inner, self._change = inner, change

    @property
    def num_batches(self) -> int | None:
        """As many as before."""
        return self._inner.num_batches

    def __getitem__(self, index: int):
        return _apply(self._change, self._inner[index])

    def on_epoch_begin(self) -> None:
        """Tell the one within."""
        self._inner.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tell the one within."""
        self._inner.on_epoch_end()
