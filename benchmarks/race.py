"""Timing side by side: each contestant in a process of its own, rounds alternating.

A contestant waits while another runs, so that a slow moment of the machine meets all of them.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable

CONTEXT = multiprocessing.get_context("spawn")  # a fork would share TensorFlow's threads


def timed(call: Callable) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def race(makers: dict[str, tuple], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contestant in each round.

    `makers` gives for each name a function of a module and its arguments; in the contestant's
    process it makes a function without arguments that does the work and returns its seconds.
    """
    pipes = {}
    for name, maker in makers.items():
        ours, theirs = CONTEXT.Pipe()
        CONTEXT.Process(target=_work, args=(theirs, *maker), daemon=True).start()
        theirs.close()  # so that a worker that dies is noticed
        ours.recv()  # built and warmed up
        pipes[name] = ours
    seconds = {name: [] for name in pipes}
    for number in range(rounds):
        for name in list(pipes) if number % 2 == 0 else list(reversed(pipes)):
            pipes[name].send("go")
            seconds[name].append(pipes[name].recv())
    for pipe in pipes.values():
        pipe.send("stop")
    return seconds


def _work(pipe, make: Callable, *arguments) -> None:
    work = make(*arguments)
    work()
    pipe.send("ready")
    while pipe.recv() == "go":
        pipe.send(work())
