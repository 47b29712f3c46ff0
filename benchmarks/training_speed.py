"""Images a second of `fit` and `train_vae`, beside a tutorial's `train_step` and PyTorch.

Each contestant lives in a process of its own and waits while another runs; rounds alternate, so
that a slow moment of the machine meets all of them. Ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time

from . import contestants, record

BATCHES = (16, 64, 256)
IMAGES = 25600  # enough that what a call of `fit` costs once does not count


def run(arguments: argparse.Namespace) -> None:
    """Time all, write results/training_speed.json."""
    context = multiprocessing.get_context("spawn")  # a fork would share TensorFlow's threads
    table = {}
    for batch in BATCHES:
        seconds = _race(context, batch, arguments)
        rates = {name: IMAGES / statistics.median(times) for name, times in seconds.items()}
        ratios = {
            name: statistics.median(
                theirs / ours for theirs, ours in zip(times, seconds["fit"], strict=True)
            )
            for name, times in seconds.items()
        }
        table[str(batch)] = {
            "images_per_second": {name: round(rate) for name, rate in rates.items()},
            "fit_is_faster_by": {name: round(r, 3) for name, r in ratios.items()},
            "gflops": {
                name: round(3 * contestants.FORWARD_FLOPS * rate / 1e9, 2)
                for name, rate in rates.items()
            },
        }
        print(f"batch {batch}: {table[str(batch)]}")
    with context.Pool(1) as pool:
        rate = pool.apply(matmul_gflops, (arguments.threads,))
    settings = {"threads": arguments.threads, "rounds": arguments.rounds, "images": IMAGES}
    results = {"by_batch": table, "matmul_gflops": round(rate, 1)}
    print(record.write("training_speed", settings, results))


def _race(context, batch: int, arguments: argparse.Namespace) -> dict[str, list[float]]:
    pipes = {}
    for name in contestants.NAMES:
        ours, theirs = context.Pipe()
        worker = (theirs, name, batch, arguments.data, arguments.threads)
        context.Process(target=_work, args=worker, daemon=True).start()
        theirs.close()  # so that a worker that dies is noticed
        ours.recv()  # built and warmed up
        pipes[name] = ours
    seconds = {name: [] for name in pipes}
    for number in range(arguments.rounds):
        order = list(pipes) if number % 2 == 0 else list(reversed(pipes))
        for name in order:
            pipes[name].send("go")
            seconds[name].append(pipes[name].recv())
    for pipe in pipes.values():
        pipe.send("stop")
    return seconds


def _work(pipe, name: str, batch: int, path: str, threads: int) -> None:
    epoch = contestants.make(name, contestants.load(path, IMAGES), batch, threads)
    epoch()
    pipe.send("ready")
    while pipe.recv() == "go":
        pipe.send(epoch())


def matmul_gflops(threads: int, size: int = 2048) -> float:
    """The machine's rate for float32 matrix products, by TensorFlow: the best of ten."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    a = tf.random.normal((size, size))
    times = []
    for _ in range(10):
        start = time.perf_counter()
        tf.linalg.matmul(a, a).numpy()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times) / 1e9
