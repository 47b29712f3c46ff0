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

from vae_lib import VAE, AnomalyDetector, data, thresholds
from vae_lib.command import main, output

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


def columns(found: list[dict]) -> list[np.ndarray]:
    return [np.array([float(row[n]) for row in found]) for n in ("score", "p_value", "is_anomaly")]


def assert_equal(found: list[dict], detector, items) -> None:
    scores, p_values, alarms = columns(found)
    np.testing.assert_array_equal(scores, detector.score(items))
    np.testing.assert_array_equal(p_values, detector.p_value(items))
    np.testing.assert_array_equal(alarms, detector.is_anomaly(items))
    assert 0 < alarms.sum() < len(alarms)


@pytest.mark.parametrize("source", ["pictures", "x.npz"])
def test_scores_are_the_librarys(here, source):
    assert main(["score", source, "--detector", "images.detector", "--out", "out.csv"]) == 0
    found = rows_of("out.csv")
    files = sorted(
        file.relative_to("pictures").as_posix() for file in Path("pictures").rglob("*.png")
    )
    names = [row["file"] for row in found] if source == "pictures" else None
    assert names in (None, files)
    items = data.read_images([Path("pictures") / file for file in files])
    assert_equal(found, of_images(), items)
    assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("source", ["rows.csv", "rows.parquet"])
def test_rows_of_a_table(here, source):
    command = ["score", source, "--detector", "rows.detector", "--label", "faulty"]
    assert main([*command, "--out", "out.csv"]) == 0
    expected = of_table().judge(table().drop(columns="faulty"))
    scores, p_values, alarms = columns(rows_of("out.csv"))
    np.testing.assert_allclose(scores, expected["score"], rtol=1e-12)
    np.testing.assert_allclose(p_values, expected["p_value"], rtol=1e-12)
    np.testing.assert_array_equal(alarms, expected["is_anomaly"])
    assert [row["row"] for row in rows_of("out.csv")] == [str(i) for i in range(len(table()))]


def test_parts_are_put_together_in_order(here, monkeypatch):
    arguments = ["score", "pictures", "--detector", "images.detector", "--out"]
    main([*arguments, "one.csv"])
    monkeypatch.setattr("vae_lib.command.inputs.PART", 5)
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


def test_a_new_threshold(here):
    np.savez("normal.npz", images=levels(80, seed=5))
    command = ["calibrate", "normal.npz", "--detector", "images.detector", "--out", "new.detector"]
    assert main([*command, "--false-alarm-rate", "0.2", "--method", "quantile"]) == 0
    found = AnomalyDetector.load("new.detector")
    x = levels(80, seed=5) / np.float32(255)
    expected = np.quantile(of_images().score(x), 0.8)
    assert found.threshold == pytest.approx(expected) and found.method == "quantile"
    assert main(command) == 0  # and with the rate and method of before
    found = AnomalyDetector.load("new.detector")
    assert (found.false_alarm_rate, found.method) == (0.1, "conformal")


@pytest.mark.parametrize(
    ("source", "detector", "more"),
    [
        ("pictures", "images.detector", []),
        ("x.npz", "images.detector", []),
        ("rows.csv", "rows.detector", ["--label", "faulty"]),
    ],
)
def test_figures(here, source, detector, more):
    command = ["evaluate", source, "--detector", detector, "--out", "figures.csv", *more]
    assert main(command) == 0
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


