"""Shards scored by two processes, one of which is killed: nothing lost, nothing doubled."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vae_lib import AnomalyDetector

HERE = Path(__file__).parent
SHARDS, ROWS = 24, 500


def images(shard: int) -> np.ndarray:
    return np.random.RandomState(shard).randint(0, 256, (ROWS, 28, 28, 1)).astype("uint8")


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    for i in range(SHARDS):
        np.savez(folder / f"shard{i:02d}.npz", images=images(i))
    return folder


def lines(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary(process) -> dict:
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return json.loads(out.splitlines()[-1])


def assert_all_there(out: Path, detector_file: Path) -> None:
    """A file a shard, a line a row, and the scores of one process, to the bit."""
    names = [f"shard{i:02d}.csv" for i in range(SHARDS)]
    assert sorted(p.name for p in out.iterdir()) == [".detector", *names]
    detector = AnomalyDetector.load(detector_file)
    for i in range(SHARDS):
        found = lines(out / f"shard{i:02d}.csv")
        assert [int(line["row"]) for line in found] == list(range(ROWS))
        if i % 6 == 0:
            expected = detector.score(images(i) / np.float32(255))
            np.testing.assert_array_equal([float(line["score"]) for line in found], expected)


def test_a_killed_worker(start, shards, detector_file, tmp_path):
    arguments = ["score.py", str(shards), str(tmp_path / "out"), "--detector", str(detector_file)]
    process = start(HERE, *arguments, "--workers", "2", "--pause", "0.5")
    seen = ""
    while not seen.startswith("workers"):
        seen = process.stdout.readline()
    pids = [int(word) for word in seen.split()[1:]]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list((tmp_path / "out").glob("*.csv"))) < 6:
        time.sleep(0.05)
    done = len(list((tmp_path / "out").glob("*.csv")))
    os.kill(pids[0], signal.SIGKILL)
    found = summary(process)
    print(f"\na worker of two killed after {done} of {SHARDS} shards: {found}")
    assert len(pids) == 2 and 6 <= done < SHARDS
    assert found["rows"] == SHARDS * ROWS and found["shards"] == SHARDS
    assert_all_there(tmp_path / "out", detector_file)


def test_an_interrupted_run_goes_on(start, shards, detector_file, tmp_path):
    arguments = ["score.py", str(shards), str(tmp_path / "out"), "--detector", str(detector_file)]
    one = summary(start(HERE, *arguments, "--workers", "0"))
    assert one["rows"] == SHARDS * ROWS and one["processes"] == 1
    kept = tmp_path / "out" / "shard03.csv"
    before = kept.stat().st_mtime_ns
    (tmp_path / "out" / "shard07.csv").unlink()
    (tmp_path / "out" / ".shard07.csv.0.part").write_text("half a")  # of one that was killed
    two = summary(start(HERE, *arguments, "--workers", "2"))
    assert two["rows"] == SHARDS * ROWS and kept.stat().st_mtime_ns == before
    assert_all_there(tmp_path / "out", detector_file)
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    two = summary(start(HERE, *arguments, "--workers", "2"))
    speed = {name: round(it["rows"] / it["seconds"]) for name, it in (("one", one), ("two", two))}
    print(f"\nrows a second, the start left out: {speed}")
    assert_all_there(tmp_path / "out", detector_file)


def test_tables_in_parquet(start, tmp_path):
    random = np.random.RandomState(0)
    table = pd.DataFrame(random.normal(size=(120, 3)), columns=["a", "b", "c"])
    detector = AnomalyDetector(false_alarm_rate=0.1, epochs=2, hidden=(6,)).fit(table)
    detector.save(tmp_path / "rows.detector")
    (tmp_path / "shards").mkdir()
    for i in range(3):
        table[40 * i : 40 * (i + 1)].to_parquet(tmp_path / "shards" / f"{i}.parquet")
    command = ["score.py", str(tmp_path / "shards"), str(tmp_path / "out")]
    found = summary(start(HERE, *command, "--detector", str(tmp_path / "rows.detector")))
    assert found["rows"] == 120
    scores = [
        float(line["score"]) for i in range(3) for line in lines(tmp_path / "out" / f"{i}.csv")
    ]
    np.testing.assert_allclose(scores, detector.judge(table)["score"], rtol=1e-6)


def test_wrong_shards_and_another_detector(start, tmp_path, detector_file):
    """Told by a sentence and a status; what is there stays as it is."""
    (tmp_path / "shards").mkdir()
    np.savez(tmp_path / "shards" / "bad.npz", images=np.zeros((3, 9, 9, 1), "uint8"))
    arguments = ["score.py", str(tmp_path / "shards"), str(tmp_path / "out"), "--workers"]
    for workers in ("0", "1"):
        process = start(HERE, *arguments, workers, "--detector", str(detector_file))
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 1 and "score.py: bad.npz: " in out and "(3, 9, 9, 1)" in out
        assert not list(tmp_path.glob("out/*.csv")) and ("Traceback" in out) == (workers == "1")
    (tmp_path / "other.detector").write_bytes(detector_file.read_bytes() + b" ")
    process = start(HERE, *arguments, "0", "--detector", str(tmp_path / "other.detector"))
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1 and "scores of another detector" in out


def test_no_shard_and_two_of_one_name(start, tmp_path, detector_file):
    arguments = ["score.py", str(tmp_path), str(tmp_path / "out"), "--detector", str(detector_file)]
    process = start(HERE, *arguments)
    assert "has no shard" in process.communicate(timeout=60)[0] and process.returncode == 2
    np.savez(tmp_path / "a.npz", images=images(0)[:1])
    (tmp_path / "a.csv").write_text("x\n1\n")
    process = start(HERE, *arguments)
    assert "two shards of one name" in process.communicate(timeout=60)[0]
