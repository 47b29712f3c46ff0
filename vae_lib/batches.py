"""Data in batches, each checked on its way, and the Keras model that checks whatever it is given.

A batch of a `tf.data.Dataset` is x, or a tuple (x,), (x, y) or (x, y, sample_weight), as in Keras.
"""

from __future__ import annotations

import contextlib
import functools
import numbers
import re
from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from .checks import (
    AS_LEVELS,
    DARKEST,
    MOST_LEVELS,
    check_count,
    check_finite,
    check_values,
    check_weights,
)


class Form(NamedTuple):
    """What x must look like: see `checks.check_array`."""

    data_shape: tuple[int, ...]
    unit_interval: bool
    name: str = "x"


def is_stream(x: object) -> bool:
    """Whether x comes in batches."""
    return isinstance(x, tf.data.Dataset)


def checked(x: tf.data.Dataset, form: Form) -> tf.data.Dataset:
    """The same batches, each of which is checked when it comes: see `plain_errors`."""
    _check_spec(x, form)
    check = functools.partial(_assert_values, form)
    return x.map(tf.autograph.experimental.do_not_convert(check))  # for plain errors


def arrays(x, form: Form) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """The batches (x, y or None) one after another, checked: NumPy arrays; an array is one batch.

    Raises a ValueError for a data set without an end, and for one without a batch.
    """
    if not is_stream(x):
        check_values(x, *form)
        yield np.asarray(x), None
        return
    _check_spec(x, form)
    if x.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(f"{form.name} repeats for ever; expected a data set that ends")
    empty = True
    for batch in x:
        inputs, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
        check_values(inputs, *form)
        yield np.asarray(inputs), None if y is None else np.asarray(y)
        empty = False
    _need_batches(form.name, not empty)


def whole(x, form: Form) -> tuple[np.ndarray, np.ndarray | None]:
    """All batches as one array, and their y if every batch has one."""
    parts, labels = zip(*arrays(x, form), strict=True)
    if len(parts) == 1:
        return parts[0], labels[0]
    return np.concatenate(parts), None if labels[0] is None else np.concatenate(labels)


@contextlib.contextmanager
def plain_errors():
    """Raise what a pipeline asserted as the ValueError that it is."""
    try:
        yield
    except tf.errors.OpError as error:
        if message := re.search(r"assertion failed: \[(.*?; expected.*?)\]", str(error)):
            raise ValueError(message[1]) from error
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
    """The batch, whose values are checked when they come."""
    low, high = tf.reduce_min(x), tf.reduce_max(x)
    finite = tf.reduce_all(tf.math.is_finite(x))
    checks = asserted(finite, f"{form.name} has NaN or infinite values; expected finite numbers")
    if form.unit_interval:
        valid = (low >= 0) & (high <= 1) | ~finite
        checks += asserted(valid, f"{form.name} has values in {{}}..{{}}; expected 0..1", low, high)
    elif len(form.data_shape) == 3:
        means = tf.reduce_mean(tf.minimum(tf.cast(x, "float64"), MOST_LEVELS), axis=(1, 2, 3))
        levels = (low >= 0) & (tf.reduce_mean(tf.cast(means > DARKEST, "float64")) > 0.5)
        found = f"{form.name} has values in {{}}..{{}}{AS_LEVELS}"
        checks += asserted(~levels | ~finite, found, low, high)
    if len(rest) > 1:
        weight = tf.cast(rest[1], "float64")
        valid = tf.reduce_all((weight >= 0) & tf.math.is_finite(weight))
        checks += asserted(valid, "sample_weight is {}; expected finite numbers >= 0", weight)
    with tf.control_dependencies(checks):
        x = tf.identity(x)
    return (x, *rest) if rest else x


