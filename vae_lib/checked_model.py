"""A Keras model whose `fit`, `evaluate` and `predict` look at their data, whatever it comes in."""

from __future__ import annotations

import math

import keras
import numpy as np

from . import batches
from .checks import check_weights


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
        self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *, validation_data=None, sample_weight=None, **kwargs):
        """As in Keras."""
        x, y = self._checked(x), _target(x, y, sample_weight)
        if isinstance(validation_data, (tuple, list)):
            x_val, y_val, weight = keras.utils.unpack_x_y_sample_weight(tuple(validation_data))
            x_val = self._checked(x_val, "validation_data")
            validation_data = (x_val, _target(x_val, y_val, weight), weight)
        elif validation_data is not None:
            validation_data = self._checked(validation_data, "validation_data")
        return self._fit(
            x, y, validation_data=validation_data, sample_weight=sample_weight, **kwargs
        )

    def evaluate(self, x=None, y=None, *, sample_weight=None, **kwargs):
        """As in Keras; one-sample estimates of the terms, with the same noise in every batch.

        Two calls agree exactly; compare models at the same `batch_size`.
        """
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has looked at its validation data
            x, y = self._checked(x), _target(x, y, sample_weight)
        with batches.plain_errors():
            return super().evaluate(x, y, sample_weight=sample_weight, **kwargs)

    def predict(self, x, *args, **kwargs):
        """As in Keras; reconstructions E[x given z] at the posterior mean, in the shape of x."""
        with batches.plain_errors():
            return super().predict(self._checked(x), *args, **kwargs)

    def _checked(self, x, name: str = "x"):
        return batches.checked(x, self.form(name))

    def _fit(self, *args, callbacks=None, **kwargs):
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = [*keras.tree.flatten(callbacks or []), _Finite()]
        with batches.plain_errors():
            return super().fit(*args, callbacks=callbacks, **kwargs)


class _Finite(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs=None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {float(loss)} in epoch {epoch + 1}; expected data of about unit "
                "scale (pixels in 0..1, a table's columns standardised): see training.StopOnNaN"
            )


def _target(x, y, sample_weight):
    """A y that nothing reads: without one, Keras drops the weights of arrays in silence."""
    if sample_weight is None or not hasattr(x, "shape"):
        return y
    check_weights(sample_weight, len(x))
    return np.zeros(len(x)) if y is None else y
