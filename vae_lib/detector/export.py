"""A calibrated detector as one graph for other engines: items in; score, p-value, alarm out."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ..checks import check_path
from ..scores.base import total
from ..scores.fusion import LEAST
from .state import Calibration, State

ENDPOINT = "serve"
FORMATS = ("saved_model", "litert")
PRECISIONS = ("float32", "float16", "int8")
# What no other engine repeats: random numbers, and calls back into Python
RANDOM = ("Random", "Multinomial", "TruncatedNormal", "StandardNormal", "StatefulUniform", "Rng")
PYTHON = ("PyFunc", "EagerPyFunc", "PyFuncStateless")


def graph_of(state: State) -> tf.types.experimental.PolymorphicFunction:
    """The graph of a calibrated detector: items (n, *data_shape) to a dict of three outputs.

    `score` (n,), `p_value` (n,) and `is_anomaly` (n,) of bool are those of `AnomalyDetector`, in
    the model's own precision. What the library would refuse, such as NaN, raises nothing here: its
    score and p-value are NaN, and it is an anomaly.

    Raises a ValueError if the score draws random numbers.
    """
    form, dtype = state.form(), state.models[0].variable_dtype
    signature = [tf.TensorSpec((None, *form.data_shape), dtype, name="images")]
    judge = _judge(state.calibration, dtype)

    # without AutoGraph, as in `scores`: there is no Python `if` on a tensor
    @tf.function(input_signature=signature, autograph=False)
    def serve(images):
        usable = tf.reduce_all(
            _usable(images, form.unit_interval), axis=range(1, images.shape.rank)
        )
        mask = tf.reshape(usable, (-1, *[1] * len(form.data_shape)))
        images = tf.where(mask, images, tf.zeros_like(images))
        parts = [ops.cast(total(score.terms(view, images)), dtype) for view, score in state.views]
        scores = _averaged(state, tf.stack(parts, axis=1))
        usable &= tf.reduce_all(_usable(scores, False), axis=1)
        p_value, is_anomaly = judge(scores)
        nothing = tf.constant(np.nan, dtype)
        return {
            "score": tf.where(usable, tf.reduce_min(scores, axis=1), nothing),
            "p_value": tf.where(usable, p_value, nothing),
            "is_anomaly": is_anomaly | ~usable,
        }

    _check_operations(serve.get_concrete_function().graph.as_graph_def(), state.score.label())
    return serve


def write(state: State, path: str | Path, format: str, precision: str) -> None:
    """Write the graph, whole or not at all; see `AnomalyDetector.export`."""
    check_path(path)
    for name, value, known in (
        ("format", format, FORMATS),
        ("precision", precision, PRECISIONS),
    ):
        if not (isinstance(value, str) and value in known):
            raise ValueError(f"{name} is {value!r}; expected one of {known}")
    if format == "saved_model" and precision != "float32":
        problem = f"precision is {precision!r} and format is 'saved_model'"
        raise ValueError(f"{problem}; expected 'float32', or the format 'litert'")
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise ValueError(f"path is {str(path)!r}; expected a name in a folder that exists")
    if format == "saved_model" and target.exists():
        raise ValueError(f"path is {str(path)!r}, which is there already; expected a new name")
    if format == "litert" and target.is_dir():
        raise ValueError(f"path is {str(path)!r}, which is a folder; expected a file's name")
    serve = graph_of(state)
    place = tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent)
    with place as folder, _quiet():
        made = Path(folder) / "graph"
        archive = keras.export.ExportArchive()  # finds the variables that the graph reads
        archive.add_endpoint(ENDPOINT, serve)
        archive.write_out(str(made), verbose=False)
        if format == "litert":
            content = _converted(made, precision)
            shutil.rmtree(made)
            made.write_bytes(content)
        made.replace(target)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without TensorFlow's word of where the assets went, which is a temporary place."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _averaged(state: State, scores):
    """`State.averaged`, of tensors."""
    if state.members == 1:
        return scores
    if state.score.positive:
        return tf.exp(tf.reduce_mean(tf.math.log(scores + LEAST), axis=1, keepdims=True))
    return tf.reduce_mean(scores, axis=1, keepdims=True)


def _judge(calibration: Calibration, dtype: str) -> Callable:
    """p-values (n,) and alarms (n,) of scores (n, classes), by comparisons alone."""
    parts = [calibration.scores[calibration.classes == c] for c in np.unique(calibration.classes)]
    limits = calibration.thresholds.astype(dtype)
    # rounded down: then score > limit is the same as with all digits of the threshold
    limits = np.where(limits > calibration.thresholds, np.nextafter(limits, -np.inf), limits)

    def judge(scores):
        p_values = []
        for c, part in enumerate(parts):
            at_least = tf.constant(part, dtype)[None] >= scores[:, c, None]
            count = tf.reduce_sum(tf.cast(at_least, "int32"), axis=1)
            p_values.append(tf.cast(1 + count, dtype) / (len(part) + 1))
        p_value = tf.reduce_max(tf.stack(p_values, axis=1), axis=1)
        return p_value, tf.reduce_all(scores > tf.constant(limits, dtype), axis=1)

    return judge


def _usable(x, unit_interval: bool):
    """Where x is finite, and in 0..1 if so asked."""
    if unit_interval:
        return (x >= 0) & (x <= 1)
    return tf.abs(x) <= x.dtype.max  # NaN compares as False; not all engines have is_finite


def _check_operations(graph: tf.compat.v1.GraphDef, label: str) -> None:
    nodes = [*graph.node, *(node for part in graph.library.function for node in part.node_def)]
    names = sorted({node.op for node in nodes})
    if drawn := [name for name in names if any(word in name for word in RANDOM)]:
        expected = "expected one that draws none, such as 'likelihood' or 'reconstruction'"
        raise ValueError(f"score is {label}, whose graph draws random numbers {drawn}; {expected}")
    if python := [name for name in names if name in PYTHON]:
        expected = "expected one of TensorFlow's or Keras's operations alone"
        raise ValueError(f"score is {label}, whose graph calls Python {python}; {expected}")


def _converted(folder: Path, precision: str) -> bytes:
    """The SavedModel in LiteRT's format, its weights in that precision."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[ENDPOINT])
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()
