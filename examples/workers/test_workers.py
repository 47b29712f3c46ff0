"""Two real processes train one model: equal to one process, also after one of them was killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import numpy as np

from vae_lib import AnomalyDetector, data

HERE = Path(__file__).parent


def finished(process: subprocess.Popen) -> str:
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return out


def state(folder: Path) -> list[np.ndarray]:
    with np.load(folder / "state.npz") as file:
        return [file[name] for name in sorted(file.files)]


def assert_equal(one: Path, other: Path) -> float:
    """The largest difference of any number of the two states; Adam's are between them."""
    pairs = list(zip(state(one), state(other), strict=True))
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)
    return max(float(np.abs(a.astype(float) - b).max()) for a, b in pairs)


def test_two_workers_equal_one_also_when_one_is_killed(start, tmp_path):
    one, two, killed = (tmp_path / name for name in ("one", "two", "killed"))
    epochs = ("--epochs", "8")
    out = finished(start(HERE, "train.py", str(one), "--workers", "1", *epochs))
    assert "epoch 8" in out
    out = finished(start(HERE, "train.py", str(two), "--workers", "2", *epochs))
    assert "done after 1 starts" in out
    apart = assert_equal(one, two)

    process = start(HERE, "train.py", str(killed), "--workers", "2", *epochs, "--pause", "1")
    line = ""
    while not line.startswith("workers"):
        line = process.stdout.readline()
    pids = [int(word) for word in line.split()[1:]]
    while not line.startswith("epoch 3"):
        line = process.stdout.readline()
        assert line, "it ended early"
    time.sleep(0.2)
    os.kill(pids[1], signal.SIGKILL)
    out = finished(process)
    assert "a worker ended with" in out and "done after 2 starts" in out
    assert "epoch 1:" not in out and "epoch 8:" in out  # it went on, and did not begin again
    again = assert_equal(one, killed)
    print(f"\nlargest difference from one process: {apart:.1e}, with a killed worker {again:.1e}")

    split = data.split("mnist-5k", normal=3, seed=0)
    scores = [
        AnomalyDetector.load(f / "three.detector").score(split.test.items) for f in (one, two)
    ]
    np.testing.assert_allclose(*scores, rtol=1e-3)


FIT = """
import json, os, sys
task = {"type": "worker", "index": int(sys.argv[1])}
cluster = {"worker": [f"127.0.0.1:{port}" for port in sys.argv[2:]]}
os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
import numpy as np, tensorflow as tf
from vae_lib import VAE
with tf.distribute.MultiWorkerMirroredStrategy().scope():
    vae = VAE(2, data_shape=(4, 4, 1), network="dense", hidden=(5,))
    vae.compile("adam")
vae.fit(np.zeros((16, 4, 4, 1), "float32"), batch_size=8, epochs=1, verbose=0)
print("it works")
"""


def test_fit_fails_as_the_page_says(start):
    """When this fails, Keras has mended it: say so in train.py, README.md and chapter 15."""
    with socket.socket() as a, socket.socket() as b:
        a.bind(("127.0.0.1", 0))
        b.bind(("127.0.0.1", 0))
        ports = [str(s.getsockname()[1]) for s in (a, b)]
    processes = [start(HERE, "-c", FIT, str(i), *ports) for i in range(2)]
    out, _ = processes[0].communicate(timeout=120)
    assert processes[0].returncode and "it works" not in out
    assert "Invalid reduction dimension 0" in out, out[-2000:]
