"""What labels of classes are accepted."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf


def check_labels(y, n: int | None, classes: int, name: str = "y") -> None:
    """y must be integers (n,) in 0..classes-1."""
    expected = f"expected integers in 0..{classes - 1}, one for each example"
    if y is None:
        raise ValueError(f"{name} is None; {expected}, or the model under a class: model.given(c)")
    if isinstance(y, keras.KerasTensor) or tf.is_symbolic_tensor(y):
        return
    if isinstance(y, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array; {expected}")
    try:
        y = np.asarray(y)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} cannot be read as an array ({error}); {expected}") from error
    if y.dtype.kind not in "iu" or y.ndim != 1 or (n is not None and len(y) != n):
        found = f"{name} has shape {y.shape} and dtype {y.dtype}"
        raise ValueError(f"{found}; {expected} ({n})")
    if len(y) and (y.min() < 0 or y.max() >= classes):
        raise ValueError(f"{name} has values in {y.min()}..{y.max()}; {expected}")
