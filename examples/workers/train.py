"""Train a VAE on several workers by TensorFlow's own MultiWorkerMirroredStrategy.

    python train.py OUT --workers 2

starts the workers here, on loopback, and starts all of them again from the last epoch's state when
one dies. On several machines start one process on each instead, with TF_CONFIG set as TensorFlow
has it, and OUT where all of them see it: `python train.py OUT --worker`.

With Keras 3.15 and TensorFlow 2.21 `fit` fails under this strategy: Keras's trainer reduces a loss
without axes along axis 0. A loop of one's own works. Two things are easily done wrong in it. The
optimizer of Keras sums gradients over the replicas itself, so the loss of each is divided by their
number, and nothing is reduced by hand. And a seed is the same on all replicas, so that each would
draw the same noise: here all noise of a step is drawn at once, and each takes its own rows.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

import keras
import numpy as np
import tensorflow as tf

from vae_lib import VAE, AnomalyDetector, Gaussian, data, losses

LATENT, STATE = 8, "state.npz"


def make() -> VAE:
    """The same model wherever it is called."""
    keras.utils.set_random_seed(0)
    return VAE(LATENT, Gaussian(0.2), network="dense", hidden=(64,), seed=0)


def train(out: Path, epochs: int, batch: int, pause: float) -> None:
    """What each worker does; the first one writes state.npz after each epoch."""
    several = "TF_CONFIG" in os.environ
    kind = tf.distribute.MultiWorkerMirroredStrategy if several else tf.distribute.get_strategy
    strategy = kind()
    index = strategy.cluster_resolver.task_id if several else 0
    workers = strategy.num_replicas_in_sync  # one replica a worker, on a processor
    if batch % workers:
        raise SystemExit(f"batch is {batch}; expected a multiple of {workers} workers")
    own = slice(index * batch // workers, (index + 1) * batch // workers)
    with strategy.scope():
        vae, optimizer = make(), keras.optimizers.Adam(1e-3)
        optimizer.build(vae.trainable_variables)

    def replica(x, eps):
        with tf.GradientTape() as tape:
            mean, log_var = vae.encode(x)
            parameters = vae.decode(vae.reparameterize(mean, log_var, eps=eps))
            bound = losses.elbo(
                losses.reconstruction(vae.likelihood, x, parameters),
                losses.kl_divergence(mean, log_var),
            )
            loss = -tf.reduce_mean(bound) / workers  # the optimizer sums over replicas
        gradients = tape.gradient(loss, vae.trainable_variables)
        optimizer.apply_gradients(zip(gradients, vae.trainable_variables, strict=True))
        return loss

    @tf.function
    def step(x, seed):
        eps = tf.random.stateless_normal((batch, LATENT), seed)[own]
        return strategy.reduce("SUM", strategy.run(replica, (x, eps)), axis=None)

    variables = [*vae.trainable_variables, *optimizer.variables]
    begun = restore(variables, out)
    x = data.split("mnist-5k", normal=3, seed=0).train
    for epoch in range(begun, epochs):
        order, found = np.random.RandomState(epoch).permutation(len(x)), []
        for i in range(len(x) // batch):
            rows = order[i * batch : (i + 1) * batch][own]
            found.append(float(step(tf.constant(x[rows]), tf.constant([epoch, i]))))
        if index == 0:
            write(variables, epoch + 1, out)
            print(f"epoch {epoch + 1}: {np.mean(found):.6f} nats", flush=True)
        time.sleep(pause)


def write(variables: list, epoch: int, out: Path) -> None:
    """Weights and the optimizer's state, whole or not at all."""
    temporary = out / f".{STATE}"
    with temporary.open("wb") as file:
        arrays = [keras.ops.convert_to_numpy(variable) for variable in variables]
        np.savez(file, *arrays, epoch=np.array(epoch))
    temporary.replace(out / STATE)


def restore(variables: list, out: Path) -> int:
    """Set what `write` wrote; returns how many epochs are done."""
    if not (out / STATE).exists():
        return 0
    with np.load(out / STATE, allow_pickle=False) as file:
        for i, variable in enumerate(variables):
            variable.assign(file[f"arr_{i}"])
        return int(file["epoch"])


def supervise(options: argparse.Namespace) -> int:
    """Start all workers; when one dies, end the others and start all again. Returns the starts."""
    for start in range(1, options.starts + 1):
        ports = _ports(options.workers)
        processes = [_worker(port, ports) for port in ports]
        print("workers", *(process.pid for process in processes), flush=True)
        try:
            codes = [None]
            while None in codes and not any(codes):
                time.sleep(0.1)
                codes = [process.poll() for process in processes]
        finally:  # also when this process is asked to stop
            for process in processes:
                process.kill()
                process.wait()
        if not any(codes):
            return start
        print(f"a worker ended with {codes}", flush=True)
    raise SystemExit(f"gave up after {options.starts} starts")


def _worker(port: int, ports: list[int]) -> subprocess.Popen:
    environment = dict(os.environ)
    if len(ports) > 1:
        task = {"type": "worker", "index": ports.index(port)}
        cluster = {"worker": [f"127.0.0.1:{p}" for p in ports]}
        environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    return subprocess.Popen([sys.executable, *sys.argv, "--worker"], env=environment)


def _ports(n: int) -> list[int]:
    """Free ports of loopback."""
    sockets = [socket.socket() for _ in range(n)]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    ports = [free.getsockname()[1] for free in sockets]
    for free in sockets:
        free.close()
    return ports


def detector_of(out: Path) -> AnomalyDetector:
    """The trained model, calibrated, on no strategy: an ordinary VAE."""
    vae = make()
    restore(vae.trainable_variables, out)
    calibration = data.split("mnist-5k", normal=3, seed=0).calibration
    return AnomalyDetector(vae, "relative").calibrate(calibration)


def main() -> None:
    """Train, and write OUT/three.detector."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a folder for the state and the detector")
    parser.add_argument("--workers", type=int, default=2, help="processes here")
    parser.add_argument("--worker", action="store_true", help="be one of them")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=48, help="images a step, of all workers")
    parser.add_argument("--starts", type=int, default=3, help="of all workers, at most")
    parser.add_argument("--pause", type=float, default=0, help="seconds more an epoch, for trials")
    options = parser.parse_args()
    least = min(options.workers, options.batch, options.epochs, options.starts)
    if least < 1 or (not options.worker and options.batch % options.workers):
        found = f"workers, batch, epochs, starts are {options.workers}, {options.batch}, "
        found += f"{options.epochs}, {options.starts}"
        parser.error(f"{found}; expected 1 or more each, and batch a multiple of workers")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.worker:
        train(options.out, options.epochs, options.batch, options.pause)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    starts = supervise(options)
    detector_of(options.out).save(options.out / "three.detector")
    print(f"done after {starts} starts", flush=True)


if __name__ == "__main__":
    main()
