"""A Keras model whose `fit`, `evaluate` and `predict` look at their data, whatever it comes in."""

from __future__ import annotations

import contextlib
import math
import numbers

import keras
import numpy as np

from . import batches
from .checks import check_count, check_values, check_weights


class CheckedModel(keras.Model):
    """`fit`, `evaluate` and `predict` as in Keras, for data of the model's `form`.

    x is an array (n, *data_shape), or comes in batches: see `batches`. A ValueError says what data
    is refused, and a FloatingPointError ends an epoch whose loss is no number.
    """

    def form(self, name: str = "x") -> batches.Form:
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

    def fit(self, x=None, y=None, *, validation_data=None, sample_weight=None, **kwargs):
        """As in Keras."""
        x, y = self._checked(x), _target(x, y, sample_weight)
        if isinstance(validation_data, (tuple, list)):
            check_parts(validation_data)
            x_val, y_val, weight = keras.utils.unpack_x_y_sample_weight(tuple(validation_data))
            x_val = self._checked(x_val, "validation_data")
            validation_data = (x_val, _target(x_val, y_val, weight), weight)
        elif validation_data is not None:
            validation_data = self._checked(validation_data, "validation_data")
        return self._fit(
            x, y, validation_data=validation_data, sample_weight=sample_weight, **kwargs
        )

    def evaluate(self, x=None, y=None, *, sample_weight=None, callbacks=None, **kwargs):
        """As in Keras; one-sample estimates of the terms, with the same noise in every batch.

        Two calls agree exactly; compare models at the same `batch_size`.
        """
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has looked at its validation data
            x, y = self._checked(x), _target(x, y, sample_weight)
        with _told(kwargs):
            watched = _watched(callbacks)
            return super().evaluate(x, y, sample_weight=sample_weight, callbacks=watched, **kwargs)

    def predict(self, x, *args, **kwargs):
        """As in Keras; reconstructions E[x given z] at the posterior mean, in the shape of x."""
        with _told(kwargs):
            return super().predict(self._checked(x), *args, **kwargs)

    def _checked(self, x, name: str = "x"):
        form = self.form(name)
        if batches.is_stream(x):
            return batches.checked(x, form)
        check_values(x, *form)
        return x

    def _fit(self, *args, callbacks=None, **kwargs):
        self._build_optimizer()
        with _told(kwargs):
            return super().fit(*args, callbacks=_watched(callbacks), **kwargs)

    def _build_optimizer(self) -> None:
        """Give it its weights: made within the first step, they would have it traced twice."""
        optimizer = getattr(self, "optimizer", None)  # `compile` may be missing: Keras says so
        if optimizer is not None and not optimizer.built:
            with self.distribute_strategy.scope():
                optimizer.build(self.trainable_variables)


def check_parts(validation_data: tuple | list) -> None:
    """x, y and sample_weight, of which the last two may be missing."""
    if not 1 <= len(validation_data) <= 3:
        expected = "expected (x,), (x, y) or (x, y, sample_weight)"
        raise ValueError(f"validation_data has {len(validation_data)} parts; {expected}")


@contextlib.contextmanager
def _told(options: dict):
    """Keras's options are looked at, and what its loops run into is a ValueError."""
    for name, usual in (("batch_size", None), ("epochs", 1)):
        if (value := options.get(name, usual)) is not None or name == "epochs":
            check_count(name, value)
    share = options.get("validation_split") or 0.0
    if not (isinstance(share, numbers.Real) and 0 <= share < 1):
        raise ValueError(f"validation_split is {share!r}; expected a number of at least 0, below 1")
    try:
        with batches.plain_errors():
            yield
    except UnboundLocalError as error:  # of `predict`, which knows its outputs after a batch
        raise ValueError("x is empty; expected at least one batch") from error


def _watched(callbacks):
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    given = keras.tree.flatten(callbacks or [])
    if not all(isinstance(one, keras.callbacks.Callback) for one in given):
        raise ValueError(
            f"callbacks is {callbacks!r}; expected objects of keras.callbacks.Callback"
        )
    return [*given, _Watch()]


class _Watch(keras.callbacks.Callback):
    """Ends `fit` and `evaluate` where no batch came, or the loss is no number."""

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
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {float(loss)} in epoch {epoch + 1}; expected data of about unit "
                "scale (pixels in 0..1, a table's columns standardised): see training.StopOnNaN"
            )


def _need_batches(name: str, came: bool) -> None:
    if not came:
        raise ValueError(f"{name} is empty; expected at least one batch")


def _target(x, y, sample_weight):
    """A y that nothing reads: without one, Keras drops the weights of arrays in silence."""
    if sample_weight is None or not hasattr(x, "shape"):
        return y
    check_weights(sample_weight, len(x))
    return np.zeros(len(x)) if y is None else y