class CheckedModel(keras.Model):
    """`fit`, `evaluate` and `predict` as in Keras, for data of the model's `form`.

    x is an array (n, *data_shape), a data frame, or a `tf.data.Dataset` of batches. A ValueError
    says what data is refused; a FloatingPointError ends an epoch whose loss is not finite.
    """

    def form(self, name: str = "x") -> Form:
        """What x must look like."""
        raise NotImplementedError

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, **kwargs):
        """As in Keras, but the loss is the model's own. `metrics` compare x with E[x given z]."""
        if loss is not None or loss_weights is not None:
            found = f"loss is {loss!r} and loss_weights is {loss_weights!r}"
            raise ValueError(f"{found}; expected none: the loss is the negative ELBO")
        super().compile(optimizer=optimizer, **kwargs)

    def compile_from_config(self, config: dict) -> None:
        """What Keras does on loading, but not for a model with a `compile` of its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self._build_optimizer()

    def fit(
        self, x=None, y=None, *, validation_data=None, sample_weight=None, callbacks=None, **kwargs
    ):
        """As in Keras."""
        x, y = self._prepare(x, y, sample_weight)
        if isinstance(validation_data, (tuple, list)):
            if not 1 <= len(validation_data) <= 3:
                expected = "expected (x,), (x, y) or (x, y, sample_weight)"
                raise ValueError(f"validation_data has {len(validation_data)} parts; {expected}")
            x_val, y_val, weight = keras.utils.unpack_x_y_sample_weight(tuple(validation_data))
            validation_data = (*self._prepare(x_val, y_val, weight, "validation_data"), weight)
        elif validation_data is not None:
            validation_data, _ = self._prepare(validation_data, name="validation_data")
        self._build_optimizer()
        kwargs |= {"validation_data": validation_data, "sample_weight": sample_weight}
        with _checked_loop(kwargs):
            return super().fit(x, y, callbacks=_watched(callbacks), **kwargs)

    def evaluate(self, x=None, y=None, *, sample_weight=None, callbacks=None, **kwargs):
        """As in Keras; one-sample estimates of the terms, with the same noise in every batch.

        Two calls agree exactly; compare models at the same `batch_size`.
        """
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has checked its validation data
            x, y = self._prepare(x, y, sample_weight)
        with _checked_loop(kwargs):
            watched = _watched(callbacks)
            return super().evaluate(x, y, sample_weight=sample_weight, callbacks=watched, **kwargs)

    def predict(self, x, *args, **kwargs):
        """As in Keras; reconstructions E[x given z] at the posterior mean, in the shape of x."""
        return self._predict(self._prepare(x)[0], *args, **kwargs)

    def _predict(self, x, *args, **kwargs):
        with _checked_loop(kwargs):
            return super().predict(x, *args, **kwargs)

    def _prepare(self, x, y=None, sample_weight=None, name: str = "x"):
        """x and y as Keras's loops take them, checked."""
        if is_stream(x):
            return checked(x, self.form(name)), y
        check_values(x, *self.form(name))
        if sample_weight is not None:
            check_weights(sample_weight, len(x))
            y = np.zeros(len(x)) if y is None else y  # or Keras would drop the weights in silence
        return x, y

    def _build_optimizer(self) -> None:
        """Give it its weights: made within the first step, they would have it traced twice."""
        optimizer = getattr(self, "optimizer", None)  # `compile` may be missing: Keras says so
        if optimizer is not None and not optimizer.built:
            with self.distribute_strategy.scope():
                optimizer.build(self.trainable_variables)


@contextlib.contextmanager
def _checked_loop(options: dict):
    """Check Keras's options, and raise a ValueError for the data that its loops fail on."""
    for name, default in (("batch_size", None), ("epochs", 1)):
        if (value := options.get(name, default)) is not None or name == "epochs":
            check_count(name, value)
    share = options.get("validation_split") or 0.0
    if not (isinstance(share, numbers.Real) and 0 <= share < 1):
        raise ValueError(f"validation_split is {share!r}; expected a number of at least 0, below 1")
    try:
        with plain_errors():
            yield
    except UnboundLocalError as error:  # of `predict`, which knows its outputs after a batch
        raise ValueError("x is empty; expected at least one batch") from error


def _watched(callbacks):
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    listed = keras.tree.flatten(callbacks or [])
    if not all(isinstance(callback, keras.callbacks.Callback) for callback in listed):
        expected = "expected objects of keras.callbacks.Callback"
        raise ValueError(f"callbacks is {callbacks!r}; {expected}")
    return [*listed, _Watch()]


class _Watch(keras.callbacks.Callback):
    """Ends `fit` and `evaluate` where no batch came, and an epoch whose loss is not finite.

    `training.StopOnNaN` looks at each step, which costs a wait for its result.
    """

    async_safe = True  # Keras need not wait for a batch's logs
    training = trained = tested = False  # whether a batch has come, in this epoch and in this test

    def on_epoch_begin(self, epoch: int, logs=None) -> None:
        """No batch has come yet."""
        self.training, self.trained = True, False

    def on_train_batch_end(self, batch: int, logs=None) -> None:
        """One has."""
        self.trained = True

    def on_test_begin(self, logs=None) -> None:
        """No batch has come yet."""
        self.tested = False

    def on_test_batch_end(self, batch: int, logs=None) -> None:
        """One has."""
        self.tested = True

    def on_test_end(self, logs=None) -> None:
        """A test on nothing would report the metrics of before."""
        _need_batches("validation_data" if self.training else "x", self.tested)

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        """Look at the loss."""
        _need_batches("x", self.trained)
        check_finite(logs, f"in epoch {epoch + 1}")


def _need_batches(name: str, any_came: bool) -> None:
    if not any_came:
        raise ValueError(f"{name} is empty; expected at least one batch")
