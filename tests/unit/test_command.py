"""`python -m vae_lib`: the figures of the library, whole files, and an exit status."""

from __future__ import annotations

import csv
import functools
import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vae_lib import VAE, AnomalyDetector, command, data, series, thresholds
from vae_lib.command import main

SHAPE = (8, 8, 1)


@functools.cache
def of_images() -> AnomalyDetector:
    keras.utils.set_random_seed(0)
    vae = VAE(2, "gaussian", SHAPE, "dense", hidden=(6,))
    vae.compile("adam", run_eagerly=True)
    x = levels(120) / np.float32(255)
    vae.fit(x, epochs=2, verbose=0)
    return AnomalyDetector(vae, "reconstruction").calibrate(x, 0.1)


def levels(n: int, seed: int = 0) -> np.ndarray:
    """Smooth pictures of uint8 (n, 8, 8, 1)."""
    random = np.random.RandomState(seed)
    return (random.randint(40, 90, (n, 1, 1, 1)) + random.randint(0, 9, (n, *SHAPE))).astype("u1")


@functools.cache
def table(n: int = 90) -> pd.DataFrame:
    random = np.random.RandomState(1)
    load = random.normal(10, 2, n)
    frame = pd.DataFrame({"load": load, "heat": 3 * load + random.normal(0, 1, n)})
    frame["faulty"] = (np.arange(n) % 9 == 0).astype(int)
    frame.loc[frame["faulty"] == 1, "heat"] += 40
    return frame


@functools.cache
def of_table() -> AnomalyDetector:
    rows = table()[table()["faulty"] == 0].drop(columns="faulty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AnomalyDetector(false_alarm_rate=0.1, epochs=2, hidden=(6,)).fit(rows)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with a detector of each kind, pictures by label, an .npz and tables."""
    monkeypatch.chdir(tmp_path)
    of_images().save("images.detector")
    of_table().save("rows.detector")
    pictures = levels(12, seed=3)
    pictures[9:, 2:6, 2:6] = 255
    for i, picture in enumerate(pictures):
        folder = tmp_path / "pictures" / ("normal" if i < 9 else "scratch")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture[..., 0]).save(folder / f"{i:02d}.png")
    np.savez("x.npz", images=pictures, is_anomaly=np.arange(12) >= 9)
    table().to_csv("rows.csv", index=False)
    table().to_parquet("rows.parquet")
    return tmp_path


def rows_of(path: str | Path) -> list[dict]:
    return list(csv.DictReader(Path(path).open(encoding="utf-8")))


def assert_verdicts(rows: list[dict], verdicts) -> None:
    for name in ("score", "p_value", "is_anomaly"):
        values = np.array([float(row[name]) for row in rows])
        np.testing.assert_allclose(values, np.asarray(getattr(verdicts, name)), rtol=1e-12)
    assert 0 < values.sum() < len(values)


@pytest.mark.parametrize("source", ["pictures", "x.npz"])
def test_scores_are_the_librarys(here, source):
    assert main(["score", source, "--detector", "images.detector", "--out", "out.csv"]) == 0
    rows, files = rows_of("out.csv"), sorted(Path("pictures").rglob("*.png"))
    if source == "pictures":
        assert [Path("pictures") / row["file"] for row in rows] == files
    assert_verdicts(rows, of_images().judge(data.read_images(files)))
    assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(("source", "option"), [("csv", "--label"), ("parquet", "--drop")])
def test_rows_of_a_table(here, source, option):
    words = ["score", f"rows.{source}", "--detector", "rows.detector", option, "faulty"]
    assert main([*words, "--out", "out.csv"]) == 0
    rows = rows_of("out.csv")
    assert_verdicts(rows, of_table().judge(table().drop(columns="faulty")))
    assert [row["row"] for row in rows] == [str(i) for i in range(len(table()))]


def test_points_of_a_series_are_judged_by_windows_that_reach_over_parts(here, monkeypatch):
    points = np.random.RandomState(0).randn(60, 2).astype("float32")
    vae = VAE(2, "gaussian", (8, 2), "dense", hidden=(4,))
    windows = series.windows(points, 8).values
    detector = AnomalyDetector(vae, "reconstruction").calibrate(windows, 0.1)
    detector.save("series.detector")
    frame = pd.DataFrame(points, columns=["a", "b"]).astype("float64")
    frame.to_csv("points.csv", index=False)
    monkeypatch.setattr("vae_lib.command.PART", 9)
    arguments = ["points.csv", "--detector", "series.detector", "--out", "out.csv"]
    assert main(["score", *arguments]) == 0
    assert_verdicts(rows_of("out.csv"), detector.judge(frame))


