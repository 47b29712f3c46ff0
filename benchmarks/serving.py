"""One image through a detector in every format that it can be shipped in: time, size, figures.

All formats are timed in one process on one thread, turn by turn, so that a busy moment of the
computer meets them all. A turn is the median of its calls, and a format's time its fastest turn.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from . import record

CALLS = {"vae.predict and NumPy": 3, "eager": 20}  # the slow ones; others are called 200 times
NORMAL, EPOCHS, ASKED = 3, 60, 0.05


def run(arguments: argparse.Namespace) -> None:
    """Measure all, write the record serving."""
    import keras
    import tensorflow as tf
    from threadpoolctl import threadpool_limits

    from vae_lib import VAE, AnomalyDetector, Gaussian, data

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    split = data.split("mnist-5k", normal=NORMAL)
    vae = VAE(16, Gaussian(0.2), network="dense")
    vae.compile("adam")
    vae.fit(split.train, epochs=EPOCHS, verbose=0)
    detector = AnomalyDetector(vae, "relative").calibrate(split.calibration, ASKED)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):  # NumPy's, too
        ways, sizes = _ways(detector, Path(folder))
        one = [split.test.items[i : i + 1] for i in range(200)]
        times = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                times[name].append(_median(way, one[: CALLS.get(name, 200)]))
        table = {}
        for name, way in ways.items():
            table[name] = {"us": round(1e6 * min(times[name]), 1)}
            table[name] |= {"kb": sizes.get(name)} | _figures(way, detector, split)
    settings = {"threads": 1, "rounds": arguments.rounds, "epochs": EPOCHS, "normal": NORMAL}
    print(record.write("serving", settings | {"score": "relative", "asked": ASKED}, table))


def _ways(detector, folder: Path) -> tuple[dict, dict]:
    """By name, functions of images (n, 28, 28, 1) to scores (n,), and sizes on disk in kB."""
    import onnxruntime
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    from vae_lib.scores.base import total

    vae, score = detector.model, detector._now.score
    detector.save(folder / "it.detector")
    detector.export(folder / "saved")
    model = tf.saved_model.load(str(folder / "saved"))
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(folder / "saved")]
    command += ["--signature_def", "serve", "--output", str(folder / "it.onnx")]
    subprocess.run(command, check=True, capture_output=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    onnx = onnxruntime.InferenceSession(str(folder / "it.onnx"), options)
    place = [output.name for output in onnx.get_outputs()].index("score")
    (given,) = (entry.name for entry in onnx.get_inputs())
    terms = tf.function(lambda x: total(score.terms(vae, x)), autograph=False)

    ways = {
        "vae.predict and NumPy": lambda x: relative(x, vae.predict(x, verbose=0)),
        "eager": lambda x: score.terms(vae, tf.constant(x)).numpy().sum(axis=(1, 2, 3)),
        "detector.score": detector.score,
        "tf.function": lambda x: terms(tf.constant(x)).numpy(),
        "SavedModel": lambda x: model.serve(tf.constant(x))["score"].numpy(),
        "ONNX Runtime": lambda x: onnx.run(None, {given: x})[place],
        "NumPy": forward(vae.get_weights()),
    }
    for precision in ("float32", "float16", "int8"):
        path = folder / f"{precision}.tflite"
        detector.export(path, "litert", precision)
        ways[f"LiteRT {precision}"] = _lite(Interpreter(str(path), num_threads=1))
    saved = sum(file.stat().st_size for file in (folder / "saved").rglob("*") if file.is_file())
    sizes = {"SavedModel": saved, "detector.score": (folder / "it.detector").stat().st_size}
    sizes["ONNX Runtime"] = (folder / "it.onnx").stat().st_size
    sizes |= {f"LiteRT {p.stem}": p.stat().st_size for p in folder.glob("*.tflite")}
    return ways, {name: round(size / 1000) for name, size in sizes.items()}


def relative(x: np.ndarray, redrawn: np.ndarray) -> np.ndarray:
    """The score "relative", equation (6.3), of images and their reconstructions: (n,)."""
    padded = np.pad((x - redrawn)[..., 0], ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    sums = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    ends = np.full(28, 3.0, "float32")
    ends[[0, -1]] = 2
    error = (sums / np.outer(ends, ends)) ** 2
    return error.sum(axis=(1, 2)) / ((x**2).sum(axis=(1, 2, 3)) + 1e-6)


def forward(weights: list[np.ndarray]):
    """Images (n, 28, 28, 1) to scores (n,) by the weights of a dense VAE with one hidden layer."""
    w1, b1, w_mean, b_mean, _, _, w2, b2, w3, b3 = [w for w in weights if w.ndim in (1, 2)][:10]

    def score(x: np.ndarray) -> np.ndarray:
        hidden = np.maximum(x.reshape(len(x), -1) @ w1 + b1, 0)
        z = hidden @ w_mean + b_mean
        redrawn = np.maximum(z @ w2 + b2, 0) @ w3 + b3
        return relative(x, redrawn.reshape(x.shape))

    return score


def _lite(interpreter):
    runner = interpreter.get_signature_runner("serve")
    return lambda x: runner(images=x)["score"]


def _median(way, images: list[np.ndarray]) -> float:
    """Seconds a call."""
    way(images[0])
    found = []
    for x in images:
        start = time.perf_counter()
        way(x)
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def _figures(way, detector, split) -> dict[str, float]:
    """AUROC, and false-alarm rates by the library's threshold and by one of the format's own."""
    from sklearn.metrics import roc_auc_score

    from vae_lib import thresholds

    found, truth = np.asarray(way(split.test.items)), split.test.is_anomaly
    own = thresholds.conformal(np.asarray(way(split.calibration)), ASKED)
    limits = {"false_alarms": detector.threshold, "recalibrated": own}
    rates = {name: float((found[~truth] > limit).mean()) for name, limit in limits.items()}
    return {"auroc": round(float(roc_auc_score(truth, found)), 5), **rates}
