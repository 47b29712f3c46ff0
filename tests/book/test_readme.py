"""The README's example runs as it is printed, and finds anomalies."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from notebook_files import ROOT
from vae_lib import AnomalyDetector


def test_the_example_finds_anomalies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(example, names)
    truth, images = names["is_anomaly"], names["images"]
    assert roc_auc_score(truth, names["detector"].score(images)) > 0.95
    flagged = names["detector"].predict(images)
    assert flagged[truth].mean() > 0.8 and flagged[~truth].mean() < 0.15
    loaded = AnomalyDetector.load(tmp_path / "three.detector")
    np.testing.assert_array_equal(loaded.predict(images), flagged)