WRONG = {
    "no file": (["score", "no.npz"], "no.npz", "not there"),
    "another kind": (["score", "images.detector"], "images.detector", "expected a folder"),
    "a table to images": (["score", "rows.csv"], "table", "expected images of shape"),
    "an empty folder": (["score", "empty"], "without a picture"),
    "no labels": (["evaluate", "flat"], "lies in no folder", "expected 'normal'"),
    "another size": (["score", "large"], "shape (1, 9, 9, 1)", "expected"),
    "no such array": (["score", "x.npz", "--array", "y"], "arrays ['images']", "'y'"),
    "no .npz": (["score", "broken.npz"], "cannot be read"),
    "labels of an .npz": (["evaluate", "x.npz", "--label", "flags"], "no array 'flags'"),
    "out in no folder": (["score", "x.npz", "--out", "no/out.csv"], "a folder that exists"),
    "no PNG": (["score", "text"], "cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_in_a_sentence(here, capsys, case):
    (command, *arguments), *words = WRONG[case]
    for folder, name in (("empty", None), ("flat", "a.png"), ("large", "a.png"), ("text", "a.png")):
        Path(folder).mkdir()
        side = 9 if folder == "large" else 8
        if name:
            Image.fromarray(np.zeros((side, side), "u1")).save(Path(folder) / name)
    Path("text/a.png").write_text("no picture")
    Path("broken.npz").write_text("no archive")
    before = sorted(here.rglob("*"))
    out = [] if "--out" in arguments else ["--out", "out.csv"]
    status = main([command, *arguments, "--detector", "images.detector", *out])
    told = capsys.readouterr().err
    assert status == 2 and told.startswith(f"python -m vae_lib {command}: ")
    assert [word for word in words if word not in told] == [] and "Traceback" not in told
    assert len(told.splitlines()) == 1 and sorted(here.rglob("*")) == before


def test_pictures_of_other_sizes_where_asked(here):
    Path("large").mkdir()
    Image.fromarray(np.full((16, 12), 60, "u1")).save("large/a.png")
    command = ["score", "large", "--detector", "images.detector", "--out", "out.csv"]
    assert main([*command, "--resize", "pad"]) == 0 and len(rows_of("out.csv")) == 1


@pytest.mark.parametrize("name", ["no.detector", "x.npz"])
def test_no_detector(here, capsys, name):
    assert main(["score", "x.npz", "--detector", name]) == 2
    assert name in capsys.readouterr().err


def test_a_table_without_its_columns_or_labels(here, capsys):
    command = ["score", "rows.csv", "--detector", "rows.detector"]
    assert main(command) == 2 and "faulty" in capsys.readouterr().err
    assert main([*command, "--drop", "nonsense"]) == 2 and "nonsense" in capsys.readouterr().err
    assert main([*command, "--drop", "faulty", "--out", "out.csv"]) == 0
    assert main(["evaluate", *command[1:]]) == 2 and "--label" in capsys.readouterr().err


def test_a_new_threshold_of_a_table(here, capsys):
    normal = table()[table()["faulty"] == 0]
    normal.to_csv("normal.csv", index=False)
    out = ["--detector", "rows.detector", "--label", "faulty", "--out", "new.detector"]
    assert main(["calibrate", "normal.csv", *out, "--false-alarm-rate", "0.2"]) == 0
    found, rows = AnomalyDetector.load("new.detector"), normal.drop(columns="faulty")
    np.testing.assert_allclose(found.score(rows), of_table().score(rows))
    assert found.false_alarm_rate == 0.2
    assert found.threshold == pytest.approx(thresholds.conformal(of_table().score(rows), 0.2))
    assert main(["calibrate", "normal.csv", *out, "--method", "quantile"]) == 0
    assert AnomalyDetector.load("new.detector").method == "quantile"


@pytest.mark.parametrize(
    ("source", "detector", "n"),
    [("pictures", "images", 3), ("x.npz", "images", 3), ("rows.csv", "rows", 10)],
)
def test_labelled_anomalies_calibrate_nothing(here, source, detector, n, capsys):
    out = ["--detector", f"{detector}.detector", "--out", "new.detector"]
    label = ["--label", "faulty"] if detector == "rows" else []
    assert main(["calibrate", source, *out, *label]) == 2
    assert f"has {n} labelled anomalies" in capsys.readouterr().err
    assert not Path("new.detector").exists()


def test_an_interrupt_leaves_the_old_file(here, monkeypatch):
    Path("out.csv").write_text("old")

    def rows():
        yield ("a", 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        output.write("out.csv", ("what", "value"), rows())
    assert Path("out.csv").read_text() == "old"
    assert not [path for path in here.iterdir() if path.name.endswith(".part")]

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("vae_lib.command.cli.scored", interrupted)
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
    command = [sys.executable, "-m", "vae_lib", "score", "x.npz", "--detector", "images.detector"]
    options = {"capture_output": True, "text": True, "check": False, "cwd": here}
    options["env"] = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, **options)
    assert done.returncode == 0, done.stderr
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) == 12
    done = subprocess.run([*command[:4], "no.npz", *command[5:]], **options)
    assert done.returncode == 2 and "not there" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
