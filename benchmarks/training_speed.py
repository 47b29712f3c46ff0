"""Images a second of `fit` and `train_vae`, beside a tutorial's `train_step` and PyTorch.

Ratios are taken within a round; see `race`.
"""

from __future__ import annotations

import argparse
import statistics

from . import contestants, record
from .race import CONTEXT, race, timed

BATCHES = (16, 64, 256)
IMAGES = 25600  # enough that what a call of `fit` costs once does not count


def run(arguments: argparse.Namespace) -> None:
    """Time all, write the record training_speed."""
    table = {}
    for batch in BATCHES:
        makers = {
            name: (contestant, name, batch, arguments.data, arguments.threads)
            for name in contestants.NAMES
        }
        seconds = race(makers, arguments.rounds)
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
    with CONTEXT.Pool(1) as pool:
        rate = pool.apply(matmul_gflops, (arguments.threads,))
    settings = {"threads": arguments.threads, "rounds": arguments.rounds, "images": IMAGES}
    results = {"by_batch": table, "matmul_gflops": round(rate, 1)}
    print(record.write("training_speed", settings, results))


def contestant(name: str, batch: int, path: str, threads: int):
    """One of `contestants`, with its images."""
    return contestants.make(name, contestants.load(path, IMAGES), batch, threads)


def matmul_gflops(threads: int, size: int = 2048) -> float:
    """The machine's rate for float32 matrix products, by TensorFlow: the best of ten."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    a = tf.random.normal((size, size))
    seconds = min(timed(lambda: tf.linalg.matmul(a, a).numpy()) for _ in range(10))
    return 2 * size**3 / seconds / 1e9