def test_parts_are_put_together_in_order(here, monkeypatch):
    arguments = ["score", "pictures", "--detector", "images.detector", "--out"]
    main([*arguments, "one.csv"])
    monkeypatch.setattr("vae_lib.command.PART", 5)
    main([*arguments, "three.csv"])
    assert Path("one.csv").read_text() == Path("three.csv").read_text()


def test_anomalies_as_an_exit_status(here):
    arguments = ["score", "pictures", "--detector", "images.detector", "--fail-on-anomaly"]
    assert main([*arguments, "--out", "out.csv"]) == 1
    assert len(rows_of("out.csv")) == 12
    np.savez("calm.npz", images=levels(3, seed=3))
    found = of_images().is_anomaly(levels(3, seed=3) / np.float32(255))
    assert main([*arguments[:1], "calm.npz", *arguments[2:]]) == int(found.any())


def test_it_prints_without_out(here, capsys):
    assert main(["score", "x.npz", "--detector", "images.detector"]) == 0
    printed = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(printed) == 12 and list(printed[0]) == ["row", "score", "p_value", "is_anomaly"]


@pytest.mark.parametrize("kind", ["images", "rows"])
def test_a_new_threshold(here, kind):
    if kind == "images":
        np.savez("normal.npz", images=levels(80, seed=5))
        detector, items = of_images(), levels(80, seed=5) / np.float32(255)
        words = ["calibrate", "normal.npz"]
    else:
        normal = table()[table()["faulty"] == 0]
        normal.to_csv("normal.csv", index=False)
        detector, items = of_table(), normal.drop(columns="faulty")
        words = ["calibrate", "normal.csv", "--label", "faulty"]
    words += ["--detector", f"{kind}.detector", "--out", "new.detector"]
    assert main([*words, "--false-alarm-rate", "0.2", "--method", "quantile"]) == 0
    new, scores = AnomalyDetector.load("new.detector"), detector.score(items)
    assert new.threshold == pytest.approx(np.quantile(scores, 0.8), rel=1e-5)
    assert (new.false_alarm_rate, new.method) == (0.2, "quantile")
    np.testing.assert_allclose(new.score(items), scores, rtol=1e-6)
    assert main(words) == 0  # and with the rate and method of before
    new = AnomalyDetector.load("new.detector")
    assert new.threshold == pytest.approx(thresholds.conformal(scores, 0.1), rel=1e-5)
    assert (new.false_alarm_rate, new.method) == (0.1, "conformal")


@pytest.mark.parametrize(
    ("source", "detector", "more"),
    [
        ("pictures", "images.detector", []),
        ("x.npz", "images.detector", []),
        ("rows.csv", "rows.detector", ["--label", "faulty"]),
    ],
)
def test_figures(here, source, detector, more):
    assert main(["evaluate", source, "--detector", detector, "--out", "figures.csv", *more]) == 0
    figures = {row["figure"]: row for row in rows_of("figures.csv")}
    if source == "rows.csv":
        truth = table()["faulty"].to_numpy()
        expected = of_table().evaluate(table().drop(columns="faulty"), truth)
    else:
        truth = np.arange(12) >= 9
        expected = of_images().evaluate(data.as_images(np.load("x.npz")["images"]), truth)
    for name in ("auroc", "detection_rate", "false_alarm_rate"):
        interval = getattr(expected, name)
        found = [float(figures[name][part]) for part in ("value", "low", "high")]
        np.testing.assert_allclose(found, interval, rtol=1e-12)
    assert int(figures["anomalies"]["value"]) == truth.sum()


@pytest.mark.parametrize("name", ["images.detector", "rows.detector"])
def test_info(here, name, capsys):
    assert main(["info", name]) == 0
    found = {
        row["what"]: row["value"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))
    }
    table = name == "rows.detector"
    assert found["kind"] == "VAE" and found["models"] == "1"
    assert found["score"] == ("joint" if table else "reconstruction")
    limit = (of_table() if table else of_images()).threshold
    assert float(found["threshold"]) == pytest.approx(limit, rel=1e-5)
    assert found["written by keras"] == keras.__version__
    assert found["data_shape"] == ("2" if table else "8 x 8 x 1")


