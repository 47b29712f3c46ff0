"""The README's examples run as they are printed, and find anomalies."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from notebook_files import ROOT
from vae_lib import AnomalyDetector, VAEDetector

README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLE, FOLDER, ARRAYS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An example, run where its files are: the names that it has made."""
    monkeypatch.chdir(tmp_path)

    def run(example: str) -> dict:
        names: dict = {}
        exec(example, names)
        return names

    return run


def flagged_rightly(flagged: np.ndarray, truth: np.ndarray) -> bool:
    return flagged[truth].mean() > 0.8 and flagged[~truth].mean() < 0.15


def test_arrays(run, tmp_path: Path) -> None:
    names = run(ARRAYS)
    truth, images = names["is_anomaly"], names["images"]
    assert roc_auc_score(truth, names["detector"].score(images)) > 0.95
    flagged = names["detector"].predict(images)
    assert flagged_rightly(flagged, truth)
    loaded = AnomalyDetector.load(tmp_path / "three.detector")
    np.testing.assert_array_equal(loaded.predict(images), flagged)


def test_a_table(run, tmp_path: Path) -> None:
    rng, fault = np.random.RandomState(0), np.arange(640) < 40
    speed = rng.randn(640)
    load = np.where(fault, -2, 2) * np.where(fault, np.sign(speed) + speed, speed)
    rows = {"speed": speed, "load": load + 0.1 * rng.randn(640)}
    rows |= {"kind": rng.choice(["a", "b"], 640), "fault": fault.astype(int)}
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    names = run(TABLE)
    new, truth = names["new"], names["split"].test.is_anomaly
    flagged = names["detector"].predict(new) == -1
    assert flagged_rightly(flagged, truth)
    shares = names["detector"].explain(new)[truth]
    assert list(shares) == ["speed", "load", "kind"]
    assert (shares["speed"] + shares["load"]).mean() > 0.9
    loaded = VAEDetector.load(tmp_path / "rows.detector")
    np.testing.assert_array_equal(loaded.predict(new) == -1, flagged)


def test_a_folder_of_pictures(run, tmp_path: Path) -> None:
    rng, ramp = np.random.RandomState(0), np.linspace(0, 60, 40)
    for kind, n in (("normal", 200), ("anomaly", 20)):
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for i in range(n):
            picture = ramp[:, None, None] + rng.uniform(60, 160, 3) + rng.randn(40, 40, 3)
            if kind == "anomaly":
                picture[12:24, 12:24] = 255 - picture[12:24, 12:24]
            image = Image.fromarray(picture.clip(0, 255).astype("uint8"))
            image.save(tmp_path / "pictures" / kind / f"{i}.png")
    image.save(tmp_path / "new.png")
    names = run(FOLDER)
    images, truth, _ = names["split"].test
    assert flagged_rightly(names["detector"].predict(images), truth)
    assert names["detector"].predict(names["new"]).all()
