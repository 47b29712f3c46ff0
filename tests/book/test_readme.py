"""The README's examples run as they are printed, each on files of its kind, and find anomalies."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats
from sklearn.metrics import roc_auc_score

from notebook_files import ROOT
from vae_lib import AnomalyDetector, records, series
from vae_lib.detector import recipe


def examples(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


TABLE, SERIES, FOLDER, ARRAY = examples("README.md")


def run(example: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.chdir(folder)
    names: dict = {}
    exec(example, names)
    return names


def test_the_landing_page_prints_the_same() -> None:
    assert examples("index.md") == [TABLE, SERIES, FOLDER, ARRAY]


@pytest.mark.parametrize("page", ["README.md", "index.md"])
def test_what_is_said_of_tables_is_what_was_measured(page: str) -> None:
    """Beside the forest, with the test that tells whether ten tables tell them apart."""
    text = (ROOT / page).read_text(encoding="utf-8")
    words = r"ten tables .* is (0\.\d+), that of an isolation forest (0\.\d+)\..*p = (0\.\d+)\)"
    found = re.search(words, text)
    assert found and "cannot separate the eleven detectors" in found[0]
    results = records.measured("tables_keel")["results"]
    expected = [results[name]["auroc"] for name in ("vae_lib_linear", "isolation_forest")]
    areas = np.array([list(row["by_table"].values()) for row in results.values()])
    assert areas.shape == (11, 10)
    p_value = stats.friedmanchisquare(*areas).pvalue
    assert p_value > 0.05
    shown = [f"{expected[0]:.3f}", f"{expected[1]:.3f}", f"{p_value:.2f}"]
    assert list(found.groups()) == shown


@pytest.mark.parametrize(
    "example", [TABLE, SERIES, FOLDER, ARRAY], ids=["table", "series", "folder", "array"]
)
def test_an_example_is_short(example: str) -> None:
    statements = [line for line in example.splitlines() if line.strip()]
    assert len(statements) <= 9


def test_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.RandomState(0)
    faulty = np.arange(500) < 60
    load = rng.normal(10, 2, 500)
    heat = 3 * load * np.where(faulty, -1, 1) + rng.normal(0, 1, 500) + 60 * faulty
    table = pd.DataFrame({"load": load, "heat": heat, "faulty": faulty.astype(int)})
    table["machine"] = rng.choice(["lathe", "mill"], 500)
    table.loc[rng.choice(500, 40, replace=False), "load"] = np.nan
    table.to_csv(tmp_path / "rows.csv", index=False)
    monkeypatch.setattr(recipe, "STEPS", 1000)  # a third: seconds, where a reader waits a minute
    names = run(TABLE, tmp_path, monkeypatch)
    detector, (new, truth, _) = names["detector"], names["split"].test
    assert roc_auc_score(truth, detector.score(new)) > 0.8
    assert list(detector.explain(new).columns) == ["load", "heat", "machine"]
    loaded = AnomalyDetector.load(tmp_path / "rows.detector")
    np.testing.assert_array_equal(loaded.is_anomaly(new), detector.is_anomaly(new))


MODES = ("L", "LA", "P", "RGB", "RGBA")


def test_a_folder_of_every_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.RandomState(0)
    for kind, number in (("normal", 200), ("anomaly", 24)):
        folder = tmp_path / "pictures" / kind
        folder.mkdir(parents=True)
        for i in range(number):
            levels = np.full((40, 48), 60.0) + rng.normal(0, 4, (40, 48))
            levels += rng.uniform(0, 60) * np.linspace(0, 1, 48)
            if kind == "anomaly":
                levels[10:25, 15:30] = 230
            picture = Image.fromarray(levels.clip(0, 255).astype("uint8"))
            if i % 6 == 5:
                Image.fromarray(levels.clip(0, 255).astype("uint16") * 257).save(
                    folder / f"{i}.png"
                )
            else:
                picture.convert(MODES[i % 6]).save(folder / f"{i}.png")
        picture.save(folder / "last.jpg")
    monkeypatch.setattr(recipe, "STEPS", 1000)
    names = run(FOLDER, tmp_path, monkeypatch)
    detector, (images, truth, _) = names["detector"], names["split"].test
    assert images.shape[1:] == (32, 32, 3)
    assert roc_auc_score(truth, detector.score(images)) > 0.9


def test_a_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, n = np.random.RandomState(0), 4000
    wave = np.sin(np.arange(n + 2) / 3)
    values = np.stack([wave[2:], wave[:-2]], axis=1) + 0.1 * rng.randn(n, 2)
    faulty = np.zeros(n, int)
    for start in range(3000, n, 100):  # the second channel stands still
        faulty[start : start + 30], values[start : start + 30, 1] = 1, 0.0
    table = pd.DataFrame(values, columns=["flow", "load"]).assign(faulty=faulty)
    table["when"] = pd.date_range("2024-01-01", periods=n, freq="min")
    table.to_csv(tmp_path / "line.csv", index=False)
    monkeypatch.setattr(recipe, "STEPS", 1000)
    names = run(SERIES, tmp_path, monkeypatch)
    detector, split = names["detector"], names["split"]
    assert split.columns == ("flow", "load") == detector.columns
    assert roc_auc_score(split.test.is_anomaly, detector.score(split.test.items)) > 0.9
    points = table[["load", "flow"]][-60:]  # in another order
    expected = detector.score(series.windows(table[["flow", "load"]][-60:].to_numpy(), 16).values)
    np.testing.assert_array_equal(names["stream"].push(points).scores[15:], expected)


def test_an_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run(ARRAY, tmp_path, monkeypatch)
    detector, (images, truth, _) = names["detector"], names["split"].test
    assert roc_auc_score(truth, detector.score(images)) > 0.95
    flagged = detector.is_anomaly(images)
    assert flagged[truth].mean() > 0.8 and flagged[~truth].mean() < 0.15
