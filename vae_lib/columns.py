"""Columns or channels on one scale, inside the model: its weights hold means and deviations."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from sklearn.preprocessing import StandardScaler


class Columns(keras.layers.Layer):
    """(x - mean) / deviation along the last axis, and back; what is constant is only centred.

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
