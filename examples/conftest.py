"""What the tests of the examples share: a detector's file, pictures, processes that end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def detector_file(tmp_path_factory) -> Path:
    """A small detector of threes."""
    import keras

    from vae_lib import VAE, AnomalyDetector, Gaussian, data

    keras.utils.set_random_seed(0)
    split = data.split("mnist-5k", normal=3, seed=0)
    vae = VAE(8, Gaussian(0.2), network="dense", hidden=(64,))
    vae.compile("adam")
    vae.fit(split.train, epochs=20, verbose=0)
    path = tmp_path_factory.mktemp("detector") / "three.detector"
    AnomalyDetector(vae, "relative").calibrate(split.calibration).save(path)
    return path


@pytest.fixture
def start() -> Iterator:
    """Start Python processes in a folder; what is left of them at the end is killed."""
    started = []

    def run(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen:
        own = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, **own, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        finally:
            process.wait()
            process.stdout.close()