TABLE = ("rows.csv", "--detector", "rows.detector")
WRONG = {
    "no file": (["score", "no.npz"], "no.npz", "not there"),
    "another kind": (["score", "images.detector"], "images.detector", "expected a folder"),
    "a table to images": (["score", "rows.csv"], "table", "expected images of shape"),
    "an empty folder": (["score", "empty"], "without a picture"),
    "no labels": (["evaluate", "flat"], "no labels", "'normal'"),
    "a stray picture": (["evaluate", "stray"], "'a.png' lies in no folder of one label"),
    "another size": (["score", "large"], "shape (1, 9, 9, 1)", "expected"),
    "no such array": (["score", "two.npz"], "arrays ['a', 'b']", "'images'"),
    "no .npz": (["score", "broken.npz"], "cannot be read"),
    "labels of an .npz": (["evaluate", "x.npz", "--label", "flags"], "no array 'flags'"),
    "out in no folder": (["score", "x.npz", "--out", "no/out.csv"], "a folder that exists"),
    "no PNG": (["score", "text"], "cannot be read"),
    "no detector": (["score", "x.npz", "--detector", "no.detector"], "no.detector", "not there"),
    "another file": (["score", "x.npz", "--detector", "x.npz"], "'x.npz'", "AnomalyDetector.save"),
    "a column too many": (["score", *TABLE], "new columns 'faulty'"),
    "no such column": (["score", *TABLE, "--drop", "nonsense"], "column 'nonsense' is not in"),
    "a table without labels": (["evaluate", *TABLE, "--drop", "faulty"], "--label COLUMN"),
    "labels of numbers": (["evaluate", *TABLE, "--label", "heat"], "is_anomaly has", "of bool"),
    "anomalous pictures": (["calibrate", "pictures"], "has 3 labelled anomalies"),
    "anomalies in an .npz": (["calibrate", "x.npz"], "has 3 labelled anomalies"),
    "anomalous rows": (["calibrate", *TABLE, "--label", "faulty"], "has 10 labelled anomalies"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_a_sentence_and_nothing_is_written(here, capsys, case):
    (name, *arguments), *words = WRONG[case]
    Path("empty").mkdir()
    for folder, side in (("flat", 8), ("large", 9), ("text", 8), ("stray", 8), ("stray/good", 8)):
        Path(folder).mkdir()
        Image.fromarray(np.zeros((side, side), "u1")).save(Path(folder) / "a.png")
    Path("text/a.png").write_text("no picture")
    np.savez("two.npz", a=np.zeros(3), b=np.zeros(3))
    Path("broken.npz").write_text("no archive")
    before = sorted(here.rglob("*"))
    for option, value in (("--out", "out.csv"), ("--detector", "images.detector")):
        arguments += [] if option in arguments else [option, value]
    status = main([name, *arguments])
    message = capsys.readouterr().err
    assert status == 2 and message.startswith(f"python -m vae_lib {name}: ")
    assert [word for word in words if word not in message] == [] and "Traceback" not in message
    assert len(message.splitlines()) == 1 and sorted(here.rglob("*")) == before


def test_pictures_of_other_sizes_where_asked(here):
    Path("large").mkdir()
    Image.fromarray(np.full((16, 12), 60, "u1")).save("large/a.png")
    words = ["score", "large", "--detector", "images.detector", "--out", "out.csv"]
    assert main([*words, "--resize", "pad"]) == 0 and len(rows_of("out.csv")) == 1


def test_an_interrupt_leaves_the_old_file(here, monkeypatch):
    Path("out.csv").write_text("old")

    def rows():
        yield ("a", 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        command.write("out.csv", ("what", "value"), rows())
    assert Path("out.csv").read_text() == "old"
    assert not [path for path in here.iterdir() if path.name.endswith(".part")]

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("vae_lib.command.scored", interrupted)
    assert main(["score", "x.npz", "--detector", "images.detector"]) == 130


def test_a_bar_for_a_person_alone(here, monkeypatch):
    seen = []
    for tty in (True, False):
        screen = io.StringIO()
        screen.isatty = lambda tty=tty: tty
        monkeypatch.setattr(sys, "stderr", screen)
        main(["score", "x.npz", "--detector", "images.detector", "--out", "out.csv"])
        seen.append(screen.getvalue())
    assert seen[0].endswith(f"[{'#' * 30}] 12/12\n") and seen[1] == ""


def test_as_a_process(here):
    words = [sys.executable, "-m", "vae_lib", "score", "x.npz", "--detector", "images.detector"]
    options = {"capture_output": True, "text": True, "check": False, "cwd": here}
    options["env"] = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(words, **options)
    assert done.returncode == 0, done.stderr
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) == 12
    done = subprocess.run([*words[:4], "no.npz", *words[5:]], **options)
    assert done.returncode == 2 and "not there" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
