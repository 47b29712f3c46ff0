"""Score more than one machine holds: a folder of shards in, a CSV file a shard out, by Dask.

    python score.py SHARDS OUT --detector three.detector --workers 2
    python score.py SHARDS OUT --detector three.detector --scheduler tcp://10.0.0.1:8786

A shard is an .npz, a CSV or a Parquet file. Each worker loads the detector once. A worker that dies
loses what it was about, and Dask gives its shards to others, the finished ones too, since their
results were in its memory. So it is the file that says whether a shard is done: it is written under
a temporary name and renamed when it is whole, and a shard whose file is there is not scored again.
OUT is of one detector, whose digest lies in it; nobody looks whether a scored shard has changed
since. With a cluster, shards, OUT and the detector must lie where all its machines see them.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

from dask.distributed import Client, LocalCluster, WorkerPlugin, as_completed, get_worker

SUFFIXES = (".npz", ".csv", ".parquet")


class Loader(WorkerPlugin):
    """Loads the detector when a worker starts, also one that takes the place of a dead one."""

    def __init__(self, path: str):
        self.path = path

    def setup(self, worker) -> None:
        """Called in the worker."""
        from vae_lib import command

        worker.detector = command.load(self.path)


def score_shard(shard: str, out: str, detector=None, pause: float = 0.0) -> tuple[str, int, int]:
    """Score one shard, unless its file is there; returns its name, its rows, and who did it."""
    from vae_lib import command

    target = Path(out) / f"{Path(shard).stem}.csv"
    if not target.exists():
        detector = get_worker().detector if detector is None else detector
        try:
            source, rows = command.read(shard, command.shape_of(detector)), []
            for items in source.parts:
                rows += command.scored(detector, items)
        except ValueError as error:
            raise ValueError(f"{Path(shard).name}: {error}") from error
        time.sleep(pause)
        named = [(name, *row) for name, row in zip(source.names, rows, strict=True)]
        command.write(str(target), (source.kind, *command.SCORES), named)
    with target.open(encoding="utf-8") as file:
        return target.name, sum(1 for _ in file) - 1, os.getpid()


def in_this_process(shards: list[str], options: argparse.Namespace) -> Iterator:
    """Without Dask, to compare with."""
    from vae_lib import command

    detector = command.load(options.detector)
    return (score_shard(shard, options.out, detector, options.pause) for shard in shards)


def by_workers(client: Client, shards: list[str], options: argparse.Namespace) -> Iterator:
    """On all workers; those of a dead one again."""
    client.register_plugin(Loader(options.detector))
    print("workers", *client.run(os.getpid).values(), flush=True)
    more = {"out": options.out, "pause": options.pause}
    futures = client.map(score_shard, shards, **more, pure=False, retries=3)
    return (future.result() for future in as_completed(futures))


def check_detector(path: str, out: Path) -> None:
    """Raise a ValueError if `out` holds scores of another detector than that of `path`."""
    digest, note = hashlib.sha256(Path(path).read_bytes()).hexdigest(), out / ".detector"
    if note.exists() and note.read_text(encoding="utf-8") != digest:
        raise ValueError(f"{str(out)!r} holds scores of another detector; expected a new folder")
    note.write_text(digest, encoding="utf-8")


def collected(results: Iterable, count: int) -> dict:
    """Rows, shards and who did them; a line of progress on stderr."""
    start, rows, who = time.perf_counter(), {}, set()
    for name, n, pid in results:
        rows[name] = n
        who.add(pid)
        print(f"\r{len(rows)} of {count} shards", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    seconds = time.perf_counter() - start
    return {"rows": sum(rows.values()), "shards": len(rows), "processes": len(who)} | {
        "seconds": round(seconds, 2)
    }


def main() -> None:
    """Score what is not scored yet; the last line printed is a summary in JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", help="a folder of .npz, .csv or .parquet files")
    parser.add_argument("out", help="a folder for a CSV file a shard")
    parser.add_argument("--detector", required=True, help="a file that save wrote")
    parser.add_argument("--workers", type=int, default=2, help="processes here; 0: no Dask")
    parser.add_argument("--scheduler", help="the address of a cluster, instead of processes here")
    parser.add_argument("--pause", type=float, default=0, help="seconds more a shard, for trials")
    options = parser.parse_args()
    options.out = str(Path(options.out).resolve())
    options.detector = str(Path(options.detector).resolve())
    Path(options.out).mkdir(parents=True, exist_ok=True)
    inside = Path(options.shards).resolve().iterdir()
    files = sorted(file for file in inside if file.suffix.lower() in SUFFIXES)
    if not files:
        parser.error(f"{options.shards!r} has no shard; expected files {SUFFIXES}")
    if len({file.stem for file in files}) < len(files):
        parser.error(f"{options.shards!r} has two shards of one name; their scores would be one")
    try:
        check_detector(options.detector, Path(options.out))
        found = scores_of([str(file) for file in files], options)
    except (ValueError, OSError) as error:  # what is wrong with a shard, or with the detector
        sys.exit(f"score.py: {error}")
    for left in Path(options.out).glob(".*.part"):  # of those that were killed
        left.unlink()
    print(json.dumps(found), flush=True)


def scores_of(shards: list[str], options: argparse.Namespace) -> dict:
    """Score them here, on workers of this machine, or on a cluster; see `collected`."""
    if options.scheduler is None and options.workers == 0:
        return collected(in_this_process(shards, options), len(shards))
    with contextlib.ExitStack() as stack:
        at = options.scheduler
        if at is None:
            size = {"n_workers": options.workers, "threads_per_worker": 1}
            at = stack.enter_context(LocalCluster(**size, dashboard_address=None))
        client = stack.enter_context(Client(at))
        return collected(by_workers(client, shards, options), len(shards))


if __name__ == "__main__":
    main()
